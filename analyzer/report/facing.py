"""The facing table: what reverse carries and multiplies at each layer, and beside it what forward accumulation does."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from gradcost.graph import Graph
from gradcost.report.model import Facing, LayerRow, Side
from gradcost.schedule.predict import Prediction
from gradcost.schedule.program import Plan

FOLDED_ABOVE = 12  # layers
MOST_BLOCKS = 20  # rows that a network is folded to, where it has blocks
LARGEST = 9  # rows of a network that has none
SHARED = ("primal", "loss")  # phases that every strategy has alike
LOSS = "loss"
INPUT = "input"  # the type of a row for what is differentiated by, and is no layer


def sides(graph: Graph, names: Sequence[str], asked: Sequence[str] | None) -> tuple[str, ...]:
    """Return which strategies face each other: the two that were asked for, or reverse and forward accumulation."""
    if asked is not None and len(names) <= 2:
        return tuple(names)
    wanted = ("reverse", "forward_jvp" if graph.jacobian else "forward_jacobian")
    return tuple(name for name in wanted if name in names) or tuple(names[:2])


def facing(
    graph: Graph,
    strategies: Sequence[str],
    plans: Mapping[str, Plan],
    predictions: Mapping[str, Prediction],
    primal: Prediction,
) -> Facing:
    """Return the table of a network's layers, and of its loss."""
    ends = {node.label: node for node in graph.nodes if node.layer is not None}
    multiplies = {name: _multiplies(predictions[name]) for name in strategies}
    carried = {
        name: {index: sum(buffer.elements for buffer in held) for index, held in plans[name].carried.items()}
        for name in strategies
    }
    macs: dict[str, int] = defaultdict(int)
    for row in primal.rows.values():
        macs[row.label] += row.counts.macs
    infos = {info.name: info for info in graph.layers}
    rows = []
    for label, node in ends.items():
        each = tuple(Side(carried[name].get(node.index, 0), multiplies[name][label]) for name in strategies)
        info = infos.get(label)
        if info is None:  # an input that is differentiated by
            rows.append(LayerRow(label, INPUT, node.shape, 0, 0, each))
        else:
            rows.append(LayerRow(label, info.type, info.output_shape, info.parameters, macs[label], each))
    if any(multiplies[name][LOSS] for name in strategies) and LOSS not in ends:
        rows.append(LayerRow(LOSS, "", (), 0, 0, tuple(Side(0, multiplies[name][LOSS]) for name in strategies)))
    return Facing(tuple(strategies), tuple(rows))


def _multiplies(prediction: Prediction) -> Mapping[str, int]:
    """Return the multiplies of each layer, of all phases but those that every strategy shares."""
    found: dict[str, int] = defaultdict(int)
    for row in prediction.rows.values():
        if row.phase not in SHARED:
            found[row.label] += row.counts.multiplies
    return found


def folded(rows: Sequence[LayerRow]) -> list[LayerRow]:
    """Fold the rows of a large network: layers of a block become one row, or the smallest layers one row of their own.

    Sums stay what they are.
    """
    if len(rows) <= FOLDED_ABOVE:
        return list(rows)
    depth = max(row.name.count(".") for row in rows)
    while depth > 0:
        depth -= 1
        groups: dict[str, list[LayerRow]] = {}
        for row in rows:
            groups.setdefault(".".join(row.name.split(".")[: depth + 1]), []).append(row)
        if 1 < len(groups) <= min(MOST_BLOCKS, len(rows) - 1):
            return [each[0] if len(each) == 1 else _merged(name, each) for name, each in groups.items()]
    return _largest(rows)


def _largest(rows: Sequence[LayerRow]) -> list[LayerRow]:
    """Return the layers that take the most, in their order, and one row for the others."""
    most = sorted(rows, key=lambda row: max((side.multiplies for side in row.sides), default=row.macs), reverse=True)
    kept = {row.name for row in most[:LARGEST]}
    others = [row for row in rows if row.name not in kept]
    last = _merged(f"and {len(others):,} more", others)
    widest = tuple(
        replace(side, carried=max(row.sides[i].carried for row in others)) for i, side in enumerate(last.sides)
    )
    return [*(row for row in rows if row.name in kept), replace(last, shape=(), type="", sides=widest)]


def _merged(name: str, rows: Sequence[LayerRow]) -> LayerRow:
    """Return several layers as one row: sums, and what stands at the end of the last."""
    last = rows[-1]
    sides = tuple(
        Side(last.sides[i].carried, sum(row.sides[i].multiplies for row in rows)) for i in range(len(last.sides))
    )
    count = f"{len(rows):,} layers"
    return LayerRow(name, count, last.shape, sum(r.parameters for r in rows), sum(r.macs for r in rows), sides)
