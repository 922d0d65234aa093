"""The layer graph on a plane: ranks from top to bottom, edges past other ranks through places of their own.

The steps are those of Sugiyama, Tagawa & Toda 1981: ranks by longest path, a dummy place for each rank that an edge
passes, and orders within the ranks by barycentres, swept down and up.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

SWEEPS = 4
Edge = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything is, in columns and rows.

    Attributes:
        places: column (the middle is 0) and row of each node.
        edges: the places that each edge goes through, its ends included.
    """

    places: Mapping[str, tuple[float, int]]
    edges: Mapping[Edge, tuple[tuple[float, int], ...]]


def lay_out(nodes: Sequence[str], edges: Sequence[Edge]) -> Layout:
    """Place nodes that come in topological order."""
    row = dict.fromkeys(nodes, 0)
    incoming = defaultdict(list)
    for start, end in edges:
        incoming[end].append(start)
    for node in nodes:
        row[node] = max((row[start] + 1 for start in incoming[node]), default=0)
    routes: dict[Edge, list[str]] = {}
    for start, end in dict.fromkeys(edges):
        passed = range(row[start] + 1, row[end])
        dummies = [f"{start}\0{end}\0{each}" for each in passed]
        row.update(zip(dummies, passed, strict=True))
        routes[start, end] = [start, *dummies, end]
    above, below = defaultdict(list), defaultdict(list)
    for route in routes.values():
        for upper, lower in pairwise(route):
            above[lower].append(upper)
            below[upper].append(lower)
    ranks: list[list[str]] = [[] for _ in range(max(row.values()) + 1)]
    for node, number in row.items():
        ranks[number].append(node)
    column: dict[str, float] = {}
    for rank in ranks:
        _spread(rank, column)
    for _ in range(SWEEPS):
        for order, neighbours in ((ranks, above), (ranks[::-1], below)):
            for rank in order:
                at = {node: _mean([column[each] for each in neighbours[node]], column[node]) for node in rank}
                rank.sort(key=lambda node: at[node])
                _spread(rank, column)
    places = {node: (column[node], row[node]) for node in row}
    through = {edge: tuple(places[node] for node in route) for edge, route in routes.items()}
    return Layout({node: places[node] for node in nodes}, through)


def _spread(rank: Sequence[str], column: dict[str, float]) -> None:
    """Put the nodes of a rank side by side about the middle."""
    for index, node in enumerate(rank):
        column[node] = index - (len(rank) - 1) / 2


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def group(names: Sequence[str], limit: int) -> dict[str, str]:
    """Return which node of a drawing stands for each layer: itself, its block, or a run of neighbours.

    Names of layers in blocks are dotted, ``body.3.up``; the deepest blocks are drawn as one until few enough are left.
    Layers of a block follow each other, so what is grouped stays free of cycles.
    """
    for depth in range(max(name.count(".") for name in names), -1, -1):
        grouped = {name: ".".join(name.split(".")[: depth + 1]) for name in names}
        if len(set(grouped.values())) <= limit:
            return grouped
    size = -(-len(names) // limit)
    runs = [names[start : start + size] for start in range(0, len(names), size)]
    return {name: f"{run[0]} .. {run[-1]}" if len(run) > 1 else name for run in runs for name in run}
