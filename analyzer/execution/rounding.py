"""How far rounding alone may move a gradient: every product of derivatives is moved at random by an eps or so.

This is Monte Carlo arithmetic (Parker 1997). The network's values and the derivatives of single operations are left as
they are, since all strategies compute those alike, bit for bit: they differ in the order in which they multiply them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from gradcost.execution.execute import Data, Gradients, run_plain
from gradcost.graph import At, Layer, Loss
from gradcost.numerics import Array, np
from gradcost.schedule.program import Operation, Plan, Program, Step

DRAWS = 4
SHARED = {"primal", "recompute", "loss", "derivative", "birth"}  # phases in which no derivatives are multiplied


def moved_by_rounding(plan: Plan, data: Data) -> Iterator[Gradients]:
    """Yield the gradients of runs in which each product of derivatives is off by about an eps."""
    noise = Noise(data.seed, data.graph.dtype)
    noisy = Plan(
        [replace(segment, program=_noisy(segment.program, noise)) for segment in plan.segments],
        plan.gradients,
        plan.flat_gradient,
    )
    for _ in range(DRAWS):
        yield run_plain(noisy, data)


class Noise:
    """What rounding makes of a number x: x (1 + eps r) + eta r', r and r' from N(0, 1), eta the least above zero."""

    def __init__(self, seed: int, dtype: str) -> None:
        """Seed the generator."""
        self._generator = np.random.default_rng(seed)
        self._dtype = np.dtype(dtype).type
        self._drawn = np.float64 if dtype == "float64" else np.float32
        self._eps = np.finfo(dtype).eps
        self._eta = np.finfo(dtype).smallest_subnormal

    def read(self, at: At) -> At:
        """Return what a rule reads times one factor."""
        factor = self._dtype(1 + self._eps * self._generator.standard_normal())
        return At({name: values * factor if _real(values) else values for name, values in vars(at).items()})

    def move(self, values: Array) -> None:
        """Round each entry at random."""
        factors, rest = self._generator.standard_normal((2, *values.shape), self._drawn).astype(self._dtype, copy=False)
        np.multiply(values, 1 + self._eps * factors, out=values)
        np.add(values, self._eta * rest, out=values)


class Noisy(Operation):
    """A layer's or strategy's rules, each with rounding of its own: in what it reads, and in what it fills."""

    def __init__(self, owner: Layer | Loss | Operation, noise: Noise) -> None:
        """Take whose rules they are."""
        self.owner = owner
        self.noise = noise

    def __getattr__(self, name: str) -> Callable[..., None]:
        """Return the rule of that name."""
        rule = getattr(self.owner, name)

        def noisy(at: At, *args: Any, out: Array) -> None:
            rule(self.noise.read(at), *args, out=out)
            self.noise.move(out)

        return noisy


def _noisy(program: Program, noise: Noise) -> Program:
    """Return the program with rounding of its own in each product of derivatives."""
    steps = [step if _shared(step) else replace(step, owner=Noisy(step.owner, noise)) for step in program.steps]
    return replace(program, steps=steps)


def _real(values: object) -> bool:
    """Whether it is an array of numbers that are rounded; tokens and the turn of a loop are whole."""
    return isinstance(values, np.ndarray) and values.dtype.kind == "f"


def _shared(step: Step) -> bool:
    return step.phase in SHARED or step.idle or step.view_of is not None or step.fills is None
