"""Which array is alive when: the memory of one pass, step by step, from the schedule's liveness."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gradcost.schedule.program import Buffer, Plan, Program
from gradcost.units import Shape

_KIND_OF = {  # what a buffer is filled with before the first step (see ``Data``) -> its kind
    "parameter": "parameters",
    "constant": "constants",
    "one": "constants",
    "input": "data",
    "target": "data",
    "direction": "directions",
    "gradient": "result",
}


@dataclass(frozen=True, slots=True)
class Life:
    """One array from the step that makes it to the last that touches it.

    Attributes:
        name: its symbol; where a step writes over an array, the old name ends there and a new one begins.
        shape: with the batch axis.
        dtype: of its elements.
        bytes: what it takes.
        kind: the phase of the step that makes it; one of ``phases.KINDS`` for what is there from the start.
        first: the first step at which it is alive.
        last: the last.
    """

    name: str
    shape: Shape
    dtype: str
    bytes: int
    kind: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Moment:
    """One step: the layer and phase that it belongs to, the bytes alive during it, and its workspace among them."""

    layer: str
    phase: str
    bytes: int
    workspace: int


@dataclass(frozen=True, slots=True)
class Timeline:
    """The memory of one pass of a strategy.

    Where a strategy makes several kinds of pass, it is one of those with the highest peak; a loop is shown as one of
    its turns, as all of them allocate alike.

    Attributes:
        moments: the steps, in order.
        lives: the arrays, in the order of their birth; those alive at a step, and its workspace, sum to its bytes.
        passes: how many such passes the strategy makes.
    """

    moments: tuple[Moment, ...]
    lives: tuple[Life, ...]
    passes: int


def timeline(plan: Plan) -> Timeline:
    """Follow the liveness of a plan. Nothing runs: like the prediction, it reads the schedule."""
    found = [
        Timeline(tuple(_moments(segment.program)), tuple(_lives(segment.program)), segment.passes)
        for segment in plan.segments
    ]
    return max(found, key=lambda each: max(moment.bytes for moment in each.moments))


def _moments(program: Program) -> Iterator[Moment]:
    live = sum(buffer.bytes for buffer in program.initial)
    for step in program.steps:
        workspace = step.term.cost.evaluate(step.term.dims)[-1]
        live += step.allocates
        yield Moment(step.label, step.phase, live + workspace, workspace)
        live -= step.releases


def _lives(program: Program) -> list[Life]:
    """Follow each array through the steps; where a step writes over one, its old name ends and a new one begins."""
    end = len(program.steps) - 1
    current: dict[Buffer, tuple[Buffer, str, int]] = {}  # array -> who it is now, its kind, since when
    found: list[Life] = []

    def close(base: Buffer, last: int) -> None:
        now, kind, first = current.pop(base)
        if first <= last:
            found.append(Life(now.name, now.shown, now.dtype, base.bytes, kind, first, last))

    for buffer in program.initial:
        kind = _KIND_OF.get(str(buffer.key[0]), "held") if buffer.key else "held"
        current[buffer] = buffer, kind, 0
    for index, step in enumerate(program.steps):
        made, base = step.makes, step.storage
        if made is not None and base is not None:
            if step.over:
                close(base, index - 1)
            if base not in current:
                current[base] = (made, step.phase, index)
        for base in step.drops:
            close(base, index)
    for base in list(current):
        close(base, end)
    return sorted(found, key=lambda life: (life.first, life.last == end))
