"""The report as one HTML file: style, script and data are inside, and its policy forbids it to load anything."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from html import escape
from typing import Any

from gradcost.execution.timeline import Life
from gradcost.export.colours import look, style_sheet
from gradcost.export.figures import GrowthFigure, MemoryFigure, memory_figure
from gradcost.export.layout import group, lay_out
from gradcost.export.template import filled, part
from gradcost.formula import explain
from gradcost.report.analyze import Analysis
from gradcost.report.figures import RANKING, Figure
from gradcost.report.model import Report, StrategyReport
from gradcost.report.tables import SHOWN, fronts, not_run, state
from gradcost.schedule.phases import GROUPS, KINDS, PHASES
from gradcost.schedule.predict import PredictedRow, Prediction
from gradcost.strategies import PRIMAL
from gradcost.units import (
    exact_ratio,
    format_array,
    format_bytes,
    format_count,
    format_ratio,
    format_shape,
    format_short,
)

SHOWN_NODES = 160
SHOWN_ROWS = 400  # of a strategy's layers and phases, those with the most operations
FORMULA_LENGTH = 400

Cell = tuple[str, float | None, str]  # what is shown, what it is sorted by (None: the text), a longer form


def to_html(analysis: Analysis, growth: Sequence[GrowthFigure] = ()) -> str:
    """Return the page: verdict, tables, memory over the schedule, growth, layer graph.

    Args:
        analysis: what it is about, from ``study``.
        growth: from ``growth_figures``; where there is none, that section says how to get it.
    """
    report = analysis.report
    network = report.network
    facts = network.facts if report.target.usual else f"{network.facts}; {report.target.of(network.batch)}"
    data = {
        "strategies": list(report.strategies),
        "looks": {name: [look(name).variable, look(name).mark.path] for name in report.strategies},
        "groups": GROUPS,
        "phases": {each.name: [each.label, each.group] for each in (*PHASES.values(), *KINDS.values())},
        "recommended": report.comparison.recommended,
        "memory": [_memory(memory_figure(name, analysis.timeline(name)), network.dtype) for name in report.strategies],
        "growth": [_growth(figure) for figure in growth],
        "growing": [[shown.key, shown.heading, shown.binary] for shown in RANKING],
        "graph": _graph(report, analysis.predictions),
        "costs": {name: _costs(analysis.predictions[name]) for name in report.strategies},
    }
    text = json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    wrong = "".join(f'<p class="wrong">Wrong: {escape(str(each))}</p>' for each in report.mismatches)
    notes = "".join(f"<p>{escape(note)}</p>" for note in (not_run(report.all), *report.notes) if note)
    values = {
        "name": escape(network.name),
        "facts": escape(facts),
        "verdict": escape(report.verdict),
        "mismatches": wrong,
        "notes": notes,
        "fronts": "".join(table.to_html() for table in fronts(report)),
        "strategies": _strategies(report),
        "baseline": escape(report.comparison.baseline),
        "version": escape(report.gradcost_version),
        "colours": style_sheet(),
        "style": part("page.css"),
        "script": part("page.js"),
        "data": text,
    }
    return filled("page.html", values)


def _strategies(report: Report) -> str:
    """Return the table of strategies; each cell has the exact figure that it is sorted by."""
    base = report.all[report.comparison.baseline].predicted
    wrong = {mismatch.strategy for mismatch in report.mismatches}
    heads, rows = ['<th scope="col">strategy</th>'], []
    for figure in SHOWN:
        heads.append(f'<th scope="col">{escape(figure.label)}</th>')
        if figure.predicted and figure.factor is not None:
            heads.append('<th scope="col">factor</th>')
    heads.append('<th scope="col">measured</th>')
    for name, strategy in report.all.items():
        cells: list[Cell] = []
        for figure in SHOWN:
            if not figure.predicted:
                cells.append(_measured(figure, strategy))
                continue
            value = strategy.predicted[figure.key]
            cells.append((figure.show(value), _float(value), f"{value:,}"))
            if figure.factor is not None:
                cells.append(("", math.inf, "") if name == PRIMAL.name else _factor(value, base[figure.key]))
        cells.append((state(strategy, name in wrong), None, strategy.skipped or ""))
        tags = "".join(
            f'<td data-sort="{_sortable(shown, by)}"'
            + (f' title="{escape(full)}"' if full and full != shown else "")
            + f">{escape(shown)}</td>"
            for shown, by, full in cells
        )
        best = ' class="best"' if name == report.comparison.recommended else ""
        about = escape("; ".join([strategy.carries, *([strategy.note] if strategy.note else [])]))
        rows.append(
            f'<tr{best}><th scope="row"><span class="name">{name}</span> <small>{about}</small></th>{tags}</tr>'
        )
    return f"<thead><tr>{''.join(heads)}</tr></thead><tbody>{''.join(rows)}</tbody>"


def _factor(value: int, base: int) -> Cell:
    return format_ratio(value, base), exact_ratio(value, base), ""


def _measured(figure: Figure, strategy: StrategyReport) -> Cell:
    value = None if strategy.measured is None else strategy.measured[figure.key]
    return ("", math.inf, "") if value is None else (figure.show(value), float(value), f"{value:.6g}")


def _float(value: int) -> float:
    """Return an integer as the float that it is sorted by; ``inf`` beyond their range."""
    return exact_ratio(value, 1)


def _sortable(shown: str, by: float | None) -> str:
    return escape(shown) if by is None else repr(by)


def _memory(figure: MemoryFigure, usual: str) -> dict[str, Any]:
    def band(life: Life) -> list[Any]:
        return [life.name, format_array(life.shape, life.dtype, usual), life.bytes, life.kind, life.first, life.last]

    return {
        **asdict(figure),
        "instants": [[i.number, i.layer, i.phase, i.bytes, i.workspace] for i in figure.instants],
        "bands": list(map(band, figure.bands)),
    }


def _growth(figure: GrowthFigure) -> dict[str, Any]:
    """Return the curves with logarithms, as the figures themselves may be beyond a browser's numbers."""
    return {
        "path": figure.path,
        "values": list(figure.curves[0].values),
        "curves": [
            {
                "strategy": curve.strategy,
                **{
                    shown.key: [[math.log10(max(each, 1)), shown.show(each)] for each in curve.figures[shown.key]]
                    for shown in RANKING
                },
            }
            for curve in figure.curves
        ],
    }


def _graph(report: Report, predictions: Mapping[str, Prediction]) -> dict[str, Any]:
    """Return the drawing of the layer graph; blocks of a deep network are drawn as one node each."""
    layers = {layer.name: layer for layer in report.network.layers}
    inputs = dict.fromkeys(source for layer in layers.values() for source in layer.inputs if source not in layers)
    stands = {name: name for name in inputs} | group(list(layers), SHOWN_NODES)
    members: dict[str, list[str]] = defaultdict(list)
    for name in layers:
        members[stands[name]].append(name)
    edges = [
        (stands[source], stands[layer.name])
        for layer in layers.values()
        for source in layer.inputs
        if stands[source] != stands[layer.name]
    ]
    nodes = [*inputs, *members]
    with_loss = any(label == "loss" for name in report.strategies for label, _ in predictions[name].rows)
    if with_loss and "loss" not in layers:
        nodes.append("loss")
        edges.append((nodes[-2], "loss"))
        members["loss"] = ["loss"]
    layout = lay_out(nodes, edges)
    shares = {name: _shares(predictions[name], members) for name in report.strategies}
    drawn = []
    for node in nodes:
        inside = [layers[name] for name in members.get(node, []) if name in layers]
        kinds = list(dict.fromkeys(layer.type for layer in inside))
        about = [f"{len(inside)} layers" if len(inside) > 1 else kinds[0]] if inside else []
        if inside:
            about.append(format_shape(inside[-1].output_shape))
            about.append(f"{format_count(sum(layer.parameters for layer in inside))} parameters")
        costs = {name: share[node] for name, share in shares.items() if node in share}
        column, row = layout.places[node]
        drawn.append({"name": node, "about": about, "column": column, "row": row, "costs": costs})
    return {"nodes": drawn, "edges": list(layout.edges.values())}


def _shares(prediction: Prediction, members: dict[str, list[str]]) -> dict[str, list[Any]]:
    """Return each drawn node's multiplies, as text and as a share of the strategy's."""
    multiplies: dict[str, int] = defaultdict(int)
    for row in prediction.rows.values():
        multiplies[row.label] += row.counts.multiplies
    found = {}
    for node, names in members.items():
        total = sum(multiplies[name] for name in names)
        found[node] = [format_short(total), exact_ratio(total, max(prediction.counts.multiplies, 1))]
    return found


def _costs(prediction: Prediction) -> dict[str, Any]:
    """Return a strategy's layers and phases as rows."""
    every = list(prediction.rows.values())
    rows = sorted(every, key=lambda row: row.counts.flops, reverse=True)[:SHOWN_ROWS]
    kept = set(map(id, rows))
    return {"rows": [_cost(row) for row in every if id(row) in kept], "unshown": len(every) - len(rows)}


def _cost(row: PredictedRow) -> list[Any]:
    counts = row.counts
    size = sum(step.makes.bytes for step in row.makers if step.makes and not step.view_of)
    numbers = [[_float(each), format_short(each)] for each in (counts.multiplies, counts.macs, counts.flops)]
    return [row.label, row.phase, *numbers, [_float(size), format_bytes(size)], _formula(row)]


def _formula(row: PredictedRow) -> str:
    """Return the closed form of the multiplies, where it is short."""
    text = explain(row.terms, "multiplies") if len(row.terms) <= 8 else ""
    return text if len(text) <= FORMULA_LENGTH else ""
