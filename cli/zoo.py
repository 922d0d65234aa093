"""``gradcost zoo``: predictions beside published figures."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gradcost.configs import path
from gradcost.configs.published import PUBLISHED
from gradcost.report import analyze
from gradcost.units import format_bytes, format_short


def render_zoo() -> None:
    """Print a table of every network with published figures."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("network", no_wrap=True)
    for name in ("parameters", "published", "G MACs", "pub.", "reverse", "", "forward_jac", ""):
        table.add_column(name, justify="right", no_wrap=True)
    for name, published in PUBLISHED.items():
        with path(name) as file:
            report = analyze(file, measure=False, strategies=["reverse", "forward_jacobian"])
        reverse, forward = (report.strategies[each] for each in ("reverse", "forward_jacobian"))
        table.add_row(
            report.network.name,
            f"{report.network.parameters:,}",
            f"{published.parameters:,}",
            f"{reverse.primal_macs / 1e9:.3f}",
            "-" if published.giga_macs is None else f"{published.giga_macs:.2f}",
            format_short(reverse.predicted.multiplies),
            format_bytes(reverse.predicted.peak_bytes),
            format_short(forward.predicted.multiplies),
            format_bytes(forward.predicted.peak_bytes),
        )
    console = Console(highlight=False, markup=False, width=max(Console().width, 112))
    console.print(table)
    console.print(Text("Batch 1. Multiplies and peak memory of each strategy's gradient; MACs of the primal alone."))
    console.print(Text("Published: parameters exactly, MACs rounded, as stated by:"))
    for source in dict.fromkeys(published.source for published in PUBLISHED.values()):
        console.print(Text(f"  {source}"))
