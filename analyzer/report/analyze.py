"""analyze and study: load, predict, measure what fits, compare."""

from __future__ import annotations

import gc
import platform
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

from gradcost.errors import BudgetError, UsageError, nearest
from gradcost.execution.timeline import Timeline, timeline
from gradcost.graph import Graph
from gradcost.network import load
from gradcost.report.details import layer_costs
from gradcost.report.facing import facing, sides
from gradcost.report.figures import RANKING, Measured, Operations, Predicted
from gradcost.report.model import (
    SCHEMA_VERSION,
    WARNING,
    Comparison,
    Mismatch,
    NetworkReport,
    Place,
    Report,
    StrategyReport,
    Target,
)
from gradcost.report.plain import finite
from gradcost.report.training import Memory, split_options, training_of
from gradcost.report.verdict import BASELINE, recommend, rival, verdict
from gradcost.schedule.predict import Prediction, predict
from gradcost.schedule.strategy import BY
from gradcost.strategies import ALIASES, OPTIONS, PRIMAL, STRATEGIES, Options, Plan, Strategy
from gradcost.units import available_bytes, exact_ratio, format_bytes, format_count, format_short, parse_bytes
from gradcost.version import __version__

SECONDS_ALLOWED = 10.0
SECONDS_PER_STEP = 1e-5  # what a small step costs, counted
SECONDS_PER_FLOP = 2e-10  # of a large one
MOST_HALF_MULTIPLIES = 10**9  # in float16, of which numpy does some 3e8 a second: it has no fast product for them
JACOBIANS = {"forward_jacobian", "forward_factored"}  # strategies that carry columns of every bias

HALF = (
    "float16 as numpy has it: beyond 65,504 all is infinite, the number that a mean divides by too; below 6e-08, zero."
)
COUPLED = (
    "The statistics of a batch couple its samples, so the Jacobian is that of the whole batch, not one for each sample."
)

Progress = Callable[[str, int, int], None]
P = ParamSpec("P")


@dataclass(slots=True)
class _Work:
    """One strategy on its way through an analysis."""

    strategy: Strategy
    plan: Plan
    prediction: Prediction
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


@dataclass(frozen=True)
class Analysis:
    """A report, and what it was made from.

    Attributes:
        report: plain data.
        network: what was analysed.
        plans: the schedules of the strategies, and of the primal, by name.
        predictions: their closed forms, evaluated.
    """

    report: Report
    network: Graph = field(repr=False)
    plans: Mapping[str, Plan] = field(repr=False)
    predictions: Mapping[str, Prediction] = field(repr=False)

    def timeline(self, name: str) -> Timeline:
        """Return which array of a strategy is alive at which step of a pass.

        Raises:
            UsageError: the strategy is not among those that were analysed.
        """
        own = ALIASES.get(name, name)
        if own not in self.plans:
            raise UsageError(f"{name!r} was not analysed here{nearest(name, self.plans)}")
        return timeline(self.plans[own])


@contextmanager
def garbage_collection_paused() -> Iterator[None]:
    """Long plans are millions of small objects, none of them garbage: looking for some would take half of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@garbage_collection_paused()
def study(
    source: str | Path | Mapping[str, Any] | Graph,
    *,
    strategies: str | Sequence[str] | None = None,
    batch: int | None = None,
    dtype: str | None = None,
    measure: bool | None = None,
    budget: int | str | None = None,
    wrt: str | None = None,
    outputs: str | None = None,
    across_batch: bool | None = None,
    seed: int = 0,
    memory_of: str = "numpy",
    progress: Progress | None = None,
    **options: Any,
) -> Analysis:
    """Predict, and measure, what each strategy costs on a network.

    Args:
        source: see ``load``.
        strategies: a name, or several; None compares all.
        batch: instead of the spec's.
        dtype: instead of the spec's.
        measure: True measures every strategy that fits the budget, False none, None those that also finish in seconds;
            of float16, for which numpy has no fast product, those that are named or take few multiplies.
        budget: bytes, or text such as ``8GiB``, that a measured run may take at its peak; None: half of the memory
            available now.
        wrt: see ``load``.
        outputs: see ``load``.
        across_batch: see ``load``.
        seed: of the random parameters and data.
        memory_of: whose memory ``peak_bytes`` is: ``numpy``: what runs here; ``pytorch``: the same training step there,
            for reverse and reverse_checkpointed, predicted alone.
        progress: called with what is being done, and passes done and in all (0 where that is not known).
        options: of the strategies (``gradcost.strategies.OPTIONS``): ``chunk``, how many rows are pulled or columns are
            pushed at a time, by default all for a Jacobian, as jacrev and jacfwd do, and one tangent for a loss;
            ``checkpoints``, the schedule of ``reverse_checkpointed``: ``sqrt``, ``uniform:K`` or ``binomial:C``, by
            default the cheapest whose peak fits a budget that is given, else ``sqrt``; ``by``, what decides which
            order ``optimal`` takes and which strategy wins: ``multiplies``, or ``peak_bytes``.

    Returns:
        The analysis; of ``analyze``, its report alone. Where measurement proved something wrong, ``report.mismatches``
        says what.

    Raises:
        SpecError: the spec cannot be used.
        UsageError: a strategy that is unknown or does not apply, or an option that is unknown or out of range.
        BudgetError: a strategy that was asked for by name would not fit the budget; nothing has been allocated.
    """
    if isinstance(budget, str):
        budget = parse_bytes(budget)
    if budget is not None and (not isinstance(budget, int) or isinstance(budget, bool) or budget < 1):
        raise UsageError(f"budget must be a whole number of bytes, or text such as '8GiB', not {budget!r}")
    graph = load(source, batch=batch, dtype=dtype, wrt=wrt, outputs=outputs, across_batch=across_batch)
    options, choices = split_options(options)
    memory = Memory(training_of(graph, choices, memory_of), memory_of, options)
    names = memory.strategies(graph, strategies)
    asked = Options(budget=budget, **memory.options)
    by: str = BY.of(graph, asked)
    work: dict[str, _Work] = {}
    for strategy in (PRIMAL, *(STRATEGIES[name] for name in names)):
        if progress is not None:
            progress(f"predicting {strategy.name}", 0, 0)
        plan = strategy.plan(graph, asked)
        work[strategy.name] = _Work(strategy, plan, memory.repriced(graph, strategy.name, predict(plan)))
    if memory_of == "numpy":
        _choose(work, measure, _budget(budget, measure), by_name=strategies is not None, half=graph.dtype == "float16")
    else:
        _skip(work, measure)
    measured, mismatches, warnings = _measure(graph, work, seed, progress)
    reports = {name: _strategy_report(name, work, measured.get(name)) for name in work}
    primal = reports.pop(PRIMAL.name)
    plans = {name: item.plan for name, item in work.items()}
    predictions = {name: item.prediction for name, item in work.items()}
    # Only a budget that the caller set may sway the advice: what is free at this minute is no property of the network.
    recommended = recommend(reports, budget, by)
    against = recommended and rival(reports, recommended)
    target = _target(graph, reports)

    def table(sides: Sequence[str]) -> Any:
        return facing(graph, sides, plans, predictions, predictions[PRIMAL.name])

    report = Report(
        schema_version=SCHEMA_VERSION,
        gradcost_version=__version__,
        network=_network_report(graph),
        target=target,
        verdict=verdict(reports, recommended, primal, budget, target, table([n for n in (recommended, against) if n])),
        primal=primal,
        strategies=reports,
        comparison=_compare(reports, recommended),
        facing=table(sides(graph, names, None if strategies is None else names)),
        notes=(
            *(f"{WARNING}{each}" for each in warnings),
            *((HALF,) if graph.dtype == "float16" else ()),
            *memory.notes(graph),
            *((COUPLED,) if graph.jacobian and not graph.per_sample and not across_batch else ()),
            *_notes(graph, reports),
        ),
        mismatches=tuple(mismatches),
        settings={
            **{name: memory.options.get(name) for name in OPTIONS},
            "budget": budget,
            "across_batch": across_batch,
            "memory_of": memory_of,
            **memory.settings,
            "measure": measure,
            "seed": seed,
            "python": platform.python_version(),
            "numpy": getattr(sys.modules.get("numpy"), "__version__", None),
        },
    )
    return Analysis(report, graph, plans, predictions)


def _report_of(analysis: Callable[P, Analysis]) -> Callable[P, Report]:
    """Return a function of the same arguments that returns the report alone."""

    @wraps(analysis)
    def analyze(*args: P.args, **kwargs: P.kwargs) -> Report:
        return analysis(*args, **kwargs).report

    analyze.__name__ = analyze.__qualname__ = "analyze"
    return analyze


analyze = _report_of(study)


def _notes(graph: Graph, reports: Mapping[str, StrategyReport]) -> Iterator[str]:
    for name, strategy in reports.items():
        again = exact_ratio(strategy.phase("recompute").multiplies, strategy.predicted.multiplies)
        share = f", {100 * again:.3g} % of its multiplies" if 0 < again < 1 else ""
        if strategy.note and strategy.same_as is None:
            yield f"{name}: {strategy.note}{share}."
    if graph.bias_parameters:
        share = f"{100 * exact_ratio(graph.bias_parameters, graph.trained_parameters):.3g} %"
        carried = ": their columns are carried too" if JACOBIANS & reports.keys() else ""
        yield (
            f"Biases are {format_count(graph.bias_parameters)} of the {format_count(graph.trained_parameters)} trained "
            f"parameters ({share}){carried}."
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
    return Target(graph.spec.outputs, graph.spec.wrt, graph.per_sample, graph.rows, graph.trained_parameters, below)


def _budget(budget: int | None, measure: bool | None) -> int | None:
    if budget is None and measure is not False:
        return available_bytes() // 2
    return budget


def _choose(work: Mapping[str, _Work], measure: bool | None, budget: int | None, *, by_name: bool, half: bool) -> None:
    """Settle what is not measured, and why; ``half``: its numbers are float16."""
    too_large = []
    for name, item in work.items():
        peak = item.prediction.peak_bytes
        if budget is not None and peak > budget:
            item.skipped = f"over the budget of {format_bytes(budget)}"
            if name != PRIMAL.name:
                too_large.append(f"{name} needs {format_bytes(peak)}, {item.skipped}")
        elif measure is False:
            item.skipped = "measuring was switched off"
        elif measure is None and item.seconds > SECONDS_ALLOWED:
            item.skipped = f"over {SECONDS_ALLOWED:.0f} s by a rough guess, --measure runs them"
        elif measure is None and half and not by_name and item.prediction.counts.multiplies > MOST_HALF_MULTIPLIES:
            most = format_short(MOST_HALF_MULTIPLIES)
            item.skipped = f"over {most} multiplies in float16, which numpy does slowly, --measure runs them"
    if too_large and by_name and measure is not False:
        raise BudgetError(
            "; ".join(too_large) + "; lower the batch, raise the budget, or do not measure (--no-measure)"
        )


def _skip(work: Mapping[str, _Work], measure: bool | None) -> None:
    """Leave all unmeasured: another framework's memory is predicted, and nothing of it runs here."""
    if measure:
        raise UsageError(
            "PyTorch's memory is predicted and nothing of it runs here; leave --measure or --memory-of out"
        )
    for item in work.values():
        item.skipped = "PyTorch's memory is a prediction"


def _measure(
    graph: Graph, work: Mapping[str, _Work], seed: int, progress: Progress | None
) -> tuple[dict[str, Measured], list[Mismatch], Sequence[str]]:
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
    graded = {name: found[name] for name in found if name != PRIMAL.name}
    judged = judge(graph, {name: work[name].plan for name in graded}, graded, data)
    measured = {
        name: Measured({**each.figures, "gradient_max_relative_error": judged.errors.get(name)})
        for name, each in found.items()
    }
    for name, variance in judged.variances.items():
        work[name].plan.note += "; {:,.4g} times measured over {} runs".format(*variance)
    return measured, [*mismatches, *judged.mismatches], judged.warnings


def _strategy_report(name: str, work: Mapping[str, _Work], measured: Measured | None) -> StrategyReport:
    item = work[name]
    prediction = item.prediction
    phases: dict[str, Any] = {}
    for row in prediction.rows.values():
        phases[row.phase] = row.counts + phases[row.phase] if row.phase in phases else row.counts
    return StrategyReport.later(
        {"layers": lambda: layer_costs(prediction)},
        exact=item.strategy.exact,
        carries=item.strategy.carries,
        skipped=item.skipped,
        predicted=Predicted(prediction.figures),
        measured=measured,
        peak_at=Place(*prediction.peak_at),
        schedule=item.plan.schedule,
        note=item.plan.note,
        same_as=_twin(name, work),
        front=item.plan.front,
        phases={phase: Operations(counts.as_dict()) for phase, counts in phases.items()},
    )


def _twin(name: str, work: Mapping[str, _Work]) -> str | None:
    """Return an earlier strategy that does the very same."""
    own = work[name].prediction
    for earlier, item in work.items():
        if earlier == name:
            return None
        other = item.prediction
        if (own.counts, own.peak_bytes, own.steps) != (other.counts, other.peak_bytes, other.steps):
            continue
        if list(own.rows) == list(other.rows) and all(
            row.totals == other.rows[key].totals for key, row in own.rows.items()
        ):
            return earlier
    return None


def _network_report(graph: Graph) -> NetworkReport:
    return NetworkReport(
        graph.name,
        graph.dtype,
        graph.batch,
        graph.parameters,
        graph.trained_parameters,
        graph.bias_parameters,
        graph.layers,
    )


def _compare(reports: Mapping[str, StrategyReport], recommended: str | None) -> Comparison:
    baseline = BASELINE if BASELINE in reports else next(iter(reports), PRIMAL.name)
    ratios: dict[str, dict[str, float | None]] = {}
    for name, report in reports.items():
        base = reports[baseline].predicted
        ratios[name] = {
            figure.key: finite(exact_ratio(report.predicted[figure.key], base[figure.key])) for figure in RANKING
        }
    return Comparison(baseline, ratios, recommended)
