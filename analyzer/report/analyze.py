"""analyze: load, predict, measure what fits, compare."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gradcost.errors import BudgetError, UsageError
from gradcost.graph import Graph
from gradcost.network import load
from gradcost.report.model import (
    Comparison,
    LayerCost,
    Measured,
    Mismatch,
    NetworkReport,
    Predicted,
    Report,
    StrategyReport,
    Target,
)
from gradcost.report.verdict import recommend, verdict
from gradcost.schedule.predict import Prediction, predict
from gradcost.strategies import STRATEGIES, Options, Plan, chosen
from gradcost.units import available_bytes, exact_ratio, format_bytes, format_short
from gradcost.version import __version__

BASELINE = "reverse"
SECONDS_ALLOWED = 10.0
SECONDS_PER_STEP = 1e-5  # what a small step costs, counted
SECONDS_PER_FLOP = 2e-10  # of a large one

Progress = Callable[[str, int, int], None]


@dataclass(slots=True)
class _Work:
    """One strategy on its way through an analysis."""

    plan: Plan
    prediction: Prediction
    peak_bytes: int
    skipped: str | None = None

    @property
    def passes(self) -> int:
        """How often the network is run, counted and plain together."""
        return 2 * sum(segment.passes for segment in self.plan.segments)

    @property
    def seconds(self) -> float:
        """A rough guess of how long that takes."""
        steps = exact_ratio(self.prediction.steps, 1)
        flops = exact_ratio(self.prediction.counts.flops, 1)
        return 2 * (steps * SECONDS_PER_STEP + flops * SECONDS_PER_FLOP)


@contextmanager
def _garbage_collection_paused() -> Iterator[None]:
    """Long plans are millions of small objects, none of them garbage: looking for some would take half of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@_garbage_collection_paused()
def analyze(
    source: str | Path | Mapping[str, Any] | Graph,
    *,
    strategies: Sequence[str] | None = None,
    batch: int | None = None,
    dtype: str | None = None,
    measure: bool | None = None,
    budget: int | None = None,
    chunk: int | None = None,
    wrt: str | None = None,
    outputs: str | None = None,
    checkpoints: str | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Report:
    """Predict, and measure, what each strategy costs on a network.

    Args:
        source: a YAML file, a dict of the same form, or a network from ``load``.
        strategies: names; None compares all.
        batch: instead of the spec's.
        dtype: instead of the spec's.
        measure: True measures every strategy that fits the budget, False none, None those that also finish in seconds.
        budget: bytes that a measured run may take at its peak; None: half of the memory available now.
        chunk: tangents that ``forward_jvp`` pushes in one pass, and ``forward_gradient`` in its only one; None: 1, or
            all of them for a Jacobian, as jacfwd does.
        wrt: see ``load``.
        outputs: see ``load``.
        checkpoints: the schedule of ``reverse_checkpointed``: ``sqrt``, ``uniform:K`` or ``binomial:C``; None: the
            cheapest whose peak fits a budget that is given, else ``sqrt``.
        seed: of the random parameters and data.
        progress: called with what is being done, and passes done and in all (0 where that is not known).

    Returns:
        The report. Where measurement proved something wrong, ``report.mismatches`` says what.

    Raises:
        SpecError: the spec cannot be used.
        UsageError: a strategy that is unknown or does not apply, or an option out of range.
        BudgetError: a strategy that was asked for by name would not fit the budget; nothing has been allocated.
    """
    if chunk is not None and (isinstance(chunk, bool) or not isinstance(chunk, int) or chunk < 1):
        raise UsageError(f"chunk must be a whole number of at least 1, not {chunk!r}")
    if budget is not None and budget < 1:
        raise UsageError(f"budget must be at least one byte, not {budget!r}")
    graph = load(source, batch=batch, dtype=dtype, wrt=wrt, outputs=outputs)
    names = chosen(graph, strategies)
    if chunk is None:
        chunk = graph.trained_parameters if graph.jacobian else 1
    work: dict[str, _Work] = {}
    for name in names:
        if progress is not None:
            progress(f"predicting {name}", 0, 0)
        work[name] = _predict(graph, name, Options(chunk=chunk, checkpoints=checkpoints, budget=budget))
    allowed = _budget(budget, measure)
    _choose(work, measure, allowed, by_name=strategies is not None)
    measured, mismatches, notes = _measure(graph, work, seed, progress)
    reports = {name: _strategy_report(graph, name, work[name], measured.get(name)) for name in names}
    # Only a budget that the caller set may sway the advice: what is free at this minute is no property of the network.
    recommended = recommend(reports, budget)
    target = _target(graph, reports)
    return Report(
        __version__,
        _network_report(graph),
        reports,
        _compare(reports, recommended),
        tuple(mismatches),
        verdict(reports, recommended, budget, target),
        target,
        notes,
    )


def _target(graph: Graph, reports: Mapping[str, StrategyReport]) -> Target:
    """Return what is differentiated, and below how many parameters pushing tangents takes fewer multiplies."""
    below = None
    if graph.jacobian and {"reverse", "forward_jvp"} <= reports.keys():
        pulls, pushes = (
            reports[name].predicted.multiplies - reports[name].phase("primal").multiplies
            for name in ("reverse", "forward_jvp")
        )
        below = -(-pulls * graph.trained_parameters // pushes) if pushes else None
    return Target(graph.spec.outputs, graph.spec.wrt, graph.rows, graph.trained_parameters, below)


def _predict(graph: Graph, name: str, options: Options) -> _Work:
    plan = STRATEGIES[name].plan(graph, options)
    prediction = predict(plan)
    return _Work(plan, prediction, prediction.peak_bytes)


def _budget(budget: int | None, measure: bool | None) -> int | None:
    if budget is None and measure is not False:
        return available_bytes() // 2
    return budget


def _choose(work: Mapping[str, _Work], measure: bool | None, budget: int | None, *, by_name: bool) -> None:
    """Settle what is not measured, and why."""
    too_large = []
    for name, item in work.items():
        if budget is not None and item.peak_bytes > budget:
            item.skipped = f"needs {format_bytes(item.peak_bytes)}, over the budget of {format_bytes(budget)}"
            too_large.append(f"{name} {item.skipped}")
        elif measure is False:
            item.skipped = "measuring was switched off"
        elif measure is None and item.seconds > SECONDS_ALLOWED:
            flops = format_short(item.prediction.counts.flops)
            item.skipped = (
                f"{flops} operations in {format_short(item.prediction.steps)} steps take long; --measure runs them"
            )
    if too_large and by_name and measure is not False:
        raise BudgetError(
            "; ".join(too_large) + "; lower the batch, raise the budget, or do not measure (--no-measure)"
        )


def _measure(
    graph: Graph, work: Mapping[str, _Work], seed: int, progress: Progress | None
) -> tuple[dict[str, Measured], list[Mismatch], tuple[str, ...]]:
    """Run every strategy that was not skipped."""
    chosen = [name for name in work if work[name].skipped is None]
    if not chosen:
        return {}, [], ()
    from gradcost.execution.execute import Data, Measurement, measure
    from gradcost.report.check_counts import compare_figures
    from gradcost.report.check_gradients import judge

    data = Data(graph, seed)
    found: dict[str, Measurement] = {}
    mismatches: list[Mismatch] = []
    for name in chosen:
        item, done = work[name], 0

        def tick(name: str = name, passes: int = item.passes) -> None:
            nonlocal done
            done += 1
            if progress is not None:
                progress(f"measuring {name}", done, passes)

        found[name] = measure(item.plan, data, tick)
        mismatches.extend(compare_figures(name, item.prediction, found[name]))
    judged = judge(graph, {name: work[name].plan for name in found}, found, data)
    measured = {
        name: Measured(
            **asdict(m.counts),
            peak_bytes=m.peak_bytes,
            tracemalloc_peak_bytes=m.tracemalloc_peak_bytes,
            seconds=m.seconds,
            gradient_max_relative_error=judged.errors.get(name),
        )
        for name, m in found.items()
    }
    for name, variance in judged.variances.items():
        work[name].plan.note += "; {:.4g} times measured over {} runs".format(*variance)
    return measured, [*mismatches, *judged.mismatches], tuple(judged.warnings)


def _strategy_report(graph: Graph, name: str, item: _Work, measured: Measured | None) -> StrategyReport:
    return StrategyReport(
        exact=STRATEGIES[name].exact,
        skipped=item.skipped,
        predicted=Predicted(**asdict(item.prediction.counts), peak_bytes=item.peak_bytes),
        measured=measured,
        layers=tuple(LayerCost(row, graph.item_bytes) for row in item.prediction.rows.values()),
        peak_at=item.prediction.peak_at,
        note=item.plan.note,
        plan=item.plan,
        item_bytes=graph.item_bytes,
    )


def _network_report(graph: Graph) -> NetworkReport:
    return NetworkReport(
        graph.name,
        graph.dtype,
        graph.batch,
        graph.parameters,
        graph.layers,
        graph.trained_parameters,
        graph.bias_parameters,
    )


def _compare(reports: Mapping[str, StrategyReport], recommended: str) -> Comparison:
    baseline = BASELINE if BASELINE in reports else next(iter(reports))
    base = reports[baseline].predicted
    ratios = {
        name: {
            "multiplies": exact_ratio(report.predicted.multiplies, base.multiplies),
            "peak_bytes": exact_ratio(report.predicted.peak_bytes, base.peak_bytes),
        }
        for name, report in reports.items()
    }
    return Comparison(baseline, ratios, recommended)
