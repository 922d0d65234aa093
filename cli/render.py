"""What ``analyze`` prints, and how tables come to a terminal, a pipe, or NO_COLOR."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.text import Text

from gradcost.report import Analysis, Report
from gradcost.report.details import largest
from gradcost.report.model import WARNING, StrategyReport
from gradcost.report.plain import plain
from gradcost.report.table import Column, Table
from gradcost.report.tables import facing_table, fronts, not_run, strategies_table
from gradcost.schedule.phases import PHASES, described
from gradcost.units import format_array, format_bytes, format_short

TENSOR_ROWS = 24  # of a small network, all tensors are listed
LARGEST = 3  # of a larger one, these
STYLES = {"head": "bold", "rule": "dim", "best": "green", "dim": "dim", "note": "dim", "total": "bold", "": ""}
MORE = "--layers shows every layer, --tensors every array, --explain the closed forms; --json, --html FILE keep all."


def console() -> Console:
    """Return the console of stdout."""
    return Console(highlight=False, markup=False)


def say(to: Console, text: str, style: str = "") -> None:
    """Print text, wrapped at words where it is longer than a line."""
    to.print(Text(text, style=style))


def show(to: Console, table: Table) -> None:
    """Print a table; what is wider than the terminal even so is not cut."""
    for line in table.lines(to.width):
        to.print(Text(line.text, style=STYLES[line.style]), soft_wrap=line.style != "note")


def render(analysis: Analysis, *, layers: bool = False, tensors: bool = False, explain: bool = False) -> None:
    """Print one screen: title, verdict, strategies, layers; then what was asked for besides."""
    to, report = console(), analysis.report
    say(to, _title(report), "bold")
    if not report.target.usual:
        say(to, report.target.of(report.network.batch), "bold")
    to.print()
    say(to, f"Verdict: {report.verdict}", "green" if not report.mismatches else "red")
    to.print()
    show(to, strategies_table(report))
    reasons = not_run(report.all)
    for line in (*([reasons] if reasons else ()), *report.notes):
        say(to, line, "yellow" if line.startswith(WARNING) else "dim")
    for table in fronts(report):
        to.print()
        show(to, table)
    to.print()
    show(to, facing_table(report, every=layers))
    if tensors or explain:
        to.print()
        say(to, "; ".join(f"{name}: {described(name).label}" for name in _phases(report)) + ".", "dim")
    if tensors:
        for name, strategy in report.all.items():
            to.print()
            _tensors(to, name, strategy, analysis)
    if explain:
        for name, strategy in report.all.items():
            to.print()
            _explain(to, name, strategy)
    if not (layers or tensors or explain):
        say(to, MORE, "dim")


def render_json(value: Any) -> str:
    """Return plain data as the JSON text that commands write."""
    return json.dumps(plain(value), indent=2, allow_nan=False) + "\n"


def _title(report: Report) -> str:
    alone = report.primal.predicted
    cost = f"{format_short(alone.multiplies)} multiplies, {format_bytes(alone.peak_bytes)}"
    return f"{report.network}; the forward pass alone: {cost}"


def _phases(report: Report) -> Iterable[str]:
    found = {phase for strategy in report.all.values() for phase in strategy.phases}
    return (*(name for name in PHASES if name in found), *sorted(found - PHASES.keys()))


def _tensors(to: Console, name: str, strategy: StrategyReport, analysis: Analysis) -> None:
    """Print every array of a small network, the largest of a larger one."""
    say(to, f"{name}: {strategy.carries}", "bold")
    place, usual = strategy.peak_at, analysis.network.dtype
    say(to, f"The peak of {format_bytes(strategy.predicted.peak_bytes)} is at {place.layer}, {place.phase}.", "dim")
    if strategy.same_as is not None:
        say(to, f"Its schedule is that of {strategy.same_as}.")
        return
    made = sum(len(row.makers) for row in analysis.predictions[name].rows.values())
    if made > TENSOR_ROWS:
        say(to, f"The largest of {made:,} (--json has them all):")
        for row, buffer in largest(analysis.predictions[name], LARGEST):
            shape = format_array(buffer.shown, buffer.dtype, usual)
            say(to, f"  {buffer.name}  {shape}, {format_bytes(buffer.bytes)}, at {row.label}, {row.phase}")
        return
    columns = ("layer", "phase", "tensor", "shape", "elements", "memory")
    table = Table(tuple(Column(label, right=index > 3) for index, label in enumerate(columns)))
    before = ("", "")
    for layer in strategy.layers:
        for tensor in layer.tensors:
            shown = (layer.name if layer.name != before[0] else "", layer.phase)
            memory = format_bytes(tensor.bytes) if tensor.bytes else "view"
            shape = format_array(tensor.shape, tensor.dtype, usual)
            table.add(*shown, tensor.name, shape, format_short(tensor.elements), memory)
            before = (layer.name, layer.phase)
    show(to, table)


def _explain(to: Console, name: str, strategy: StrategyReport) -> None:
    """Print each row's closed forms; K is the number of tangent columns that are pushed at once."""
    say(to, f"{name}: closed forms (B batch, n_l units of layer l, K tangent columns)", "bold")
    for layer in strategy.layers:
        for category, text in layer.formula.items():
            say(to, f"{layer.name}, {layer.phase}, {category}:")
            to.print(Text(f"    {text}"), soft_wrap=True)
