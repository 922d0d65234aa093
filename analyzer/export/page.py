"""The report as one HTML file: style, script and data are inside, and its policy forbids it to load anything."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from html import escape
from importlib.resources import files
from typing import Any

from gradcost.export.colours import look, style_sheet
from gradcost.export.figures import GrowthFigure, MemoryFigure, memory_figure
from gradcost.export.layout import group, lay_out
from gradcost.report import LayerCost, Report, StrategyReport
from gradcost.schedule.phases import GROUPS, KINDS, PHASES
from gradcost.strategies import STRATEGIES
from gradcost.units import exact_ratio, format_bytes, format_count, format_ratio, format_seconds, format_short

SHOWN_NODES = 160
SHOWN_ROWS = 400  # of a strategy's layers and phases, those with the most operations
FORMULA_LENGTH = 400

Cell = tuple[str, float | None, str]  # what is shown, what it is sorted by (None: the text), a longer form


def to_html(report: Report, growth: Sequence[GrowthFigure] = ()) -> str:
    """Return the page: verdict, tables, memory over the schedule, growth, layer graph.

    Args:
        report: what it is about.
        growth: from ``growth_figures``; where there is none, that section says how to get it.
    """
    network, target = report.network, report.target
    facts = (
        f"{len(network.layers):,} layers, {format_count(network.parameters)} parameters, "
        f"batch {network.batch:,}, {network.dtype}"
    )
    if (target.outputs, target.wrt) != ("loss", "params"):
        facts += f"; d {target.outputs} / d {target.wrt}: {format_count(target.rows)} x {format_count(target.columns)}"
    data = {
        "strategies": list(report.strategies),
        "looks": {name: [look(name).variable, look(name).mark.path] for name in report.strategies},
        "groups": GROUPS,
        "phases": {each.name: [each.label, each.group] for each in (*PHASES.values(), *KINDS.values())},
        "recommended": report.comparison.recommended,
        "memory": [_memory(memory_figure(name, strategy)) for name, strategy in report.strategies.items()],
        "growth": [_growth(figure) for figure in growth],
        "graph": _graph(report),
        "costs": {name: _costs(strategy) for name, strategy in report.strategies.items()},
    }
    text = json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    folder = files("gradcost.export") / "page"
    page, style, script = ((folder / f"page.{kind}").read_text(encoding="utf-8") for kind in ("html", "css", "js"))
    values = {
        "name": escape(network.name),
        "facts": escape(facts),
        "verdict": escape(report.verdict),
        "mismatches": "".join(f'<p class="wrong">Wrong: {escape(str(each))}</p>' for each in report.mismatches),
        "strategies": _strategies(report),
        "baseline": escape(report.comparison.baseline),
        "version": escape(report.gradcost_version),
        "colours": style_sheet(),
        "style": style,
        "script": script,
        "data": text,
    }
    return _filled(page, values)


def _filled(page: str, values: dict[str, str]) -> str:
    """Put each value in the place of its ``{{name}}``, in one pass, so that no value is searched for others."""
    head, *rest = page.split("{{")
    return head + "".join(values[name] + tail for name, _, tail in (part.partition("}}") for part in rest))


def _strategies(report: Report) -> str:
    """Return the rows of the table of strategies; each cell has the exact figure that it is sorted by."""
    base = report.strategies[report.comparison.baseline].predicted
    wrong = {mismatch.strategy for mismatch in report.mismatches}
    rows = []
    for name, strategy in report.strategies.items():
        figures, measured = strategy.predicted, strategy.measured
        notes = [STRATEGIES[name].carries, *([strategy.note] if strategy.note else [])]
        cells: list[Cell] = [
            *_figure(figures.multiplies, base.multiplies),
            *_figure(figures.macs, base.macs),
            _count(figures.flops),
            *_figure(figures.peak_bytes, base.peak_bytes, memory=True),
            ("not run", None, strategy.skipped or "")
            if measured is None
            else ("NOT as predicted" if name in wrong else "= predicted", None, ""),
            ("", math.inf, "")
            if measured is None
            else (format_seconds(measured.seconds), measured.seconds, f"{measured.seconds:.6g} s"),
        ]
        tags = "".join(
            f'<td data-sort="{_sortable(shown, by)}"'
            + (f' title="{escape(full)}"' if full and full != shown else "")
            + f">{escape(shown)}</td>"
            for shown, by, full in cells
        )
        best = ' class="best"' if name == report.comparison.recommended else ""
        about = escape("; ".join(notes))
        rows.append(
            f'<tr{best}><th scope="row"><span class="name">{name}</span> <small>{about}</small></th>{tags}</tr>'
        )
    return "\n".join(rows)


def _figure(value: int, base: int, *, memory: bool = False) -> tuple[Cell, Cell]:
    """Return a figure and its factor."""
    cell = (format_bytes(value), _finite(value), f"{value:,} B") if memory else _count(value)
    return cell, (format_ratio(value, base), exact_ratio(value, base), "")


def _count(value: int) -> Cell:
    return format_short(value), _finite(value), f"{value:,}"


def _finite(value: int) -> float:
    return exact_ratio(value, 1)


def _sortable(shown: str, by: float | None) -> str:
    return escape(shown) if by is None else repr(by)


def _memory(figure: MemoryFigure) -> dict[str, Any]:
    return {
        **asdict(figure),
        "instants": [[i.number, i.layer, i.phase, i.bytes, i.workspace] for i in figure.instants],
        "bands": [[b.name, "x".join(map(str, b.shape)), b.bytes, b.kind, b.first, b.last] for b in figure.bands],
    }


def _growth(figure: GrowthFigure) -> dict[str, Any]:
    """Return the curves with logarithms, as the figures themselves may be beyond a browser's numbers."""
    return {
        "path": figure.path,
        "values": list(figure.curves[0].values),
        "curves": [
            {
                "strategy": curve.strategy,
                "multiplies": [[math.log10(max(each, 1)), format_short(each)] for each in curve.multiplies],
                "peak_bytes": [[math.log10(max(each, 1)), format_bytes(each)] for each in curve.peak_bytes],
            }
            for curve in figure.curves
        ],
    }


def _graph(report: Report) -> dict[str, Any]:
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
    with_loss = any(cost.name == "loss" for strategy in report.strategies.values() for cost in strategy.layers)
    if with_loss and "loss" not in layers:
        nodes.append("loss")
        edges.append((nodes[-2], "loss"))
        members["loss"] = ["loss"]
    layout = lay_out(nodes, edges)
    shares = {name: _shares(strategy, members) for name, strategy in report.strategies.items()}
    drawn = []
    for node in nodes:
        inside = [layers[name] for name in members.get(node, []) if name in layers]
        kinds = list(dict.fromkeys(layer.type for layer in inside))
        about = [f"{len(inside)} layers" if len(inside) > 1 else kinds[0]] if inside else []
        if inside:
            about.append("x".join(map(str, inside[-1].output_shape)))
            about.append(f"{format_count(sum(layer.parameters for layer in inside))} parameters")
        costs = {name: share[node] for name, share in shares.items() if node in share}
        column, row = layout.places[node]
        drawn.append({"name": node, "about": about, "column": column, "row": row, "costs": costs})
    return {"nodes": drawn, "edges": list(layout.edges.values())}


def _shares(strategy: StrategyReport, members: dict[str, list[str]]) -> dict[str, list[Any]]:
    """Return each drawn node's multiplies, as text and as a share of the strategy's."""
    multiplies: dict[str, int] = defaultdict(int)
    for layer in strategy.layers:
        multiplies[layer.name] += layer.counts.multiplies
    found = {}
    for node, names in members.items():
        total = sum(multiplies[name] for name in names)
        found[node] = [format_short(total), exact_ratio(total, max(strategy.predicted.multiplies, 1))]
    return found


def _costs(strategy: StrategyReport) -> dict[str, Any]:
    """Return a strategy's layers and phases as rows."""
    rows = sorted(strategy.layers, key=lambda layer: layer.counts.flops, reverse=True)[:SHOWN_ROWS]
    kept = set(map(id, rows))
    return {
        "rows": [_cost(layer) for layer in strategy.layers if id(layer) in kept],
        "unshown": len(strategy.layers) - len(rows),
    }


def _cost(layer: LayerCost) -> list[Any]:
    counts, made = layer.counts, layer.row.makers
    size = layer.item_bytes * sum(step.makes.elements for step in made if step.makes and not step.view_of)
    numbers = [[_finite(each), format_short(each)] for each in (counts.multiplies, counts.macs, counts.flops)]
    return [layer.name, layer.phase, *numbers, [_finite(size), format_bytes(size)], next(_formulas(layer), "")]


def _formulas(layer: LayerCost) -> Iterator[str]:
    """Yield the closed form of the multiplies, where it is short."""
    if len(layer.row.terms) <= 8:
        text = layer.formula.get("multiplies", "")
        yield text if len(text) <= FORMULA_LENGTH else ""
