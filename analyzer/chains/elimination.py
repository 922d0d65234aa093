"""Vertex elimination: the Jacobian of a DAG's sinks by its sources (Griewank & Walther 2008, chapter 9).

A vertex is a value, an edge the factor dy/dx between two of them. To eliminate a vertex v is to add, for every x that
v reads and every y that reads v, dy/dv dv/dx to dy/dx: a product, and where x and y are joined already additions alone.
When all vertices but sources and sinks are gone, the edges are the Jacobian. Reverse accumulation eliminates from the
sinks back, forward accumulation from the sources on; the structure that is left does not depend on the order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product as every

from gradcost.chains.factors import Factor, price, product, total

ENUMERATED = 6  # factors on a side of a vertex of which each choice is tried; of more, all or none are made to stand

Edge = tuple[int, int]


@dataclass(frozen=True)
class Dag:
    """A DAG of factors.

    Attributes:
        edges: the factor dy/dx of each edge (x, y); vertices are numbered from the sources to the sinks.
        inner: the vertices to eliminate, in that order.
        samples: of the batch.
    """

    edges: Mapping[Edge, Factor]
    inner: tuple[int, ...]
    samples: int = 1


@dataclass(frozen=True, slots=True)
class Elimination:
    """How a vertex is eliminated.

    Attributes:
        cost: multiplies.
        stands: the edges, of those that did not, that are made to stand before.
    """

    cost: int
    stands: frozenset[Edge]


class Remaining:
    """A DAG while vertices are eliminated from it: the edges into each vertex, and out of it."""

    def __init__(self, dag: Dag) -> None:
        """Start with all vertices."""
        self.samples = dag.samples
        self.into: dict[int, dict[int, Factor]] = {}
        self.out: dict[int, dict[int, Factor]] = {}
        for (x, y), factor in dag.edges.items():
            self._join(x, y, factor)

    def copy(self) -> Remaining:
        """Return a DAG that can go its own way."""
        other = Remaining(Dag({}, (), self.samples))
        other.into = {y: dict(edges) for y, edges in self.into.items()}
        other.out = {x: dict(edges) for x, edges in self.out.items()}
        return other

    def without(self, v: int) -> Remaining:
        """Return the DAG without a vertex."""
        other = self.copy()
        other.eliminate(v)
        return other

    def eliminate(self, v: int) -> int:
        """Take a vertex out and return the multiplies of its fill, sums that make an edge stand included."""
        cost = self.cost(v)
        into, out = self.into.pop(v, {}), self.out.pop(v, {})
        for x in into:
            del self.out[x][v]
        for y in out:
            del self.into[y][v]
        for x, right in into.items():
            for y, left in out.items():
                self._join(x, y, product(left, right))
        return cost

    def cost(self, v: int) -> int:
        """Return the multiplies of taking a vertex out."""
        into, out = self.into.get(v, {}), self.out.get(v, {})
        summed = sum(self._made(self.out[x][y]) for x in into for y in out if y in self.out[x])
        return summed + self.way(v).cost

    def way(self, v: int) -> Elimination:
        """Return the cheapest way to the products at a vertex.

        What does not stand is made to stand, once for all its products, or is passed by each of them. For every choice
        on the side with fewer such factors, each factor on the other side chooses for itself. It depends on the DAG
        that is left alone, not on how that came about.
        """
        into, out = self.into.get(v, {}), self.out.get(v, {})
        lazy_in, lazy_out = ([f for f in side.values() if f.passed] for side in (into, out))
        if not lazy_in and not lazy_out:
            return Elimination(sum(price(y, x, self.samples) for x in into.values() for y in out.values()), frozenset())
        into, out = dict(sorted(into.items())), dict(sorted(out.items()))
        if len(lazy_in) < len(lazy_out):
            return self._least({(x, v): f for x, f in into.items()}, {(v, y): f for y, f in out.items()}, first=False)
        return self._least({(v, y): f for y, f in out.items()}, {(x, v): f for x, f in into.items()}, first=True)

    def _least(self, chosen: Mapping[Edge, Factor], others: Mapping[Edge, Factor], *, first: bool) -> Elimination:
        """Try the choices among ``chosen``, the left factors if they are ``first``."""
        best: Elimination | None = None
        for stands in _choices([edge for edge, factor in chosen.items() if factor.passed]):
            cost = sum(self._made(chosen[edge]) for edge in stands)
            fixed = [factor.standing if edge in stands else factor for edge, factor in chosen.items()]
            made = set(stands)
            barred = any(factor.passed for factor in fixed)  # what is passed itself passes nothing
            for edge, factor in others.items():
                stood = self._made(factor) + self._products(fixed, factor.standing, first=first)
                passed = stood if barred else self._products(fixed, factor, first=first)
                if factor.passed and (barred or stood < passed):
                    made.add(edge)
                cost += min(stood, passed)
            if best is None or cost < best.cost:
                best = Elimination(cost, frozenset(made))
        assert best is not None
        return best

    def _products(self, fixed: Sequence[Factor], factor: Factor, *, first: bool) -> int:
        """Return the price of one factor's products with those of the other side."""
        pairs = ((other, factor) if first else (factor, other) for other in fixed)
        return sum(price(left, right, self.samples) for left, right in pairs)

    def rest(self) -> int:
        """Return what it costs until all edges stand."""
        return sum(self._made(factor) for edges in self.out.values() for factor in edges.values())

    def _made(self, factor: Factor) -> int:
        return factor.made * factor.times(self.samples)

    def _join(self, x: int, y: int, factor: Factor) -> None:
        held = self.out.setdefault(x, {}).get(y)
        both = factor if held is None else total(held, factor)
        self.out[x][y] = self.into.setdefault(y, {})[x] = both


def cost_of(dag: Dag, order: Sequence[int]) -> int:
    """Return the multiplies of an order of elimination."""
    state = Remaining(dag)
    return sum(state.eliminate(v) for v in order) + state.rest()


def _choices(edges: Sequence[Edge]) -> Iterator[tuple[Edge, ...]]:
    if len(edges) > ENUMERATED:
        yield from ((), tuple(edges))
        return
    for mask in every((False, True), repeat=len(edges)):
        yield tuple(edge for edge, taken in zip(edges, mask, strict=True) if taken)
