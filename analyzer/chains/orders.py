"""Orders of elimination of any DAG: the least where that can be found out, good ones where it cannot.

The general problem is NP-complete (Naumann 2008). Up to ``subsets.MOST`` vertices, and for chains, the order is the
least. Of larger DAGs it is the best of forward, reverse, minimal Markowitz (Griewank & Reese 1991) and a composition of
regions, each improved by local search: runs of neighbours in the order are put into their own least order until none
gains.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from gradcost.chains import intervals, regions, subsets
from gradcost.chains.elimination import Dag, Remaining, cost_of

RUN = 7  # neighbours in an order that are put into their least order at once
WORK = 150  # vertices above which an order is not searched further


def least_order(dag: Dag) -> tuple[int, ...]:
    """Return the order of elimination, never dearer than forward or reverse."""
    first, rest = free(dag)
    return first + (chained(rest) or best(rest))


def free(dag: Dag) -> tuple[tuple[int, ...], Dag]:
    """Return vertices that cost nothing, and the DAG without them: they are joined by one identity to what they are."""
    graph, found = Remaining(dag), []
    for v in dag.inner:
        into, out = graph.into.get(v, {}), graph.out.get(v, {})
        same = [side for side in (into, out) if len(side) == 1 and all(factor.unit for factor in side.values())]
        passes = any(factor.passed for factor in (*into.values(), *out.values()))
        if same and not passes and graph.cost(v) == 0:
            graph.eliminate(v)
            found.append(v)
    edges = {(x, y): factor for x, ys in graph.out.items() for y, factor in ys.items()}
    return tuple(found), Dag(edges, tuple(v for v in dag.inner if v not in found), dag.samples)


def chained(dag: Dag) -> tuple[int, ...] | None:
    """Return the least order of a chain; None for another DAG."""
    if not (path := chain(dag)):
        return None
    factors = [dag.edges[edge] for edge in pairwise(path)]
    return tuple(path[place] for place in intervals.least_order(factors, dag.samples)[1])


def best(dag: Dag) -> tuple[int, ...]:
    """Return the least order of a DAG that is no chain, or the best that is found where it is large."""
    orders = (dag.inner, dag.inner[::-1], markowitz(dag), dearest_last(dag))
    starts = [min(orders, key=lambda order: cost_of(dag, order))]
    if len(dag.inner) > subsets.MOST and (composed := regions.composed(dag, least_order)):
        starts.append(composed)
    if len(dag.inner) <= WORK:
        starts = [searched(dag, start) for start in starts]
    found = min(starts, key=lambda order: cost_of(dag, order))
    if len(dag.inner) <= subsets.MOST:
        found = subsets.least_order(dag, cost_of(dag, found)) or found
    return found


def exact(dag: Dag) -> bool:
    """Whether the order is the least of all."""
    _, rest = free(dag)
    return len(rest.inner) <= subsets.MOST or bool(chain(rest))


def chain(dag: Dag) -> tuple[int, ...]:
    """Return the vertices of a DAG that is a chain without identities, in order; nothing for another DAG."""
    if any(factor.unit for factor in dag.edges.values()):
        return ()
    after, sources = dict(dag.edges.keys()), {y: x for x, y in dag.edges}
    starts = after.keys() - sources.keys()
    if len(starts) != 1 or len(after) < len(dag.edges) or len(sources) < len(dag.edges):
        return ()
    path = [*starts]
    while path[-1] in after:
        path.append(after[path[-1]])
    return tuple(path)


def markowitz(dag: Dag) -> tuple[int, ...]:
    """Return the order that takes the vertex of the cheapest fill at each step."""
    return _greedy(dag, lambda graph, v: graph.cost(v))


def dearest_last(dag: Dag) -> tuple[int, ...]:
    """Return the order that takes the vertex of the cheapest fill for the largest vertex at each step."""
    size = {y: factor.rows for (_, y), factor in dag.edges.items()}
    return _greedy(dag, lambda graph, v: graph.cost(v) / size[v])


def _greedy(dag: Dag, worth: Callable[[Remaining, int], float]) -> tuple[int, ...]:
    """Return the order that takes the least of what is left at each step; only neighbours are looked at again."""
    graph, found = Remaining(dag), []
    worths = {v: worth(graph, v) for v in dag.inner}
    while worths:
        v = min(worths, key=lambda v: worths[v])
        near = (graph.into.get(v, {}).keys() | graph.out.get(v, {}).keys()) & worths.keys()
        graph.eliminate(v)
        del worths[v]
        worths |= {u: worth(graph, u) for u in near}
        found.append(v)
    return tuple(found)


def searched(dag: Dag, order: Sequence[int]) -> tuple[int, ...]:
    """Return an order that no other order of ``RUN`` neighbours in it makes cheaper."""
    found, gained = tuple(order), True
    while gained:
        gained, graph = False, Remaining(dag)
        for start in range(len(found)):
            run, state = found[start : start + RUN], graph.copy()
            better = subsets.least_run(graph, run, sum(state.eliminate(v) for v in run))
            if better is not None:
                found = (*found[:start], *better, *found[start + RUN :])
                gained = True
            graph.eliminate(found[start])
    return found
