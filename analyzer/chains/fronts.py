"""Orders by two figures at once: what is added up over the vertices, and the largest of what each of them takes.

Where both figures of a vertex depend on the set that is gone before it alone, and not on its order, a table over sets
that keeps the points no other beats in both holds the whole front: an order that begins with a beaten one is beaten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

Step = Callable[[tuple[int, ...], int], tuple[int, int]]


class Point(NamedTuple):
    """An order, or the beginning of one.

    Attributes:
        cost: the sum over its vertices: multiplies.
        height: the largest of theirs: bytes.
        order: its vertices.
    """

    cost: int
    height: int
    order: tuple[int, ...]


def undominated(points: Iterable[Point]) -> list[Point]:
    """Return the points that no other beats in one figure without losing in the other, the lowest cost first."""
    kept: list[Point] = []
    for point in sorted(points):
        if not kept or point.height < kept[-1].height:
            kept.append(point)
    return kept


def front(vertices: Sequence[int], step: Step, known: Iterable[Point], start: Point) -> list[Point]:
    """Return the undominated orders of some vertices.

    Args:
        vertices: to be ordered.
        step: the cost and the height of a vertex behind an order.
        known: whole orders; what they beat is followed no further.
        start: what comes before: its order, cost and height.
    """
    whole = undominated(known)
    sets = {0: [start]}
    for _ in vertices:
        larger: dict[int, list[Point]] = {}
        for taken, points in sets.items():
            for place, v in enumerate(vertices):
                if taken >> place & 1:
                    continue
                cost, height = step(points[0].order, v)
                more = (Point(p.cost + cost, max(p.height, height), (*p.order, v)) for p in points)
                larger.setdefault(taken | 1 << place, []).extend(p for p in more if not _beaten(p, whole))
        sets = {taken: undominated(points) for taken, points in larger.items() if points}
    return undominated((*whole, *(point for points in sets.values() for point in points)))


def _beaten(point: Point, whole: Sequence[Point]) -> bool:
    return any(other.cost <= point.cost and other.height <= point.height for other in whole)
