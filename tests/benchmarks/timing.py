"""Timing shared by the benchmarks: alternate two rivals in one process, and compare their best times."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "VECLIB_MAXIMUM")}
os.environ.update(ONE_THREAD)  # before numpy or torch starts its threads


def best_seconds(*rivals: Callable[[], object], rounds: int = 30) -> list[float]:
    """Run the rivals in turn, ``rounds`` times, and return the best time of each."""
    best = [float("inf")] * len(rivals)
    for _ in range(rounds):
        for index, rival in enumerate(rivals):
            started = time.perf_counter()
            rival()
            best[index] = min(best[index], time.perf_counter() - started)
    return best


def say(what: str, ours: float, theirs: float, limit: float) -> None:
    """Print two times and their ratio, beside the limit it should keep."""
    print(f"{what}: {ours * 1e3:.2f} ms against {theirs * 1e3:.2f} ms, {ours / theirs:.3f}x (at most {limit}x)")
