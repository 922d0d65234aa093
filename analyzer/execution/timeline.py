"""Which array is alive when: the memory of one pass, step by step, from the schedule's liveness."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gradcost.schedule.program import Buffer, Plan, Program
from gradcost.units import Shape

KINDS = {"parameter": "parameters", "constant": "constants", "input": "data", "target": "data"}


@dataclass(frozen=True, slots=True)
class Life:
    """One array from the step that makes it to the last that touches it.

    Attributes:
        name: its symbol; where a step writes over an array, the old name ends there and a new one begins.
        shape: with the batch axis.
        bytes: what it takes.
        kind: ``parameters``, ``data``, ``constants``, or the phase of the step that makes it; ``held`` for others
            that are there from the start.
        first: the first step at which it is alive.
        last: the last.
    """

    name: str
    shape: Shape
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


def timeline(plan: Plan, item_bytes: int) -> Timeline:
    """Follow the liveness of a plan. Nothing runs: like the prediction, it reads the schedule."""
    found = [
        Timeline(
            tuple(_moments(segment.program, item_bytes)), tuple(_lives(segment.program, item_bytes)), segment.passes
        )
        for segment in plan.segments
    ]
    return max(found, key=lambda each: max(moment.bytes for moment in each.moments))


def _moments(program: Program, item_bytes: int) -> Iterator[Moment]:
    live = sum(buffer.elements for buffer in program.initial)
    for step in program.steps:
        workspace = step.term.cost.evaluate(step.term.dims)[-1]
        live += step.allocates
        yield Moment(step.label, step.phase, (live + workspace) * item_bytes, workspace * item_bytes)
        live -= step.releases


def _lives(program: Program, item_bytes: int) -> list[Life]:
    """Follow each array, views of it included, as ``Program.resolve`` does."""
    end = len(program.steps) - 1
    storage: dict[Buffer, Buffer] = {}  # buffer -> the one whose array it uses
    users: dict[Buffer, int] = {}  # array -> buffers that still use it
    current: dict[Buffer, tuple[Buffer, str, int]] = {}  # array -> who it is now, its kind, since when
    found: list[Life] = []

    def close(base: Buffer, last: int) -> None:
        now, kind, first = current.pop(base)
        if first <= last:
            found.append(Life(now.name, now.shape, base.elements * item_bytes, kind, first, last))

    for buffer in program.initial:
        kind = KINDS.get(str(buffer.key[0]), "held") if buffer.key else "held"
        storage[buffer], users[buffer], current[buffer] = buffer, 1, (buffer, kind, 0)
    for index, step in enumerate(program.steps):
        made = step.makes
        if made is not None:
            shared = step.view_of or (step.over[0] if step.over else None)
            base = made if shared is None else storage[shared]
            storage[made] = base
            users[base] = users.get(base, 0) + 1
            if step.over:
                close(base, index - 1)
            if base not in current:
                current[base] = (made, step.phase, index)
        for buffer in step.frees:
            base = storage.pop(buffer)
            users[base] -= 1
            if not users[base]:
                close(base, index)
    for base in list(current):
        close(base, end)
    return sorted(found, key=lambda life: (life.first, life.last == end))
