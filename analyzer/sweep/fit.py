"""fit: the largest batch that a memory allows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradcost.errors import UsageError, nearest
from gradcost.graph import Graph
from gradcost.report import load
from gradcost.spec.fields import MAX_SIZE
from gradcost.strategies import STRATEGIES, Options
from gradcost.strategies.predict import predict


@dataclass(frozen=True, slots=True)
class Fit:
    """The largest batch of one strategy.

    Attributes:
        strategy: which.
        batch: the largest whose predicted peak fits; 0 where not even one sample does.
        peak_bytes: its peak, or that of one sample where none fits.
        next_bytes: the peak of one sample more; None at the largest batch that there is.
    """

    strategy: str
    batch: int
    peak_bytes: int
    next_bytes: int | None


def fit(
    source: str | Path | Mapping[str, Any] | Graph,
    memory: int,
    *,
    strategies: Sequence[str] | None = None,
    chunk: int = 1,
    checkpoints: str | None = None,
) -> list[Fit]:
    """Find, for each strategy, the largest batch whose predicted peak fits into ``memory`` bytes.

    The peak never falls when the batch grows, so doubling and halving find it in about two predictions for each bit.

    Raises:
        SpecError: the spec cannot be used.
        UsageError: an unknown strategy.
    """
    network = load(source)
    for name in strategies or ():
        if name not in STRATEGIES:
            raise UsageError(f"unknown strategy {name!r}{nearest(name, STRATEGIES)}")
    chosen = [name for name in STRATEGIES if strategies is None or name in strategies]
    return [_fit(network, name, memory, chunk, checkpoints) for name in chosen]


def _fit(network: Graph, name: str, memory: int, chunk: int, checkpoints: str | None) -> Fit:
    options = Options(chunk=chunk, checkpoints=checkpoints, budget=memory // network.item_bytes)
    known: dict[int, int] = {}

    def peak(batch: int) -> int:
        if batch not in known:
            graph = load(network, batch=batch)
            known[batch] = predict(STRATEGIES[name].plan(graph, options)).peak_elements * graph.item_bytes
        return known[batch]

    if peak(1) > memory:
        return Fit(name, 0, peak(1), peak(1))
    low, high = 1, 2
    while high <= MAX_SIZE and peak(high) <= memory:
        low, high = high, 2 * high
    high = min(high, MAX_SIZE + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if peak(middle) <= memory else (low, middle)
    return Fit(name, low, peak(low), None if low == MAX_SIZE else peak(low + 1))
