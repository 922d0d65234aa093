"""The tables of a report: the strategies side by side, and the layers face to face."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gradcost.report.facing import SHARED, folded
from gradcost.report.figures import FIGURES, RANKING, Figure, Figures
from gradcost.report.model import LayerRow, Report, Side, StrategyReport
from gradcost.report.table import Column, Table, short
from gradcost.strategies import PRIMAL
from gradcost.units import format_ratio, format_shape, format_short

SHOWN = tuple(figure for figure in FIGURES if figure.drop is not None)


def strategies_table(report: Report, *, all_rows: bool = False) -> Table:
    """Return the strategies side by side: predicted figures with their factors, then what a run said of them.

    A strategy whose choice on this network is another strategy is a line below the table instead, but for ``all_rows``.
    """
    columns = [Column("strategy", right=False)]
    for figure in SHOWN:
        if figure.predicted:
            columns.append(Column(figure.label, drop=figure.drop or 0))
            if figure.factor is not None:
                columns.append(Column("", drop=figure.factor, close=True))
    columns.append(Column("measured", right=False, drop=2))
    columns += [Column(figure.label, drop=figure.drop or 0) for figure in SHOWN if not figure.predicted]
    table = Table(tuple(columns))
    base = report.all[report.comparison.baseline].predicted
    wrong = {mismatch.strategy for mismatch in report.mismatches}
    for name, strategy in report.all.items():
        if strategy.same_as is not None and strategy.same_as == strategy.schedule and not all_rows:
            table.notes.append(f"{name} is {strategy.same_as} here.")
            continue
        cells = [name]
        for figure in SHOWN:
            if figure.predicted:
                cells += _predicted(figure, strategy.predicted, None if name == PRIMAL.name else base)
        cells.append(state(strategy, name in wrong))
        cells += [_measured(figure, strategy) for figure in SHOWN if not figure.predicted]
        best = name == report.comparison.recommended
        table.add(*cells, style="best" if best else "dim" if name == PRIMAL.name else "")
    return table


def _predicted(figure: Figure, own: Figures, base: Figures | None) -> list[str]:
    """Return a figure, and its factor of the baseline's."""
    if figure.factor is None:
        return [figure.show(own[figure.key])]
    factor = "" if base is None else format_ratio(own[figure.key], base[figure.key])
    return [figure.show(own[figure.key]), factor]


def _measured(figure: Figure, strategy: StrategyReport) -> str:
    if strategy.measured is None:
        return ""
    value = strategy.measured[figure.key]
    if figure.key == "gradient_max_relative_error" and not strategy.exact:
        return "estimate"
    return "-" if value is None else figure.show(value)


def state(strategy: StrategyReport, wrong: bool) -> str:
    """Say in a few words what a run said of the predictions."""
    if strategy.measured is None:
        return "not run"
    return "NOT as predicted" if wrong else "= predicted"


def facing_table(report: Report, *, every: bool = False) -> Table:
    """Return the layers, and what the strategies that face each other carry and multiply there.

    A large network is folded by its blocks, or shows its largest layers, but for ``every``.
    """
    columns = [
        Column("layer", right=False),
        Column("type", right=False, drop=5),
        Column("output", right=False, drop=4),
        Column("parameters", drop=3),
        Column("MACs", drop=2),
    ]
    for name in report.facing.strategies:
        columns += [Column("carries", group=name), Column("multiplies", group=name)]
    table = Table(tuple(columns))
    rows = report.facing.rows
    for row in rows if every else folded(rows):
        table.add(*_cells(row))
    sums = (sum(row.sides[i].multiplies for row in rows) for i in range(len(report.facing.strategies)))
    sides = tuple(Side(0, each) for each in sums)
    total = LayerRow("total", "", (), sum(row.parameters for row in rows), sum(row.macs for row in rows), sides)
    table.add(*_cells(total), style="total")
    for name in report.facing.strategies:
        primal, loss = (report.strategies[name].phase(phase).multiplies for phase in SHARED)
        if primal > report.primal.predicted.multiplies:
            table.notes.append(f"{name} takes {format_short(primal + loss)} besides: its forward passes are several.")
    return table


def _cells(row: LayerRow) -> tuple[str, ...]:
    numbers = (row.parameters, row.macs, *(each for side in row.sides for each in (side.carried, side.multiplies)))
    shown = (format_short(number) if number else "" for number in numbers)
    return short(row.name), row.type, format_shape(row.shape), *shown


def fronts(report: Report) -> Iterator[Table]:
    """Yield, for each strategy that weighed multiplies against peak, the schedules among which there is a choice."""
    for name, strategy in report.strategies.items():
        if len(strategy.front) > 1:
            heads = (Column(figure.label) for figure in RANKING)
            table = Table((*heads, Column(f"{name}: no other schedule beats it in both", right=False)))
            for each in strategy.front:
                table.add(*(figure.show(getattr(each, figure.key)) for figure in RANKING), each.schedule)
            yield table


def not_run(strategies: Mapping[str, StrategyReport]) -> str:
    """Say why strategies were not measured; empty where all were."""
    reasons: dict[str, list[str]] = {}
    for name, strategy in strategies.items():
        if strategy.skipped is not None:
            reasons.setdefault(strategy.skipped, []).append(name)
    if len(reasons) == 1 and all(strategy.skipped for strategy in strategies.values()):
        return f"Not measured: {next(iter(reasons))}."
    texts = [f"{', '.join(names)} {why}" for why, names in reasons.items()]
    return f"Not measured: {'; '.join(texts)}." if texts else ""
