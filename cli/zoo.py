"""``gradcost zoo``: predictions beside published figures."""

from __future__ import annotations

from typing import Any

from gradcost.configs import path
from gradcost.configs.published import PUBLISHED
from gradcost.report import analyze
from gradcost.report.figures import RANKING
from gradcost.report.model import Report
from gradcost.report.table import Column, Table

SIDES = ("reverse", "forward_jacobian")


def zoo_reports() -> list[Report]:
    """Predict every network with published figures."""
    found = []
    for name in PUBLISHED:
        with path(name) as file:
            found.append(analyze(file, measure=False, strategies=SIDES))
    return found


def zoo_table(reports: list[Report]) -> Table:
    """Return a table of them, beside the published figures."""
    columns = [
        Column("network", right=False),
        Column("parameters"),
        Column("published", drop=4),
        Column("G MACs"),
        Column("pub.", drop=3),
    ]
    for side in SIDES:
        drop = 0 if side == SIDES[0] else 1
        columns += [Column(figure.label, group=side, drop=drop) for figure in RANKING]
    table = Table(tuple(columns))
    for report, published in zip(reports, PUBLISHED.values(), strict=True):
        table.add(
            report.network.name,
            f"{report.network.parameters:,}",
            f"{published.parameters:,}",
            f"{report.primal.predicted.macs / 1e9:.3f}",
            "-" if published.giga_macs is None else f"{published.giga_macs:.2f}",
            *(figure.show(report.strategies[side].predicted[figure.key]) for side in SIDES for figure in RANKING),
        )
    table.notes.extend(
        (
            "Batch 1. Multiplies and peak memory of each strategy's gradient; MACs of the primal alone.",
            "Published: parameters exactly, MACs rounded, as stated by:",
            *(f"  {source}" for source in dict.fromkeys(published.source for published in PUBLISHED.values())),
        )
    )
    return table


def zoo_figures(reports: list[Report]) -> list[dict[str, Any]]:
    """Return the figures of the table, exactly."""
    return [
        {
            "network": report.network.name,
            "parameters": report.network.parameters,
            "published_parameters": published.parameters,
            "published_giga_macs": published.giga_macs,
            "source": published.source,
            **{name: strategy.predicted for name, strategy in report.all.items()},
        }
        for report, published in zip(reports, PUBLISHED.values(), strict=True)
    ]
