"""Execution: the schedule run for real, on counting arrays or on plain numpy."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from gradcost.counting import CountingArray, Meter
from gradcost.errors import UsageError
from gradcost.formula import Counts
from gradcost.graph import At, Draws, Graph
from gradcost.numerics import Array, np
from gradcost.schedule.program import Arrays, Buffer, Operand, Plan, Step

Gradients = Mapping[tuple[int, str], Array]
Watch = Callable[[Step, Arrays], None]


class Data:
    """Parameters, constants, inputs and targets of one network: drawn once, read by every strategy.

    Attributes:
        round: which of many independent draws of random directions it is.
    """

    def __init__(self, graph: Graph, seed: int = 0) -> None:
        """Draw everything from one seeded generator, in the dtype of its buffer.

        Raises:
            UsageError: the seed is none.
        """
        if not isinstance(seed, int) or seed < 0:
            raise UsageError(f"seed must be a whole number of at least 0, not {seed!r}")
        draws = Draws(seed, graph.dtype)
        self.graph = graph
        self.seed = seed
        self.round = 0
        self.arrays: dict[tuple[object, ...], Array] = {("one",): np.ones(1, graph.dtype)}
        for node in graph.nodes:
            if node.layer is None:
                shape, vocabulary = (graph.batch, *node.shape), node.vocabulary
                drawn = draws.normal(shape) if vocabulary is None else draws.tokens(shape, vocabulary)
                self.arrays["input", node.label] = drawn
                continue
            for name in node.layer.parameters:
                if name not in node.shared:
                    self._keep(("parameter", node.index, name), node.layer.initial(name, draws))
            for name, shape in node.layer.fixed(graph.batch_of(node)).items():
                values = node.layer.constant(name, shape, draws)
                self._keep(("constant", node.index, name), values, node.layer.dtypes.get(name))
        if graph.loss.needs_target:
            values = graph.loss.target(graph.batch_of(graph.output), draws)
            self._keep(("target",), values, graph.loss.target_dtype(graph.dtype))

    def of(self, buffer: Buffer) -> Array | None:
        """Return the values that a buffer starts with; None for one that starts empty.

        Random directions are drawn anew each time, alike in each ``round``: nobody keeps them between runs.
        """
        key = buffer.key
        assert key is not None
        if key[0] != "direction":
            return self.arrays.get(key)
        _, index, name = key
        assert isinstance(index, int)
        return Draws((self.seed, self.round, index, *str(name).encode()), self.graph.dtype).normal(buffer.shape)

    def _keep(self, key: tuple[object, ...], values: Array, dtype: str | None = None) -> None:
        self.arrays[key] = np.ascontiguousarray(values, dtype=dtype or self.graph.dtype)


@dataclass(frozen=True, slots=True)
class Measurement:
    """What a real run showed.

    Attributes:
        counts: operations that numpy did, from their operands.
        peak_bytes: the largest total of live array buffers.
        tracemalloc_peak_bytes: what Python's allocator saw at the peak of a first pass, interpreter objects included.
        seconds: wall time of the same run on plain numpy arrays.
        rows: counts by layer and phase.
        gradients: by node index and parameter name.
        changed_entries: how many entries of the gradients counting changed; none, where all is well.
        loss: its value; None for a Jacobian.
    """

    counts: Counts
    peak_bytes: int
    tracemalloc_peak_bytes: int
    seconds: float
    rows: Mapping[Hashable, Counts]
    gradients: Gradients
    changed_entries: int
    loss: float | None

    @property
    def figures(self) -> dict[str, int | float]:
        """The figures of the whole, by key."""
        return {
            **self.counts.as_dict(),
            "peak_bytes": self.peak_bytes,
            "tracemalloc_peak_bytes": self.tracemalloc_peak_bytes,
            "seconds": self.seconds,
        }


def run_plain(
    plan: Plan, data: Data, progress: Callable[[], None] | None = None, *, watch: Watch | None = None
) -> Gradients:
    """Run a plan on plain numpy arrays and return the gradients; ``watch`` is shown each step that was done."""

    def empty(buffer: Buffer) -> Array:
        return np.empty(buffer.shape, buffer.dtype)

    arrays = _run(plan, data, lambda values: values, empty, None, progress, watch=watch)
    return {key: np.asarray(values) for key, values in arrays.items()}


def run_counted(
    plan: Plan,
    data: Data,
    progress: Callable[[], None] | None = None,
    *,
    trace: bool = False,
    watch: Watch | None = None,
) -> tuple[Meter, Gradients]:
    """Run a plan on counting arrays and return their meter and the gradients; ``trace`` asks tracemalloc too."""
    meter = Meter()

    def wrap(values: Array) -> Any:
        return CountingArray(values, meter)

    def empty(buffer: Buffer) -> Any:
        return CountingArray(np.empty(buffer.shape, buffer.dtype), meter)

    found = _run(plan, data, wrap, empty, meter, progress, trace=trace, watch=watch)
    return meter, {key: values.data for key, values in found.items()}


def measure(plan: Plan, data: Data, progress: Callable[[], None] | None = None) -> Measurement:
    """Run a plan twice: on counting arrays for the figures, on plain arrays for the time.

    ``progress`` is called once for each pass.
    """
    loss: float | None = None

    def watch(step: Step, arrays: Arrays) -> None:
        nonlocal loss
        if step.makes is not None and step.owner is data.graph.loss and step.rule == "primal":
            loss = float(arrays[step.makes].data[0])

    meter, gradients = run_counted(plan, data, progress, trace=True, watch=watch)
    started = time.perf_counter()
    plain = run_plain(plan, data, progress)
    seconds = time.perf_counter() - started
    changed = sum(_changed(plain[key], gradients[key]) for key in gradients)
    return Measurement(meter.counts, meter.peak, meter.traced_peak, seconds, meter.rows, gradients, changed, loss)


def _changed(one: Array, other: Array) -> int:
    """Return how many entries differ; nan is equal to nan."""
    if np.array_equal(one, other, equal_nan=True):
        return 0
    return int(np.count_nonzero((one != other) & ~(np.isnan(one) & np.isnan(other))))


@contextmanager
def _traced(meter: Meter | None) -> Iterator[None]:
    """Let tracemalloc watch a pass, on top of the arrays that are live before it.

    CPython 3.11 does not free what tracemalloc noted of the places that allocate: some 5 KiB each time that it stops.
    """
    if meter is None:
        yield
        return
    already = tracemalloc.is_tracing()
    if not already:
        tracemalloc.start()
    tracemalloc.reset_peak()
    before, live = tracemalloc.get_traced_memory()[0], meter.live
    try:
        yield
        meter.traced_peak = max(meter.traced_peak, live + tracemalloc.get_traced_memory()[1] - before)
    finally:
        if not already:
            tracemalloc.stop()


def _run(
    plan: Plan,
    data: Data,
    wrap: Callable[[Array], Any],
    empty: Callable[[Buffer], Any],
    meter: Meter | None,
    progress: Callable[[], None] | None,
    *,
    trace: bool = False,
    watch: Watch | None = None,
) -> dict[tuple[int, str], Any]:
    """Run every pass; arrays of the backend come from ``wrap`` and ``empty`` alone."""
    held: dict[tuple[object, ...] | None, Any] = {}
    made: dict[tuple[int, str], Any] = {}
    with np.errstate(all="ignore"):  # overflow shows in the gradients, which are checked
        for segment in plan.segments:
            program = segment.program
            initial: Arrays = {}
            for buffer in program.initial:
                if buffer.key not in held:
                    values = data.of(buffer)
                    held[buffer.key] = empty(buffer) if values is None else wrap(values)
                initial[buffer] = held[buffer.key]
            for number in range(segment.passes):
                arrays = dict(initial)
                # All passes allocate alike, and tracing is slow: the first of them is enough.
                with _traced(meter if trace and number == 0 else None):
                    for part, turns in program.parts():
                        for again in range(turns):
                            turn = again if turns > 1 else segment.first + number * segment.stride
                            for step in part:
                                if meter is not None:
                                    meter.enter((step.label, step.phase))
                                _do(step, arrays, turn, empty, watch)
                made = {key: arrays[buffer] for key, buffer in plan.gradients.items()}
                if progress is not None:
                    progress()
    if plan.flat_gradient is not None:
        return _split(held[("gradient",)], data.graph)
    if data.graph.jacobian:
        return made
    return {key: values.reshape(data.graph.trained[key]) for key, values in made.items()}


def _do(step: Step, arrays: Arrays, turn: int, empty: Callable[[Buffer], Any], watch: Watch | None) -> None:
    """Call the step's rule on the live arrays."""
    at = At({name: arrays[buffer] for name, buffer in step.reads.items()})
    at.turn = turn
    rule = getattr(step.owner, step.rule)
    args = [_operand(arg, arrays) for arg in step.args]
    if step.index is not None:
        args.insert(0, step.index)
    made, filled = step.makes, step.fills
    if made is not None and step.view_of is not None:
        arrays[made] = rule(at, *args, made.shape)
    elif filled is not None:
        if made is not None:
            arrays[made] = arrays[step.over[0]] if step.over else empty(made)
        whole = arrays[filled]
        if step.samples:
            _each(step, arrays, turn, whole)
        else:
            rule(at, *args, out=whole if step.columns is None else whole[..., slice(*step.columns)])
    if watch is not None:
        watch(step, arrays)
    for buffer in step.frees:
        del arrays[buffer]


def _each(step: Step, arrays: Arrays, turn: int, out: Any) -> None:
    """Call a rule on each sample by itself: of cotangents (K, B, ..) and values (B, ..) to (B, K, ..)."""
    for sample in range(step.samples):
        one = slice(sample, sample + 1)
        at = At({name: arrays[b][one] if b.batched else arrays[b] for name, b in step.reads.items()})
        at.turn = turn
        operands = (_operand(arg, arrays) for arg in step.args)
        args = (arg[:, one] if arg.shape[1] > 1 else arg for arg in operands)  # or the same for every sample
        getattr(step.owner, step.rule)(at, *args, out=out[sample])


def _operand(operand: Operand, arrays: Arrays) -> Any:
    if isinstance(operand, Buffer):
        return arrays[operand]
    return arrays[operand.buffer][..., slice(*operand.columns)]


def _split(flat: Any, graph: Graph) -> dict[tuple[int, str], Any]:
    """Return the views of each parameter's part of one long gradient, or of the columns of a Jacobian."""
    found, start = {}, 0
    for key, shape in graph.trained.items():
        size = int(np.prod(shape))
        found[key] = flat[..., start : start + size].reshape(*flat.shape[:-1], *shape)
        start += size
    return found
