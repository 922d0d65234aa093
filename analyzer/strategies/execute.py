"""Execution: the schedule run for real, on counting arrays or on plain numpy."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from gradcost.counting import CountingArray, Meter
from gradcost.formula import Counts
from gradcost.graph import Graph
from gradcost.numerics import Array, np
from gradcost.strategies.program import Arrays, Plan, Step

Gradients = Mapping[tuple[int, str], Array]


class Observer(Protocol):
    """Is told of each step before and after it runs."""

    def before(self, step: Step) -> None:
        """Look, before the step."""

    def after(self, step: Step) -> None:
        """Look, after the step and its frees."""


class Data:
    """Parameters, constants, inputs and targets of one network: drawn once, read by every strategy."""

    def __init__(self, graph: Graph, seed: int = 0) -> None:
        """Draw everything from one seeded generator, in the network's dtype."""
        rng = np.random.default_rng(seed)
        self.graph = graph
        self.arrays: dict[tuple[object, ...], Array] = {("one",): np.ones(1, graph.dtype)}
        for node in graph.nodes:
            if node.layer is None:
                self._keep(("input", node.label), rng.standard_normal((graph.batch, *node.shape)))
                continue
            for name in node.layer.parameters:
                self._keep(("parameter", node.index, name), node.layer.initial(name, rng))
            for name in node.layer.constants:
                self._keep(("constant", node.index, name), node.layer.constant(name, graph.batch, rng))
        if graph.loss.needs_target:
            self._keep(("target",), graph.loss.target(graph.batch, rng))

    def _keep(self, key: tuple[object, ...], values: Array) -> None:
        self.arrays[key] = np.ascontiguousarray(values, dtype=self.graph.dtype)


@dataclass(frozen=True, slots=True)
class Measurement:
    """What a real run showed.

    Attributes:
        counts: operations that numpy did, from their operands.
        peak_bytes: the largest total of live array buffers.
        tracemalloc_peak_bytes: what Python's allocator saw at its peak, interpreter objects included.
        seconds: wall time of the same run on plain numpy arrays.
        rows: counts by layer and phase.
        gradients: by node index and parameter name.
        identical: whether counting changed no bit of the gradients.
    """

    counts: Counts
    peak_bytes: int
    tracemalloc_peak_bytes: int
    seconds: float
    rows: Mapping[tuple[str, str], Counts]
    gradients: Gradients
    identical: bool


def run_plain(plan: Plan, data: Data, progress: Callable[[], None] | None = None) -> Gradients:
    """Run a plan on plain numpy arrays and return the gradients."""

    def empty(shape: tuple[int, ...]) -> Array:
        return np.empty(shape, data.graph.dtype)

    arrays = _run(plan, data, lambda values: values, empty, None, progress)
    return {key: np.asarray(values) for key, values in arrays.items()}


def measure(plan: Plan, data: Data, progress: Callable[[], None] | None = None) -> Measurement:
    """Run a plan twice: on counting arrays for the figures, on plain arrays for the time.

    ``progress`` is called once for each pass.
    """
    meter = Meter()
    observer = _Rows(meter)

    def wrap(values: Array) -> Any:
        return CountingArray(values, meter)

    def empty(shape: tuple[int, ...]) -> Any:
        return CountingArray(np.empty(shape, data.graph.dtype), meter)

    with _traced() as traced:
        found = _run(plan, data, wrap, empty, observer, progress)
        traced_peak = traced()
    counts, peak = meter.counts, meter.peak
    gradients = {key: values.data.copy() for key, values in found.items()}
    del found
    held = sum(data.arrays[b.key].nbytes for b in plan.segments[0].program.initial if b.key in data.arrays)
    started = time.perf_counter()
    plain = run_plain(plan, data, progress)
    seconds = time.perf_counter() - started
    identical = all(np.array_equal(plain[key], gradients[key], equal_nan=True) for key in gradients)
    return Measurement(counts, peak, traced_peak + held, seconds, observer.rows, gradients, identical)


@contextmanager
def _traced() -> Iterator[Callable[[], int]]:
    """Trace allocations; what it yields returns the peak so far, above what was traced before."""
    already = tracemalloc.is_tracing()
    if not already:
        tracemalloc.start()
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    try:
        yield lambda: tracemalloc.get_traced_memory()[1] - before
    finally:
        if not already:
            tracemalloc.stop()


class _Rows:
    """Adds up what the meter shows by layer and phase."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self.rows: dict[tuple[str, str], Counts] = {}
        self._start = Counts()

    def before(self, step: Step) -> None:
        self._start = self.meter.counts

    def after(self, step: Step) -> None:
        key = (step.label, step.phase)
        self.rows[key] = self.rows.get(key, Counts()) + (self.meter.counts - self._start)


def _run(
    plan: Plan,
    data: Data,
    wrap: Callable[[Array], Any],
    empty: Callable[[tuple[int, ...]], Any],
    observer: Observer | None,
    progress: Callable[[], None] | None,
) -> dict[tuple[int, str], Any]:
    """Run every pass; arrays of the backend come from ``wrap`` and ``empty`` alone."""
    held: dict[tuple[object, ...], Any] = {}
    made: dict[tuple[int, str], Any] = {}
    with np.errstate(all="ignore"):  # overflow shows in the gradients, which are checked
        for segment in plan.segments:
            program = segment.program
            for number in range(segment.passes):
                program.cursor.start = segment.first + number * segment.stride
                arrays: Arrays = {}
                for buffer in program.initial:
                    assert buffer.key is not None
                    if buffer.key not in held:
                        held[buffer.key] = (
                            empty(buffer.shape) if buffer.key == ("gradient",) else wrap(data.arrays[buffer.key])
                        )
                    arrays[buffer] = held[buffer.key]
                for step in program.steps:
                    if observer is not None:
                        observer.before(step)
                    _do(step, arrays, empty)
                    if observer is not None:
                        observer.after(step)
                made = {key: arrays[buffer] for key, buffer in plan.gradients.items()}
                if progress is not None:
                    progress()
    if plan.flat_gradient is not None:
        return _split(held[("gradient",)], data.graph)
    return made


def _do(step: Step, arrays: Arrays, empty: Callable[[tuple[int, ...]], Any]) -> None:
    made = step.makes
    if made is None:
        step.run(arrays)
    elif step.view_of is not None:
        arrays[made] = step.run(arrays)
    else:
        arrays[made] = arrays[step.over[0]] if step.over else empty(made.shape)
        step.run(arrays)
    for buffer in step.frees:
        del arrays[buffer]


def _split(flat: Any, graph: Graph) -> dict[tuple[int, str], Any]:
    """Return the views of each parameter's part of one long gradient."""
    found, start = {}, 0
    for key, shape in graph.trained.items():
        size = int(np.prod(shape))
        found[key] = flat[start : start + size].reshape(*shape)
        start += size
    return found
