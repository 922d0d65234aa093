"""How far a random estimate of the gradient is off, on the average of many runs."""

from __future__ import annotations

import time

from gradcost.execution.execute import Data, Gradients, run_plain
from gradcost.numerics import Array, np
from gradcost.schedule.program import Plan

ROUNDS = 200
FEWEST = 20
SECONDS = 2.0


def measured_variance(plan: Plan, data: Data, exact: Gradients) -> tuple[float, int] | None:
    """Return the mean of |g - dL/dtheta|^2 / |dL/dtheta|^2 over runs with directions of their own, and how many.

    None where the runs take too long for a mean that tells something, or the gradient is zero.
    """
    size = sum(map(_squares, exact.values()))
    if size == 0:
        return None
    started, total, done = time.perf_counter(), 0.0, 0
    try:
        for done in range(1, ROUNDS + 1):
            data.round = done
            found = run_plain(plan, data)
            total += sum(_squares(found[key], values) for key, values in exact.items()) / size
            spent = time.perf_counter() - started
            if spent > SECONDS or (done < FEWEST and spent / done * FEWEST > SECONDS):
                break
    finally:
        data.round = 0
    return (total / done, done) if done >= FEWEST else None


def _squares(values: Array, less: Array | float = 0.0) -> float:
    """Return the sum of the squares of a difference, which may be beyond the range of its numbers."""
    difference = np.subtract(values, less, dtype=np.float64)
    return float(np.square(difference, out=difference).sum())
