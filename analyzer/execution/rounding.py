"""How far rounding alone may move a gradient: whatever a schedule carries is moved at random by an eps.

This is Monte Carlo arithmetic (Parker 1997). The network's values are left as they are, since every strategy computes
those by the same operations, bit for bit; strategies differ in the order in which they multiply derivatives.
"""

from __future__ import annotations

from collections.abc import Iterator

from gradcost.execution.execute import Data, Gradients, run_plain
from gradcost.numerics import np
from gradcost.schedule.program import Arrays, Plan, Step

DRAWS = 4
VALUES = {"primal", "recompute", "loss"}


def moved_by_rounding(plan: Plan, data: Data) -> Iterator[Gradients]:
    """Yield the gradients of runs in which each entry of each derivative is made longer or shorter by about an eps."""
    generator = np.random.default_rng(data.seed)

    def move(step: Step, arrays: Arrays) -> None:
        filled = step.fills
        if filled is None or step.idle or step.view_of is not None or step.phase in VALUES:
            return
        values = arrays[filled]
        part = values if step.columns is None else values[..., slice(*step.columns)]
        factors = generator.standard_normal(part.shape, part.dtype.type)
        np.multiply(factors, np.finfo(part.dtype).eps, out=factors)
        np.add(factors, 1.0, out=factors)
        np.multiply(part, factors, out=part)

    for _ in range(DRAWS):
        yield run_plain(plan, data, watch=move)
