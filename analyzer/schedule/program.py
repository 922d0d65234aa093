"""Programs: a strategy's schedule as steps over buffers, read by prediction and by execution alike.

A strategy emits steps; liveness then follows from the schedule: a buffer comes alive at the step that first writes
it and is freed after the last step that touches it. ``resolve`` settles that once, and settles where a step may
write over an operand that dies there (buffer donation).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any, TypeAlias

from gradcost.formula import FREE, Dims, Term
from gradcost.units import Shape

if TYPE_CHECKING:
    from gradcost.carrying.columns import Columns

Arrays: TypeAlias = "dict[Buffer, Any]"


@dataclass(slots=True, eq=False)
class Buffer:
    """A named array of a schedule.

    Attributes:
        symbol: what it is: ``a[1]``, ``da[2]/dW[1]``, ``dL/dz[1]``.
        shape: its shape, the batch axis included.
        held: it lives to the end: parameters, data, gradients.
        key: what it is filled with before the first step (see ``Data``), for buffers that no step makes.
        columns: the births whose Jacobians stand side by side on its last axis, for a stack of several.
    """

    symbol: str
    shape: Shape
    held: bool = False
    key: tuple[object, ...] | None = None
    columns: Columns | None = None

    @property
    def elements(self) -> int:
        """The number of elements."""
        return prod(self.shape)

    @property
    def name(self) -> str:
        """Its symbol, and for a stack of Jacobians from which birth to which: ``da[3]/d(W[1]..b[2])``."""
        if self.columns is None:
            return self.symbol
        births, bits = self.columns.births, self.columns.bits
        first, last = births[(bits & -bits).bit_length() - 1], births[bits.bit_length() - 1]
        span = first.symbol if first is last else f"({first.symbol}..{last.symbol})"
        return f"{self.symbol.removesuffix('*')}{span}"


@dataclass(slots=True, eq=False)
class Step:
    """One operation of a schedule.

    Attributes:
        label: the layer that it belongs to in the report.
        phase: what it is part of: primal, birth, push, cotangent, gradient, ...
        touches: every buffer that it reads, or writes without making it; such a one comes first.
        makes: the buffer that comes alive here, if any.
        run: does it, given all live arrays; for a view, returns it.
        term: the closed form of its cost.
        view_of: the buffer that ``makes`` is a view of.
        says: the right side of its equation, or what returns the equation; ``{0}`` and ``{all}`` stand for what it
            touches. Empty: the product of those.
        over: operands that ``makes`` may be written over; ``resolve`` leaves the one that dies here, if any.
        columns: the part of the last axis of what it fills, where it fills a part.
        frees: buffers that die after this step (set by ``resolve``).
        releases: elements given back after this step (set by ``resolve``).
    """

    label: str
    phase: str
    touches: tuple[Buffer, ...]
    makes: Buffer | None
    run: Callable[[Arrays], Any]
    term: Term
    view_of: Buffer | None = None
    over: tuple[Buffer, ...] = ()
    says: str | Callable[[], str] = ""
    columns: tuple[int, int] | None = None
    frees: tuple[Buffer, ...] = ()
    releases: int = 0

    @property
    def allocates(self) -> int:
        """Elements that come alive here (after ``resolve``)."""
        return 0 if self.makes is None or self.view_of or self.over else self.makes.elements


@dataclass(slots=True)
class Cursor:
    """Where the pass that runs now stands: the first of the parameters that it seeds."""

    start: int = 0


@dataclass(slots=True)
class Program:
    """The steps of one pass over the network, and what is alive before the first.

    Attributes:
        initial: the buffers that are alive before the first step.
        steps: in order.
        cursor: which pass, or turn of a loop, it is.
        loops: the first step, the end and the turns of each loop.
    """

    initial: list[Buffer] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    cursor: Cursor = field(default_factory=Cursor)
    loops: list[tuple[int, int, int]] = field(default_factory=list)

    def hold(self, symbol: str, shape: Shape, key: tuple[object, ...]) -> Buffer:
        """Add a buffer that is alive throughout."""
        buffer = Buffer(symbol, shape, held=True, key=key)
        self.initial.append(buffer)
        return buffer

    def step(
        self,
        label: str,
        phase: str,
        run: Callable[[Arrays], Any],
        *,
        touches: Iterable[Buffer] = (),
        makes: Buffer | None = None,
        term: Term | None = None,
        view_of: Buffer | None = None,
        over: tuple[Buffer, ...] = (),
        says: str | Callable[[], str] = "",
        columns: tuple[int, int] | None = None,
    ) -> None:
        """Append a step; ``term`` defaults to one that costs nothing."""
        term = term or NOTHING
        self.steps.append(Step(label, phase, tuple(touches), makes, run, term, view_of, over, says, columns))

    @contextmanager
    def loop(self, turns: int) -> Iterator[None]:
        """Do the steps that are appended meanwhile several times; the cursor starts at the number of the turn.

        What they make dies within the turn; what they read from outside lives until the last turn is over.
        """
        first = len(self.steps)
        yield
        body = self.steps[first:]
        inside = {step.makes for step in body}
        outside = dict.fromkeys(buffer for step in body for buffer in step.touches if buffer not in inside)
        self.loops.append((first, len(self.steps), turns))
        self.step(body[-1].label, body[-1].phase, nothing, touches=outside)

    def parts(self) -> Iterator[tuple[list[Step], int]]:
        """Yield the steps in runs, and how often each run is done."""
        done = 0
        for first, end, turns in self.loops:
            yield self.steps[done:first], 1
            yield self.steps[first:end], turns
            done = end
        yield self.steps[done:], 1

    def drop_unused(self, phase: str) -> None:
        """Leave out the steps of a phase that make what no later step touches, nor fill anything else."""
        needed: set[Buffer] = set()
        blank = {step.makes for step in self.steps if step.run is nothing}  # made empty, for another step to fill
        kept = []
        for step in reversed(self.steps):
            filled = {buffer for buffer in step.touches if buffer in blank} | {step.makes}
            if step.phase == phase and needed.isdisjoint(filled):
                continue
            needed.update(step.touches)
            kept.append(step)
        self.steps = kept[::-1]

    def resolve(self) -> None:
        """Settle what each step frees, and which donations hold.

        An operand may be written over only if it dies at that step and no other live buffer shares its storage.
        """
        last: dict[Buffer, int] = {}
        for index, step in enumerate(self.steps):
            for buffer in step.touches:
                last[buffer] = index
            if step.makes is not None:
                last[step.makes] = index
        storage: dict[Buffer, Buffer] = {buffer: buffer for buffer in self.initial}
        alive: dict[Buffer, int] = dict.fromkeys(self.initial, 1)  # storage -> buffers that still view it
        owned: dict[Buffer, int] = {buffer: buffer.elements for buffer in self.initial}
        for index, step in enumerate(self.steps):
            made = step.makes
            if made is not None:
                if step.over:
                    step.over = tuple(
                        b
                        for b in step.over
                        if not b.held and not storage[b].held and last[b] == index and alive[storage[b]] == 1
                    )[:1]
                base = storage[step.view_of or step.over[0]] if step.view_of or step.over else made
                storage[made] = base
                alive[base] = alive.get(base, 0) + 1
                owned.setdefault(base, made.elements)
            touched = dict.fromkeys((*step.touches, made) if made else step.touches)
            step.frees = tuple(b for b in touched if last[b] == index and not b.held)
            for buffer in step.frees:
                base = storage.pop(buffer)
                alive[base] -= 1
                if not alive[base]:
                    step.releases += owned.pop(base)
                    del alive[base]


def nothing(arrays: Arrays) -> None:
    """Do nothing: the step only makes a buffer for later ones to fill."""


NOTHING = Term(FREE, Dims({}, {}))


@dataclass(slots=True)
class Segment:
    """A program and how often it is run: pass i has its cursor at ``first + i * stride``."""

    program: Program
    passes: int = 1
    first: int = 0
    stride: int = 0


@dataclass(slots=True)
class Plan:
    """All that a strategy does.

    Attributes:
        segments: run one after the other.
        gradients: where each trained parameter's gradient stands at the end, by node index and name.
        flat_gradient: the one vector that holds all of them in order, where the strategy fills such a one.
        note: what the strategy chose for this network, in a sentence; empty where there is no choice.
    """

    segments: list[Segment]
    gradients: Mapping[tuple[int, str], Buffer] = field(default_factory=dict)
    flat_gradient: Buffer | None = None
    note: str = ""

    def __post_init__(self) -> None:
        """Settle the liveness of every program."""
        for segment in self.segments:
            segment.program.resolve()
