"""Orders of elimination by multiplies and peak, both read from predicted schedules.

What a vertex's elimination costs, and what is alive meanwhile, depend on the set of vertices that are gone and on
nothing else: the edges that are left, and the values that they still read. So one schedule settles both for all sets
that its order passes, and a table over sets (see ``fronts``) finds the front of all orders, up to ``MOST`` vertices.
"""

from __future__ import annotations

from gradcost.chains.elimination import Dag
from gradcost.chains.fronts import Point, front, undominated
from gradcost.chains.orders import dearest_last, least_order, markowitz
from gradcost.eliminating.elimination import eliminate
from gradcost.eliminating.locals import Locals
from gradcost.graph import Graph
from gradcost.schedule.emitter import Emitter
from gradcost.schedule.predict import walk
from gradcost.schedule.program import Plan, Segment

MOST = 10  # vertices whose orders are all weighed
RUN = 5  # neighbours of a longer order that are put into any other
WORK = 60  # vertices above which the orders that are known are weighed alone

Order = tuple[int, ...]


def local(graph: Graph) -> Locals:
    """Emit the primal of a network, and its factors."""
    emitter = Emitter(graph)
    emitter.forward()
    return Locals(emitter)


def scheduled(found: Locals, order: Order) -> Plan:
    """Schedule an order of elimination."""
    gradients = eliminate(found, order)
    return Plan([Segment(found.emitter.program)], gradients, carried=found.emitter.carried)


def weighed(graph: Graph) -> list[Point]:
    """Return the orders that no other beats in both multiplies and peak bytes, the fewest multiplies first.

    Of all orders, up to ``MOST`` vertices. Of more, the best of forward, reverse and the greedy ones, runs of whose
    neighbours are put into their own best orders until no peak falls.
    """
    dag = local(graph).dag()
    scale = _Scale(graph, dag)
    known = {least_order(dag), dag.inner, dag.inner[::-1], markowitz(dag), dearest_last(dag)}
    points = undominated(map(scale.whole, sorted(known)))
    if len(dag.inner) <= MOST:
        return front(dag.inner, scale.step, points, scale.start)
    return undominated((*points, *_searched(scale, points[-1]))) if len(dag.inner) <= WORK else points


def _searched(scale: _Scale, point: Point) -> list[Point]:
    """Return orders of ever lower peaks, each by another order of ``RUN`` neighbours of the one before."""
    found, gained = [point], True
    while gained:
        gained = False
        for first in range(len(point.order) - RUN + 1):
            order = found[-1].order
            before, run, after = order[:first], order[first : first + RUN], order[first + RUN :]
            others = front(run, scale.step, (), scale.start._replace(order=before))
            best = min((scale.whole((*other.order, *after)) for other in others), key=lambda p: (p.height, p.cost))
            if best.height < found[-1].height:
                found.append(best)
                gained = True
    return found


class _Scale:
    """Weighs orders of a network by prediction.

    Attributes:
        start: what the rest of the schedule costs, and takes at the most, whatever the order.
    """

    def __init__(self, graph: Graph, dag: Dag) -> None:
        self.graph, self.inner = graph, dag.inner
        self.known: dict[tuple[frozenset[int], int], tuple[int, int]] = {}
        self.start = self._weigh(dag.inner)

    def whole(self, order: Order) -> Point:
        """Return the figures of a whole order."""
        steps = [self.step(order[:place], v) for place, v in enumerate(order)]
        cost, height = sum(cost for cost, _ in steps), max((height for _, height in steps), default=0)
        return Point(self.start.cost + cost, max(self.start.height, height), order)

    def step(self, before: Order, v: int) -> tuple[int, int]:
        """Return the multiplies of a vertex's elimination behind others, and the bytes that are alive meanwhile."""
        key = frozenset(before), v
        if key not in self.known:
            self._weigh(self._completed((*before, v)))
        return self.known[key]

    def _completed(self, order: Order) -> Order:
        """Return an order that begins so, and passes what is not known yet where it can."""
        left = [v for v in self.inner if v not in order]
        while left:
            gone = frozenset(order)
            v = next((v for v in left if (gone, v) not in self.known), left[0])
            order = (*order, v)
            left.remove(v)
        return order

    def _weigh(self, order: Order) -> Point:
        """Predict a schedule, note what its vertices take, and return what is there besides."""
        found = local(self.graph)
        (segment,) = scheduled(found, order).segments
        costs, heights = [], []
        for step, turns, values, height in walk(segment.program):
            costs.append(turns * step.term.times * values[0])
            heights.append(height)
        for place, v in enumerate(order):
            first, end = found.spans[v]
            self.known[frozenset(order[:place]), v] = sum(costs[first:end]), max(heights[first:end], default=0)
        first, end = (found.spans[order[0]][0], found.spans[order[-1]][1]) if order else (0, 0)
        return Point(sum(costs) - sum(costs[first:end]), max(heights[:first] + heights[end:]), ())
