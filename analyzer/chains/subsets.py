"""The least order of elimination by dynamic programming over sets of vertices.

The graph after eliminating a set S does not depend on the order, so cost[S + v] = min over v of cost[S] + cost of v in
that graph. Sets are walked by their size; one that costs more already than an order that is known is left out.
"""

from __future__ import annotations

from collections.abc import Sequence

from gradcost.chains.elimination import Dag, Remaining

MOST = 16  # vertices


def least_order(dag: Dag, known: int) -> tuple[int, ...] | None:
    """Return the cheapest order of all vertices; None where none is cheaper than one that is ``known``."""
    graph = Remaining(dag)
    last = graph.copy()
    for v in dag.inner:
        last.eliminate(v)
    return least_run(graph, dag.inner, known - last.rest())


def least_run(graph: Remaining, vertices: Sequence[int], known: int) -> tuple[int, ...] | None:
    """Return the cheapest order of some vertices; None where none costs less than ``known``."""
    sets: dict[int, tuple[int, tuple[int, ...], Remaining]] = {0: (0, (), graph)}
    for _ in vertices:
        larger: dict[int, tuple[int, tuple[int, ...], Remaining]] = {}
        for taken, (cost, order, rest) in sets.items():
            for place, v in enumerate(vertices):
                if taken >> place & 1:
                    continue
                more, both = cost + rest.cost(v), taken | 1 << place
                held = larger.get(both)
                if more < (held[0] if held else known):
                    larger[both] = more, (*order, v), held[2] if held else rest.without(v)
        sets = larger
    return min(((cost, order) for cost, order, _ in sets.values()), default=(0, None))[1]
