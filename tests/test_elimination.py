"""Vertex elimination: prices by counting, and orders against brute force."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise, permutations
from math import gcd
from random import Random

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from every_order import brute
from gradcost.chains import intervals, orders, subsets
from gradcost.chains.elimination import Dag, Remaining, cost_of
from gradcost.chains.factors import Factor, Line, Passed, identity, price, product, total

SIZES = st.sampled_from((1, 2, 3, 4, 6, 8))


@st.composite
def factors(draw: st.DrawFn, rows: int, columns: int, units: bool = True) -> Factor:
    """A dense factor, one in blocks, a diagonal, one that is passed, or an identity."""
    sampled = draw(st.booleans())
    kind = draw(st.sampled_from(("dense", "blocks", "diagonal", "passed", *(("unit",) if units else ()))))
    if kind == "unit" and rows == columns:
        return identity(rows)
    if kind == "diagonal" and rows == columns:
        return Factor(rows, columns, rows, sampled=sampled)
    if kind == "blocks":
        common = [n for n in range(1, min(rows, columns) + 1) if rows % n == columns % n == 0]
        return Factor(rows, columns, draw(st.sampled_from(common)), draw(st.booleans()), sampled)
    if kind == "passed":
        push, pull = (Line(draw(st.integers(0, 9)), draw(st.integers(0, 30))) for _ in range(2))
        return Factor(rows, columns, sampled=sampled, passed=Passed(push, pull))
    return Factor(rows, columns, sampled=sampled)


@st.composite
def chains(draw: st.DrawFn, longest: int) -> list[Factor]:
    sizes = draw(st.lists(SIZES, min_size=2, max_size=longest + 1))
    return [draw(factors(m, n, units=False)) for n, m in pairwise(sizes)]


@st.composite
def dags(draw: st.DrawFn, largest: int, smallest: int = 1) -> Dag:
    """DAGs with one or two sources and sinks; every vertex is on a path between them."""
    inner = draw(st.integers(smallest, largest))
    sources, sinks = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    sizes = [draw(SIZES) for _ in range(sources + inner + sinks)]
    edges = {}
    last = sources + inner
    for y in range(sources, len(sizes)):
        reads = [x for x in range(min(y, last)) if draw(st.integers(0, 2)) == 0]
        for x in reads or [min(y, last) - 1]:
            edges[x, y] = draw(factors(sizes[y], sizes[x]))
    for x in range(last):
        if not any(edge[0] == x for edge in edges):
            edges[x, last] = draw(factors(sizes[last], sizes[x]))
    return Dag(edges, tuple(range(sources, last)), draw(st.sampled_from((1, 3))))


def path(chain: list[Factor], samples: int) -> Dag:
    return Dag({(i, i + 1): factor for i, factor in enumerate(chain)}, tuple(range(1, len(chain))), samples)


def pattern(factor: Factor) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """Return where a factor is not zero."""
    block = np.ones((factor.rows // factor.blocks, factor.columns // factor.blocks), np.int64)
    return np.kron(np.eye(factor.blocks, dtype=np.int64), block)


@given(st.data(), SIZES, SIZES, SIZES, st.sampled_from((1, 5)))
def test_the_price_counts_pairs_of_entries_that_meet(
    data: st.DataObject, rows: int, inner: int, columns: int, samples: int
) -> None:
    left, right = data.draw(factors(rows, inner)).standing, data.draw(factors(inner, columns)).standing
    common = gcd(left.blocks, right.blocks)
    filled = right if common in (left.blocks, right.blocks) else replace(right, blocks=common)
    pairs = int((pattern(left) @ pattern(filled)).sum())
    if left.unit or right.unit:
        pairs = 0
    if left.alike and right.alike and left.blocks == right.blocks:
        pairs //= left.blocks
    assert price(left, right, samples) == pairs * (samples if left.sampled or right.sampled else 1)
    found = pattern(product(left, right))
    assert (found >= (pattern(left) @ pattern(right) > 0)).all()


@given(st.data(), SIZES, SIZES, SIZES)
def test_structures_distribute(data: st.DataObject, rows: int, inner: int, columns: int) -> None:
    left = data.draw(factors(rows, inner))
    one, other = (data.draw(factors(inner, columns)) for _ in range(2))
    assert product(left, total(one, other)) == total(product(left, one), product(left, other))


@given(dags(4))
def test_what_is_left_does_not_depend_on_the_order(dag: Dag) -> None:
    """Which is what a table over sets of vertices rests on."""
    left = []
    for order in permutations(dag.inner):
        graph = Remaining(dag)
        for v in order:
            graph.eliminate(v)
        left.append(graph.out)
    assert all(out == left[0] for out in left)


@given(dags(4))
def test_a_brute_force_that_shares_beginnings_is_one_over_all_orders(dag: Dag) -> None:
    assert brute(dag) == min(cost_of(dag, order) for order in permutations(dag.inner))


@given(dags(6))
def test_the_order_is_the_least_of_all(dag: Dag) -> None:
    assert cost_of(dag, orders.least_order(dag)) == brute(dag)


@settings(max_examples=10)
@given(dags(7, smallest=7))
def test_the_order_is_the_least_of_all_5040(dag: Dag) -> None:
    """tests/benchmarks/orders.py does the same for hundreds."""
    assert cost_of(dag, orders.least_order(dag)) == brute(dag)


@given(dags(6))
def test_no_order_is_below_what_the_table_finds(dag: Dag) -> None:
    least = brute(dag)
    found = subsets.least_order(dag, least + 1)
    assert found is not None
    assert cost_of(dag, found) == least
    assert subsets.least_order(dag, least) is None


@pytest.mark.parametrize("seed", [3, 20, 24, 25])
def test_eleven_vertices_are_put_into_the_least_order(seed: int) -> None:
    draws = Random(seed)
    sizes = [draws.choice((1, 2, 4, 8, 16)) for _ in range(13)]
    joined = [(x, y) for y in range(1, 13) for x in range(y) if x == y - 1 or draws.random() < 0.25]
    dag = Dag({(x, y): Factor(sizes[y], sizes[x]) for x, y in joined}, tuple(range(1, 12)))
    least = subsets.least_order(dag, 1 << 62)
    assert least is not None
    assert cost_of(dag, orders.least_order(dag)) == cost_of(dag, least)


def test_a_view_before_what_is_passed_for_nothing_does_not_make_it_stand() -> None:
    """A concatenation pushes columns for nothing; as a matrix, it would be multiplied."""
    free = Factor(4, 4, passed=Passed(Line(0, 0), Line(0, 0)))
    dag = Dag({(0, 1): Factor(4, 4), (1, 2): identity(4), (2, 3): free}, (1, 2))
    assert cost_of(dag, orders.least_order(dag)) == 0


@given(chains(7), st.sampled_from((1, 3)))
def test_chains_are_bracketed_in_the_least_way(chain: list[Factor], samples: int) -> None:
    cost, order = intervals.least_order(chain, samples)
    dag = path(chain, samples)
    assert cost == cost_of(dag, order) == brute(dag)


@given(chains(12), st.sampled_from((1, 3)))
def test_chains_cost_the_same_by_intervals_and_by_sets(chain: list[Factor], samples: int) -> None:
    dag = path(chain, samples)
    found = subsets.least_order(dag, 1 << 62)
    assert found is not None
    assert cost_of(dag, found) == intervals.least_order(chain, samples)[0]


@given(st.lists(st.integers(1, 9), min_size=3, max_size=9))
@example([9, 3, 6, 8])
def test_a_weight_matrix_is_a_factor_as_it_stands(sizes: list[int]) -> None:
    """The matrix-chain optimum, by the recurrence of the textbooks (Cormen et al., 15.2)."""

    def least(i: int, j: int) -> int:
        if j - i == 1:
            return 0
        return min(least(i, k) + least(k, j) + sizes[i] * sizes[k] * sizes[j] for k in range(i + 1, j))

    chain = [Factor(n, m) for m, n in pairwise(sizes)]
    assert intervals.least_order(chain, 7)[0] == least(0, len(sizes) - 1)


@given(chains(6), st.integers(0, 5), st.sampled_from((1, 3)))
def test_a_view_costs_nothing(chain: list[Factor], place: int, samples: int) -> None:
    place = min(place, len(chain))
    size = chain[place].columns if place < len(chain) else chain[-1].rows
    viewed = [*chain[:place], identity(size), *chain[place:]]
    before, after = path(chain, samples), path(viewed, samples)
    assert cost_of(after, orders.least_order(after)) <= cost_of(before, orders.least_order(before))


def test_int64_is_used_only_where_it_is_enough() -> None:
    """Squares of 2^21: the least cost of four passes 2^62."""
    size = 1 << 21
    chain = [Factor(size, size) for _ in range(4)]
    assert intervals.bound(chain, 1) >= intervals.LARGEST
    assert intervals.least_order(chain, 1)[0] == 3 * size**3


@given(chains(20), st.sampled_from((1, 3)))
def test_no_figure_on_the_way_passes_the_bound(chain: list[Factor], samples: int) -> None:
    dag = path(chain, samples)
    worst = max(cost_of(dag, dag.inner), cost_of(dag, dag.inner[::-1]))
    assert worst <= intervals.bound(chain, samples)


def test_a_thousand_stages_are_bracketed_within_seconds() -> None:
    """Waists of 2 in every tenth place: two factors of 64 x 2 at each, and all others pass 2 columns."""
    sizes = [2 if i % 10 == 5 else 64 for i in range(1001)]
    chain = [Factor(n, m) for m, n in pairwise(sizes)]
    cost, order = intervals.least_order(chain, 1)
    assert cost == cost_of(path(chain, 1), order)
    assert sorted(order) == list(range(1, 1000))


@st.composite
def large(draw: st.DrawFn) -> Dag:
    """Residual blocks in a row: more vertices than the table takes."""
    edges, at = {}, 0
    sizes = [draw(SIZES)]
    for _ in range(draw(st.integers(9, 12))):
        wide = draw(SIZES)
        edges[at, at + 1] = draw(factors(wide, sizes[-1]))
        edges[at + 1, at + 2] = draw(factors(sizes[-1], wide))
        edges[at, at + 2] = draw(factors(sizes[-1], sizes[-1]))
        at += 2
    return Dag(edges, tuple(range(1, at)), 1)


@settings(max_examples=8)
@given(large())
def test_larger_ones_are_never_dearer_than_forward_or_reverse(dag: Dag) -> None:
    order = orders.least_order(dag)
    assert sorted(order) == list(dag.inner)
    assert cost_of(dag, order) <= min(cost_of(dag, dag.inner), cost_of(dag, dag.inner[::-1]))
