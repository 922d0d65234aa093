"""``gradcost compare`` and ``gradcost diff``: two networks, or two reports, side by side."""

from __future__ import annotations

from typing import Any

import click

from gradcost.cli.options import dtype_option, json_option, strategy_option
from gradcost.errors import UsageError


@click.command()
@click.argument("first", type=click.Path())
@click.argument("second", type=click.Path())
@strategy_option
@click.option("--batch", type=int, help="Batch size of both, instead of the specs'.")
@dtype_option
@json_option
def compare(
    first: str, second: str, strategies: tuple[str, ...], batch: int | None, dtype: str | None, json: str | None
) -> int:
    """Predict the networks in the specs FIRST and SECOND, and show them side by side.

    \b
    gradcost compare a.yaml b.yaml --batch 32
    """
    from gradcost.cli.output import answer
    from gradcost.report import analyze
    from gradcost.report.figures import PREDICTED
    from gradcost.report.table import Column, Table
    from gradcost.strategies import PRIMAL
    from gradcost.units import format_count, format_ratio

    reports = [
        analyze(spec, strategies=strategies or None, batch=batch, dtype=dtype, measure=False)
        for spec in (first, second)
    ]
    names = [f"{report.network.name}, batch {report.network.batch:,}" for report in reports]
    table = Table((Column("", right=False), *map(Column, names), Column("second / first", drop=1)))
    sizes = [report.network.parameters for report in reports]
    table.add("parameters", *map(format_count, sizes), format_ratio(sizes[1], sizes[0]))
    shown = [figure for figure in PREDICTED if figure.drop is not None]
    for name in (PRIMAL.name, *(name for name in reports[0].strategies if name in reports[1].strategies)):
        for figure in shown:
            pair = [report.all[name].predicted[figure.key] for report in reports]
            label = f"{name} {figure.label}"
            table.add(label, *map(figure.show, pair), format_ratio(pair[1], pair[0]))
    answer(table, {"first": reports[0].to_dict(), "second": reports[1].to_dict()}, json)
    return 0


class _Share(click.ParamType[float]):
    """A share such as 5% or 0.05."""

    name = "share"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read it, or say what it should be."""
        if isinstance(value, float):
            return value
        number = value.removesuffix("%")
        try:
            share = float(number) / (100 if value.endswith("%") else 1)
        except ValueError:
            share = -1.0
        if not 0 <= share < float("inf"):
            self.fail(f"{value!r} is not a share; write for example 5% or 0.05", param, ctx)
        if share >= 1 and not value.endswith("%"):
            self.fail(f"{value!r} would be {share:.0%}; write {value}% for a share of a hundred", param, ctx)
        return share


@click.command()
@click.argument("old", type=click.Path())
@click.argument("new", type=click.Path())
@click.option("--threshold", type=_Share(), default=0.0, metavar="SHARE", help="Overlook changes up to this, e.g. 5%.")
@click.option("--anyway", is_flag=True, help="Compare reports of different networks, targets, batches or dtypes.")
@json_option
def diff(old: str, new: str, threshold: float, anyway: bool, json: str | None) -> int:
    """Show what changed from one JSON report to another, and fail where a cost grew.

    \b
    gradcost analyze net.yaml --json old.json
    gradcost diff old.json new.json --threshold 5%

    Exit codes: 0 nothing grew by more than the threshold; 1 something did, or a strategy is gone; 2 bad usage.
    """
    from gradcost.cli.output import answer
    from gradcost.report.diff import diff as run
    from gradcost.report.diff import differences, read_report
    from gradcost.report.figures import BY_KEY
    from gradcost.report.table import Column, Table
    from gradcost.units import format_bytes, format_count

    before, after = read_report(old), read_report(new)
    known, notes = differences(before, after)
    if known and not anyway:
        raise UsageError(f"these are not reports of the same: {'; '.join(known)}; --anyway compares them")
    for sentence in (*known, *notes):
        click.echo(f"gradcost: {sentence}", err=True)
    changes = run(before, after, threshold)
    columns = ("strategy", "figure", "old", "new", "change")
    table = Table(tuple(Column(label, right=index > 1) for index, label in enumerate(columns)))
    for change in changes:
        figure = BY_KEY[change.figure]
        show = format_bytes if figure.binary else format_count
        sides = ["-" if value is None else show(value) for value in (change.old, change.new)]
        label = "gone" if change.new is None else "added" if change.old is None else f"{change.growth:+.2%}"
        table.add(change.strategy, figure.label, *sides, label)
    nothing = f"Nothing changed by more than {threshold:.2%}." if threshold else "Nothing changed."
    answer(table if changes else nothing, changes, json)
    return 1 if any(change.growth > 0 for change in changes) else 0
