"""``gradcost compare`` and ``gradcost diff``: two networks, or two reports, side by side."""

from __future__ import annotations

from typing import Any

import click

from gradcost.cli.options import dtype_option, strategy_option


@click.command()
@click.argument("first", type=click.Path())
@click.argument("second", type=click.Path())
@strategy_option
@click.option("--batch", type=int, help="Batch size of both, instead of the specs'.")
@dtype_option
def compare(first: str, second: str, strategies: tuple[str, ...], batch: int | None, dtype: str | None) -> int:
    """Predict the networks in the specs FIRST and SECOND, and show them side by side.

    \b
    gradcost compare a.yaml b.yaml --batch 32
    """
    from rich.console import Console

    from gradcost.cli.render import new_table
    from gradcost.report import analyze
    from gradcost.units import format_bytes, format_count, format_ratio, format_short

    one, two = (
        analyze(spec, strategies=strategies or None, batch=batch, dtype=dtype, measure=False)
        for spec in (first, second)
    )
    names = [f"{report.network.name}, batch {report.network.batch:,}" for report in (one, two)]
    table = new_table(None, "", names[0], names[1], "second / first")
    sizes = [report.network.parameters for report in (one, two)]
    table.add_row("parameters", *map(format_count, sizes), format_ratio(sizes[1], sizes[0]))
    for name in one.strategies:
        left, right = (report.strategies[name].predicted for report in (one, two))
        figures = (("multiplies", format_short), ("macs", format_short), ("peak_bytes", format_bytes))
        for figure, show in figures:
            pair = [getattr(side, figure) for side in (left, right)]
            label = f"{name} {figure.removesuffix('_bytes')}"
            table.add_row(label, *map(show, pair), format_ratio(pair[1], pair[0]))
    Console(highlight=False, markup=False).print(table)
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
        return share


@click.command()
@click.argument("old", type=click.Path())
@click.argument("new", type=click.Path())
@click.option("--threshold", type=_Share(), default=0.0, metavar="SHARE", help="Overlook changes up to this, e.g. 5%.")
def diff(old: str, new: str, threshold: float) -> int:
    """Show what changed from one JSON report to another, and fail where a cost grew.

    \b
    gradcost analyze net.yaml --json old.json
    gradcost diff old.json new.json --threshold 5%

    Exit codes: 0 nothing grew by more than the threshold; 1 something did, or a strategy is gone; 2 bad usage.
    """
    from rich.console import Console

    from gradcost.cli.render import new_table
    from gradcost.report.diff import diff as run
    from gradcost.report.diff import read_report
    from gradcost.units import format_bytes, format_count

    before, after = read_report(old), read_report(new)
    for key in ("name", "dtype", "batch"):
        was, is_now = (report.get("network", {}).get(key) for report in (before, after))
        if was != is_now:
            click.echo(f"gradcost: the {key} differs: {was} and {is_now}", err=True)
    changes = run(before, after, threshold)
    table = new_table(None, "strategy", "figure", "old", "new", "change")
    table.columns[1].justify = "left"
    for change in changes:
        show = format_bytes if change.figure == "peak_bytes" else format_count
        sides = ["-" if value is None else show(value) for value in (change.old, change.new)]
        label = "gone" if change.new is None else "added" if change.old is None else f"{change.growth:+.2%}"
        table.add_row(change.strategy, change.figure, *sides, label)
    console = Console(highlight=False, markup=False)
    if changes:
        console.print(table)
    else:
        console.print(f"Nothing changed by more than {threshold:.2%}." if threshold else "Nothing changed.")
    return 1 if any(change.growth > 0 for change in changes) else 0
