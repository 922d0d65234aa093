"""Orders of elimination of any DAG: the least where that can be found out, good ones where it cannot.

The general problem is NP-complete (Naumann 2008). Up to ``subsets.MOST`` vertices, and for chains, the order is the
least. Of larger DAGs it is the best of forward, reverse and minimal Markowitz (Griewank & Reese 1991), improved by
local search: runs of neighbours in the order are put into their own least order until none gains.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gradcost.chains import intervals, subsets
from gradcost.chains.elimination import Dag, Remaining, cost_of

RUN = 7  # neighbours in an order that are put into their least order at once
WORK = 150  # vertices above which an order is not searched further


def least_order(dag: Dag) -> tuple[int, ...]:
    """Return the order of elimination, never dearer than forward or reverse."""
    if path := chain(dag):
        factors = [dag.edges[edge] for edge in zip(path, path[1:], strict=False)]
        return tuple(path[place] for place in intervals.least_order(factors, dag.samples)[1])
    orders = (dag.inner, dag.inner[::-1], markowitz(dag), dearest_last(dag))
    best = min(orders, key=lambda order: cost_of(dag, order))
    if len(dag.inner) <= WORK:
        best = searched(dag, best)
    if len(dag.inner) <= subsets.MOST:
        best = subsets.least_order(dag, cost_of(dag, best)) or best
    return best


def chain(dag: Dag) -> tuple[int, ...]:
    """Return the vertices of a DAG that is a chain without identities, in order; nothing for another DAG."""
    if any(factor.unit for factor in dag.edges.values()):
        return ()
    after = dict(dag.edges)
    starts = {x for x, _ in after} - {y for _, y in after}
    if len(starts) != 1 or len({x for x, _ in after}) < len(after) or len({y for _, y in after}) < len(after):
        return ()
    follows = dict(after.keys())
    path = [*starts]
    while path[-1] in follows:
        path.append(follows[path[-1]])
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
    best, cost = tuple(order), cost_of(dag, order)
    gained = True
    while gained:
        gained = False
        graph = Remaining(dag)
        for start in range(0, max(1, len(best) - 1)):
            run = best[start : start + RUN]
            state = graph.copy()
            now = sum(state.eliminate(v) for v in run)
            better = subsets.least_run(graph, run, now)
            if better is not None:
                best = (*best[:start], *better, *best[start + RUN :])
                gained = True
            graph.eliminate(best[start])
        after = cost_of(dag, best)
        gained, cost = gained and after < cost, after
    return best
