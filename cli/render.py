"""The report as tables, for a terminal of 80 columns or more, a pipe, or NO_COLOR."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from gradcost.report import LayerCost, Report, StrategyReport, Tensor
from gradcost.strategies import STRATEGIES
from gradcost.units import exact_ratio, format_bytes, format_count, format_seconds, format_short

TENSOR_ROWS = 24  # of a small network, all tensors are listed
LARGEST = 3  # of a larger one, these


def render(report: Report, *, explain: bool = False) -> None:
    """Print the verdict, the strategies side by side, and each strategy's tensors; with ``explain``, closed forms."""
    console = Console(highlight=False, markup=False, soft_wrap=False)
    network = report.network
    console.print(
        Text(
            f"{network.name}: {len(network.layers):,} layers, {format_count(network.parameters)} parameters, "
            f"batch {network.batch:,}, {network.dtype}",
            style="bold",
        )
    )
    if (report.target.outputs, report.target.wrt) != ("loss", "params"):
        target = report.target
        size = f"{format_count(target.rows)} x {format_count(target.columns)}"
        console.print(Text(f"d {target.outputs} / d {target.wrt}: {size} numbers", style="bold"))
    console.print()
    console.print(Text.assemble(("Verdict: ", "bold green"), report.verdict))
    console.print()
    console.print(_predicted(report))
    note = f"Factors are relative to {report.comparison.baseline}. MACs: the multiplies inside contractions."
    console.print(Text(note, style="dim"))
    console.print()
    if any(strategy.measured for strategy in report.strategies.values()):
        console.print(_measured(report))
    else:
        console.print(_not_measured(report))
    if network.bias:
        share = 100 * exact_ratio(network.bias, network.trained)
        console.print(
            Text(
                f"Biases are {format_count(network.bias)} of the {format_count(network.trained)} trained "
                f"parameters ({share:.3g} %): their columns are carried too.",
                style="dim",
            )
        )
    for name, strategy in report.strategies.items():
        label, phase = strategy.peak_at
        peak = format_bytes(strategy.predicted.peak_bytes)
        console.print()
        console.print(Text(f"{name}: {STRATEGIES[name].carries}", style="bold"))
        console.print(Text(f"The peak of {peak} is at {label}, {phase}.", style="dim"))
        for line in _notes(strategy):
            console.print(Text(line, style="dim"))
        twin = _twin(name, report)
        if twin is not None:
            console.print(Text(f"Its schedule is that of {twin}."))
            continue
        tensors = list(islice(_all_tensors(strategy), TENSOR_ROWS + 1))
        console.print(_tensors(tensors) if len(tensors) <= TENSOR_ROWS else _largest(strategy))
    if explain:
        for name, strategy in report.strategies.items():
            console.print()
            _explain(console, name, strategy)


def new_table(title: str | None, *columns: str) -> Table:
    """Return an empty table: the first column is text, the others are numbers."""
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index else "left", no_wrap=True)
    return table


def _predicted(report: Report) -> Table:
    base = report.strategies[report.comparison.baseline].predicted
    table = new_table("Predicted by closed forms", "strategy", "multiplies", "", "MACs", "", "peak", "")
    for name, strategy in report.strategies.items():
        table.add_row(
            name,
            *strategy.predicted.beside(base),
            style="green" if name == report.comparison.recommended else None,
        )
    return table


def _measured(report: Report) -> Table:
    table = new_table(
        "Measured on real numpy runs", "strategy", "counts, peak", "tracemalloc", "time", "gradient error"
    )
    table.columns[1].no_wrap = False
    table.columns[1].justify = "left"
    wrong = {mismatch.strategy for mismatch in report.mismatches}
    for name, strategy in report.strategies.items():
        measured = strategy.measured
        if measured is None:
            table.add_row(name, f"not run: {strategy.skipped}", "-", "-", "-", style="dim")
            continue
        error = measured.gradient_max_relative_error
        table.add_row(
            name,
            Text("NOT as predicted", style="bold red") if name in wrong else "= predicted",
            format_bytes(measured.tracemalloc_peak_bytes),
            format_seconds(measured.seconds),
            "-" if error is None else f"{error:.1e}" if strategy.exact else "estimate",
        )
    return table


def _not_measured(report: Report) -> Text:
    reasons: dict[str, list[str]] = {}
    for name, strategy in report.strategies.items():
        reasons.setdefault(strategy.skipped or "", []).append(name)
    if len(reasons) == 1:
        return Text(f"Not measured: {next(iter(reasons))}.")
    return Text("Not measured: " + "; ".join(f"{', '.join(names)} {why}" for why, names in reasons.items()) + ".")


def _notes(strategy: StrategyReport) -> Iterator[str]:
    if strategy.note:
        yield f"{strategy.note[0].upper()}{strategy.note[1:]}."
    if strategy.recomputed.flops:
        again, all_of_it = strategy.recomputed.multiplies, strategy.predicted.multiplies
        share = 100 * exact_ratio(again, all_of_it)
        yield f"Recomputed: {format_short(again)} of its {format_short(all_of_it)} multiplies ({share:.3g} %)."


def _twin(name: str, report: Report) -> str | None:
    """Return an earlier strategy that does the very same."""

    def schedule(strategy: StrategyReport) -> list[object]:
        return [(layer.name, layer.phase, layer.counts) for layer in strategy.layers]

    own = report.strategies[name]
    for earlier, strategy in report.strategies.items():
        if earlier == name:
            return None
        if strategy.predicted == own.predicted and schedule(strategy) == schedule(own):
            return earlier
    return None


def _largest(strategy: StrategyReport) -> Text:
    """Write the largest arrays of a strategy that makes too many for a table."""
    lines = [
        f"  {tensor.name}  {_shape(tensor)}, {format_bytes(tensor.bytes)}, at {layer.name}, {layer.phase}"
        for layer, tensor in strategy.largest(LARGEST)
    ]
    return Text("\n".join(["The largest (--json has them all):", *lines]))


def _tensors(tensors: Sequence[tuple[LayerCost, Tensor]]) -> Table:
    table = new_table(None, "layer", "phase", "tensor", "shape", "elements", "memory")
    table.columns[1].justify = table.columns[2].justify = "left"
    for column in (table.columns[0], table.columns[2], table.columns[3]):  # names and shapes may go on below
        column.overflow, column.no_wrap = "fold", False
    before = ("", "")
    for layer, tensor in tensors:
        place = (layer.name, layer.phase)
        shown = (layer.name if place[0] != before[0] else "", layer.phase if place != before else "")
        memory = format_bytes(tensor.bytes) if tensor.bytes else "view"
        table.add_row(*shown, tensor.name, _shape(tensor), format_short(tensor.elements), memory)
        before = place
    return table


def _all_tensors(strategy: StrategyReport) -> Iterator[tuple[LayerCost, Tensor]]:
    for layer in strategy.layers:
        for tensor in layer.tensors:
            yield layer, tensor


def _shape(tensor: Tensor) -> str:
    return "x".join(str(size) for size in tensor.shape)


def _explain(console: Console, name: str, strategy: StrategyReport) -> None:
    """Print each row's closed forms; K is the number of tangent columns that are pushed at once."""
    console.print(Text(f"{name}: closed forms (B batch, n_l units of layer l, K tangent columns)", style="bold"))
    for layer in strategy.layers:
        for category, text in layer.formula.items():
            console.print(Text(f"{layer.name}, {layer.phase}, {category}:"))
            console.print(Padding(Text(text), (0, 0, 0, 4)))
