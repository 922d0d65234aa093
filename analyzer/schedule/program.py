"""Programs: a strategy's schedule as steps over buffers, read by prediction and by execution alike.

A step is data: whose rule it is, which of its rules, on which buffers. What it does, what it costs, and how it is
written as an equation follow from that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from gradcost.formula import Dims, Term
from gradcost.graph import At, Layer, Loss, Node, rule, rule_of
from gradcost.numerics import Array
from gradcost.schedule.lifetimes import resolve
from gradcost.units import ITEM_BYTES, Shape

if TYPE_CHECKING:
    from gradcost.carrying.columns import Columns

NO_DIMS = Dims({}, {})


@dataclass(slots=True, eq=False)
class Buffer:
    """A named array of a schedule.

    Attributes:
        symbol: what it is: ``a[1]``, ``da[2]/dW[1]``, ``dL/dz[1]``.
        shape: its shape, the batch axis included.
        dtype: of its elements.
        held: it lives to the end: parameters, data, gradients.
        key: what it is filled with before the first step (see ``Data``), for buffers that no step makes.
        columns: the births whose Jacobians stand side by side on its last axis, for a stack of several.
        pulled: whether its first axis is that of K cotangents, or of the gradients that come of them.
        batched: whether it has an axis of the samples, the first but for that of cotangents.
    """

    symbol: str
    shape: Shape
    dtype: str
    held: bool = False
    key: tuple[object, ...] | None = None
    columns: Columns | None = None
    pulled: bool = False
    batched: bool = False

    @property
    def shown(self) -> Shape:
        """Its shape for people: a single cotangent has no axis for how many there are."""
        return self.shape[1:] if self.pulled and self.shape[0] == 1 else self.shape

    @property
    def elements(self) -> int:
        """The number of elements."""
        return prod(self.shape)

    @property
    def bytes(self) -> int:
        """The number of bytes."""
        return prod(self.shape) * ITEM_BYTES[self.dtype]

    @property
    def name(self) -> str:
        """Its symbol, and for a stack of Jacobians from which birth to which: ``da[3]/d(W[1]..b[2])``."""
        if self.columns is None:
            return self.symbol
        births, bits = self.columns.births, self.columns.bits
        first, last = births[(bits & -bits).bit_length() - 1], births[bits.bit_length() - 1]
        span = first.symbol if first is last else f"({first.symbol}..{last.symbol})"
        return f"{self.symbol.removesuffix('*')}{span}"


class Part(NamedTuple):
    """Some columns, the first and the end, of a buffer's last axis."""

    buffer: Buffer
    columns: tuple[int, int]


Operand: TypeAlias = Buffer | Part


class Operation:
    """What a strategy does that is no layer's: numpy code, and above it in ``@rule`` the closed form of its cost.

    A subclass defines ``run(at, *args, out)``, which fills ``out``, or, for a step that only gives an array another
    shape, ``run(at, *args, shape)``, which returns the view. ``at.turn`` is where the loop, or the pass, stands. In
    ``says``, ``{0}``, ``{1}``, ... are the names of its arguments; without it, they are written as a product.
    """


class Room(Operation):
    """Nothing is done: a buffer comes alive that later steps fill, or what a loop reads lives to its last turn."""

    @rule()
    def run(self, at: At, out: Array) -> None:
        """Leave it as it is."""


@dataclass(slots=True, eq=False)
class Step:
    """One operation of a schedule.

    Attributes:
        label: the layer that it belongs to in the report.
        phase: what it is part of (see ``phases``).
        owner: whose rule it is: a layer, the loss, or an operation of the strategy.
        rule: the rule's name, such as ``primal`` or ``vjp_W``.
        reads: what the rule reads from ``at``, by name.
        args: what it is called with.
        makes: the buffer that comes alive here, if any.
        into: the buffer that it fills, if that is alive already.
        term: the closed form of its cost.
        touches: every buffer that it reads, or fills without making it.
        node: the node of the graph whose rule it is; None for the loss and for operations.
        index: which input the rule is about, for joins.
        columns: the part of the last axis of what it fills, where it fills a part.
        view_of: the buffer that ``makes`` is a view of.
        over: operands that ``makes`` may be written over; ``resolve`` leaves the one that dies here, if any.
        samples: how many times the rule is called, each for one sample of what has a batch axis; 0: once for all.
        storage: the buffer whose memory ``makes`` lives in, itself where it is allocated (set by ``resolve``).
        frees: buffers that die after this step (set by ``resolve``).
        drops: those whose memory is given back with them (set by ``resolve``).
    """

    label: str
    phase: str
    owner: Layer | Loss | Operation
    rule: str
    reads: Mapping[str, Buffer]
    args: tuple[Operand, ...]
    makes: Buffer | None
    into: Buffer | None
    term: Term
    touches: tuple[Buffer, ...]
    node: Node | None = None
    index: int | None = None
    columns: tuple[int, int] | None = None
    view_of: Buffer | None = None
    over: tuple[Buffer, ...] = ()
    samples: int = 0
    storage: Buffer | None = None
    frees: tuple[Buffer, ...] = ()
    drops: tuple[Buffer, ...] = ()

    @property
    def fills(self) -> Buffer | None:
        """The buffer that it makes or fills."""
        return self.makes or self.into

    @property
    def idle(self) -> bool:
        """Whether it only makes room, or marks the end of a loop."""
        return isinstance(self.owner, Room)

    @property
    def allocates(self) -> int:
        """Bytes that come alive here (after ``resolve``)."""
        return self.makes.bytes if self.makes is not None and self.storage is self.makes else 0

    @property
    def releases(self) -> int:
        """Bytes given back after this step (after ``resolve``)."""
        return sum(buffer.bytes for buffer in self.drops)


@dataclass(slots=True)
class Program:
    """The steps of one pass over the network, and what is alive before the first.

    Attributes:
        initial: the buffers that are alive before the first step.
        steps: in order.
        loops: the first step, the end and the turns of each loop.
    """

    initial: list[Buffer] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    loops: list[tuple[int, int, int]] = field(default_factory=list)

    def hold(self, symbol: str, shape: Shape, dtype: str, key: tuple[object, ...]) -> Buffer:
        """Add a buffer that is alive throughout."""
        buffer = Buffer(symbol, shape, dtype, held=True, key=key)
        self.initial.append(buffer)
        return buffer

    def step(
        self,
        label: str,
        phase: str,
        owner: Layer | Loss | Operation,
        rule: str = "run",
        *,
        reads: Mapping[str, Buffer] | None = None,
        args: tuple[Operand, ...] = (),
        makes: Buffer | None = None,
        into: Buffer | None = None,
        dims: Dims = NO_DIMS,
        node: Node | None = None,
        index: int | None = None,
        columns: tuple[int, int] | None = None,
        view_of: Buffer | None = None,
        over: tuple[Buffer, ...] = (),
        samples: int = 0,
        holds: Iterable[Buffer] = (),
    ) -> None:
        """Append a step; ``dims`` are the symbols of its closed form, ``holds`` what it keeps alive besides."""
        reads = reads or {}
        given = (arg if isinstance(arg, Buffer) else arg.buffer for arg in args)
        touches = (*((into,) if into else ()), *reads.values(), *given, *holds)
        term = Term(rule_of(owner, rule).cost, dims, samples or 1)
        self.steps.append(
            Step(
                label,
                phase,
                owner,
                rule,
                reads,
                args,
                makes,
                into,
                term,
                touches,
                node,
                index,
                columns,
                view_of,
                over,
                samples,
            )
        )

    @contextmanager
    def loop(self, turns: int) -> Iterator[None]:
        """Do the steps that are appended meanwhile several times; ``at.turn`` is the number of the turn, from 0.

        What they make dies within the turn; what they read from outside lives until the last turn is over.
        """
        first = len(self.steps)
        yield
        body = self.steps[first:]
        inside = {step.makes for step in body}
        outside = dict.fromkeys(buffer for step in body for buffer in step.touches if buffer not in inside)
        self.loops.append((first, len(self.steps), turns))
        self.step(body[-1].label, body[-1].phase, Room(), holds=outside)

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
        blank = {step.makes for step in self.steps if step.idle}  # made empty, for another step to fill
        kept = []
        for step in reversed(self.steps):
            filled = {buffer for buffer in step.touches if buffer in blank} | {step.makes}
            if step.phase == phase and needed.isdisjoint(filled):
                continue
            needed.update(step.touches)
            kept.append(step)
        self.steps = kept[::-1]


@dataclass(slots=True)
class Segment:
    """A program and how often it is run: pass i has its turn at ``first + i * stride``."""

    program: Program
    passes: int = 1
    first: int = 0
    stride: int = 0


@dataclass(frozen=True)
class Tradeoff:
    """A schedule that no other one that was considered beats in both figures.

    Attributes:
        schedule: which, in a word or a formula.
        multiplies: predicted, of the whole.
        peak_bytes: predicted, of the whole.
    """

    schedule: str
    multiplies: int
    peak_bytes: int


@dataclass(slots=True)
class Plan:
    """All that a strategy does.

    Attributes:
        segments: run one after the other.
        gradients: where each trained parameter's gradient stands at the end, by node index and name.
        flat_gradient: the one vector that holds all of them in order, where the strategy fills such a one.
        carried: the derivatives that are carried at each node, by its index: its cotangent, or the Jacobians of its
            value, as they stand when the walk has come to it.
        schedule: what the strategy chose for this network, in a word or a formula; empty where there is no choice.
        note: the same in a sentence.
        front: multiplies against peak, where the strategy was asked to weigh them: the fewest multiplies first.
    """

    segments: list[Segment]
    gradients: Mapping[tuple[int, str], Buffer] = field(default_factory=dict)
    flat_gradient: Buffer | None = None
    carried: Mapping[int, tuple[Buffer, ...]] = field(default_factory=dict)
    schedule: str = ""
    note: str = ""
    front: tuple[Tradeoff, ...] = ()

    def __post_init__(self) -> None:
        """Settle the liveness of every program."""
        for segment in self.segments:
            resolve(segment.program)


Arrays: TypeAlias = dict[Buffer, Any]
