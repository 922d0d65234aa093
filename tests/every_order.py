"""Brute force: the least cost over all orders of elimination."""

from __future__ import annotations

from gradcost.chains.elimination import Dag, Remaining


def brute(dag: Dag) -> int:
    """Return the least cost over all orders, one by one; those that begin alike share their beginning."""
    return _least(Remaining(dag), frozenset(dag.inner))


def _least(graph: Remaining, left: frozenset[int]) -> int:
    found = graph.rest() if not left else None
    for v in left:
        after = graph.copy()
        cost = after.eliminate(v) + _least(after, left - {v})
        found = cost if found is None else min(found, cost)
    assert found is not None
    return found
