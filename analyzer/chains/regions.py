"""Orders of a DAG that is a chain of regions: parts between two vertices that every path passes.

A region is made to stand in its own least order, or columns are pushed through it, vertex by vertex, or rows pulled.
With these three prices it is a factor of a chain, which is bracketed as any other (see ``intervals``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

from gradcost.chains import intervals
from gradcost.chains.elimination import Dag, Remaining, cost_of
from gradcost.chains.factors import Factor, Line, Passed

Order = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Region:
    """A part of a DAG from one vertex to another.

    Attributes:
        inner: the vertices in it, from its start to its end.
        order: the best one of them.
        factor: the derivative of its end by its start, with its prices.
    """

    inner: Order
    order: Order
    factor: Factor


def composed(dag: Dag, best: Callable[[Dag], Order]) -> Order | None:
    """Return an order by regions, each in its ``best`` order or passed; None where there are no two of them."""
    path = _cuts(dag)
    if len(path) < 3:
        return None
    regions = [_region(dag, start, end, best) for start, end in pairwise(path)]
    _, places, passed = intervals.least([region.factor for region in regions], dag.samples)
    order = [v for number, region in enumerate(regions) if number not in passed for v in region.order]
    for place in places:
        order.append(path[place])
        if place - 1 in passed and not passed[place - 1]:
            order += regions[place - 1].inner[::-1]
        if passed.get(place):
            order += regions[place].inner
    return tuple(order)


def _cuts(dag: Dag) -> Order:
    """Return the source, the vertices that every path passes, and the sink; nothing where there are several ends."""
    starts, ends = ({edge[side] for edge in dag.edges} for side in (0, 1))
    sources, sinks = starts - ends, ends - starts
    if len(sources) != 1 or len(sinks) != 1:
        return ()
    passed = [v for v in dag.inner if not any(x < v < y for x, y in dag.edges)]
    return (*sources, *passed, *sinks)


def _region(dag: Dag, start: int, end: int, best: Callable[[Dag], Order]) -> Region:
    edges = {(x, y): factor for (x, y), factor in dag.edges.items() if start <= x and y <= end}
    inner = tuple(v for v in dag.inner if start < v < end)
    if not inner:
        return Region((), (), edges[start, end])
    part = Dag(edges, inner, 1)
    order = best(part)
    graph = Remaining(part)
    for v in order:
        graph.eliminate(v)
    whole = graph.out[start][end]
    columns, rows = whole.columns, whole.rows
    push = _line(lambda k: cost_of(*_fed(part, start, Factor(columns, k, sampled=True))))
    pull = _line(lambda k: cost_of(*_read(part, end, Factor(k, rows, sampled=True))))
    return Region(inner, order, replace(whole, passed=Passed(push, pull, cost_of(part, order))))


def _fed(part: Dag, start: int, factor: Factor) -> tuple[Dag, Order]:
    """Return the region behind a factor, and the order that pushes its columns through."""
    inner = (start, *part.inner)
    return Dag({(start - 1, start): factor, **part.edges}, inner, 1), inner


def _read(part: Dag, end: int, factor: Factor) -> tuple[Dag, Order]:
    """Return the region before a factor, and the order that pulls its rows through."""
    inner = (*part.inner, end)
    return Dag({**part.edges, (end, end + 1): factor}, inner, 1), inner[::-1]


def _line(cost: Callable[[int], int]) -> Line:
    one, two = cost(1), cost(2)
    return Line(2 * one - two, two - one)
