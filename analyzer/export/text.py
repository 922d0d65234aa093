"""The report as text for other programs: Markdown for papers and pull requests, CSV for spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from gradcost.report.figures import MEASURED, PREDICTED
from gradcost.report.model import Report
from gradcost.report.table import escaped
from gradcost.report.tables import facing_table, fronts, not_run, strategies_table


def to_markdown(report: Report) -> str:
    """Return the verdict, the table of the strategies and that of the layers in GitHub's Markdown."""
    facts = f"{report.network.facts}."
    parts = [
        f"### {escaped(report.network.name)}",
        facts if report.target.usual else escaped(f"{report.target.of(report.network.batch)}; {facts}"),
        f"**Verdict:** {escaped(report.verdict)}",
        replace(strategies_table(report, all_rows=True), notes=[]).to_markdown().rstrip(),
        *(table.to_markdown().rstrip() for table in fronts(report)),
        facing_table(report).to_markdown().rstrip(),
        *(escaped(note) for note in (not_run(report.all), *report.notes) if note),
        f"Factors are relative to `{report.comparison.baseline}`.",
        f"MACs: the multiplies inside contractions. By gradcost {report.gradcost_version}.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def to_csv(report: Report) -> str:
    """Return a line for each strategy, with every figure exact: ``predicted_multiplies``, ``measured_seconds``, ..."""
    records = []
    for name, strategy in report.all.items():
        measured: Mapping[str, Any] = strategy.measured or {}
        records.append(
            {
                "network": report.network.name,
                "dtype": report.network.dtype,
                "batch": report.network.batch,
                "parameters": report.network.parameters,
                "outputs": report.target.outputs,
                "wrt": report.target.wrt,
                "strategy": name,
                "exact": strategy.exact,
                "schedule": strategy.schedule,
                **{f"predicted_{figure.key}": strategy.predicted[figure.key] for figure in PREDICTED},
                **{f"measured_{figure.key}": measured.get(figure.key, "") for figure in MEASURED},
                "skipped": strategy.skipped or "",
                "notes": " ".join(report.notes),
            }
        )
    return csv_text(records)


def csv_text(records: Sequence[Mapping[str, Any]]) -> str:
    """Return records as CSV with a header; a key that a record lacks stays empty."""
    text = io.StringIO()
    writer = csv.DictWriter(
        text, dict.fromkeys(key for record in records for key in record), restval="", lineterminator="\n"
    )
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()
