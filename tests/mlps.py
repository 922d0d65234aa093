"""MLPs whose Jacobians are held against other programs' memory, and what a difference may be called.

Ours are bytes beyond parameters and inputs, of ``reverse`` (jacrev) and ``forward_jvp`` (jacfwd), in float32.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations, pairwise
from math import prod

import gradcost

NETWORKS = {
    "3-64x4-1": (3, 64, 64, 64, 64, 1),
    "50-200-2000": (50, 200, 2000),
    "2000-200-50": (2000, 200, 50),
    "10-128-128-1000": (10, 128, 128, 1000),
    "64-64-64": (64, 64, 64),
    "32-8-2-8-32": (32, 8, 2, 8, 32),
    "5-100-100-5": (5, 100, 100, 5),
    "100-20-20-100": (100, 20, 20, 100),
}
FACTOR = 1.5  # within which two peaks are alike
ITEM = 4  # bytes

Widths = tuple[int, ...]


def ours(widths: Widths, batch: int, wrt: str, chunk: int | None = None) -> dict[str, tuple[int, int]]:
    """Return the flops, and the bytes beyond parameters and inputs, of each strategy."""
    layers = [{"type": "dense", "units": n, "activation": "tanh"} for n in widths[1:-1]]
    layers.append({"name": "out", "type": "dense", "units": widths[-1]})
    spec = {"dtype": "float32", "batch": batch, "input": {"shape": [widths[0]]}, "layers": layers}
    names = ("reverse", "forward_jvp")
    report = gradcost.analyze(spec, outputs="out", wrt=wrt, strategies=names, chunk=chunk, measure=False)
    held = ITEM * (report.network.parameters + batch * widths[0])
    return {name: (s.predicted.flops, s.predicted.peak_bytes - held) for name, s in report.strategies.items()}


def parameters(widths: Widths) -> int:
    """Return how many weights and biases there are."""
    return sum(n * m + n for m, n in pairwise(widths))


def columns(widths: Widths, wrt: str) -> int:
    """Return how many numbers it is differentiated by."""
    return widths[0] if wrt == "inputs" else parameters(widths)


def result(widths: Widths, batch: int, wrt: str) -> int:
    """Return the bytes of the Jacobians of a batch."""
    return ITEM * batch * widths[-1] * columns(widths, wrt)


def weight(widths: Widths) -> int:
    """Return the bytes of the largest weight matrix."""
    return ITEM * max(map(prod, pairwise(widths)))


def explained(mine: int, theirs: int, held: Mapping[str, int]) -> tuple[str, ...] | None:
    """Return the fewest of the buffers that they hold besides with which ours is alike; None: it is not so."""
    for count in range(len(held) + 1):
        for names in combinations(held, count):
            if theirs / FACTOR <= mine + sum(held[name] for name in names) <= theirs * FACTOR:
                return names
    return None
