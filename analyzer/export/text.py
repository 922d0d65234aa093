"""The report as text for other programs: Markdown for papers and pull requests, CSV for spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from gradcost.report import Report, StrategyReport
from gradcost.units import format_count

_ESCAPED = str.maketrans({mark: f"\\{mark}" for mark in "\\`*_[]<>|#"})


def to_markdown(report: Report) -> str:
    """Return the verdict and one table of the strategies in GitHub's Markdown."""
    network, base = report.network, report.strategies[report.comparison.baseline].predicted
    wrong = {mismatch.strategy for mismatch in report.mismatches}
    lines = [
        f"### {network.name.translate(_ESCAPED)}",
        "",
        f"{len(network.layers):,} layers, {format_count(network.parameters)} parameters, batch {network.batch:,}, "
        f"{network.dtype}.",
        "",
        f"**Verdict:** {report.verdict.translate(_ESCAPED)}",
        "",
        "| strategy | multiplies | | MACs | | peak memory | | measured |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    if (report.target.outputs, report.target.wrt) != ("loss", "params"):
        lines[2] = f"d {report.target.outputs} / d {report.target.wrt}: {lines[2]}".translate(_ESCAPED)
    for name, strategy in report.strategies.items():
        cells = [
            f"**`{name}`**" if name == report.comparison.recommended else f"`{name}`",
            *strategy.predicted.beside(base),
            _measured(strategy, name in wrong).translate(_ESCAPED),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        f"Factors are relative to `{report.comparison.baseline}`. MACs: the multiplies inside contractions. "
        f"By gradcost {report.gradcost_version}.",
    ]
    return "\n".join(lines) + "\n"


def _measured(strategy: StrategyReport, wrong: bool) -> str:
    if strategy.measured is None:
        return f"not run: {strategy.skipped}"
    return "NOT as predicted" if wrong else "= predicted"


def to_csv(report: Report) -> str:
    """Return a line for each strategy, with every figure exact: ``predicted_multiplies``, ``measured_seconds``, ..."""
    records = []
    for name, strategy in report.strategies.items():
        measured = {} if strategy.measured is None else strategy.measured.to_dict()
        records.append(
            {
                "network": report.network.name,
                "dtype": report.network.dtype,
                "batch": report.network.batch,
                "parameters": report.network.parameters,
                "strategy": name,
                "exact": strategy.exact,
                **{f"predicted_{key}": value for key, value in strategy.predicted.to_dict().items()},
                **{f"measured_{key}": value for key, value in measured.items()},
                "skipped": strategy.skipped or "",
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
