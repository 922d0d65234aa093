"""Orders of DAGs that are chains of regions: each made to stand, pushed or pulled through, and bracketed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradcost.chains import intervals, orders
from gradcost.chains.elimination import Dag, Edge, cost_of
from gradcost.chains.factors import Factor, identity
from gradcost.chains.regions import composed

SIZES = st.sampled_from((1, 2, 4, 8, 16))


def residual(sizes: Sequence[int], wide: Sequence[int]) -> Dag:
    """Return residual blocks, x + V tanh(U x), each of its own width, between dense layers."""
    edges: dict[Edge, Factor] = {}
    at = 0
    for (m, n), w in zip(pairwise(sizes), wide, strict=True):
        edges[at, at + 1] = Factor(n, m)
        edges[at + 1, at + 2] = Factor(w, n)
        edges[at + 2, at + 3] = Factor(w, w, w, sampled=True)
        edges[at + 3, at + 4] = Factor(n, w)
        edges[at + 1, at + 4] = identity(n)
        at += 4
    return Dag(edges, tuple(range(1, at)))


def test_a_chain_of_plain_factors_is_bracketed_as_such() -> None:
    factors = [Factor(n, m) for m, n in pairwise((9, 3, 6, 2, 8))]
    dag = Dag({(i, i + 1): factor for i, factor in enumerate(factors)}, (1, 2, 3))
    order = composed(dag, orders.least_order)
    assert order is not None
    assert cost_of(dag, order) == intervals.least_order(factors, 1)[0]


def test_what_has_no_two_regions_is_left_alone() -> None:
    edges = {(0, 1): Factor(2, 3), (0, 2): Factor(4, 3), (1, 3): Factor(5, 2), (2, 3): Factor(5, 4)}
    assert composed(Dag(edges, (1, 2)), orders.least_order) is None
    assert composed(Dag({(0, 2): Factor(2, 3), (1, 2): Factor(2, 4)}, ()), orders.least_order) is None


@given(st.lists(SIZES, min_size=3, max_size=3), st.lists(SIZES, min_size=2, max_size=2))
def test_it_is_never_dearer_than_to_push_or_pull_through_all_of_them(sizes: list[int], wide: list[int]) -> None:
    dag = residual(sizes, wide)
    order = composed(dag, orders.least_order)
    assert order is not None
    assert sorted(order) == list(dag.inner)
    least = cost_of(dag, orders.least_order(dag))
    assert least <= cost_of(dag, order) <= min(cost_of(dag, dag.inner), cost_of(dag, dag.inner[::-1]))


@pytest.mark.parametrize("waist", [0, 3, 6])
def test_a_waist_among_residual_blocks_is_seen(waist: int) -> None:
    """One vertex of one unit in 27: rows are pulled before it, columns pushed behind it, and they meet there."""
    sizes = [16] * 8
    sizes[waist] = 1
    dag = residual(sizes, [8] * 7)
    assert len(dag.inner) > 16
    once = [dag.edges[edge].rows * dag.edges[edge].columns // dag.edges[edge].blocks for edge in dag.edges]
    meet = 16 * 16 if waist else 0
    assert cost_of(dag, orders.least_order(dag)) <= sum(once) + meet


@settings(max_examples=6)
@given(st.lists(SIZES, min_size=6, max_size=6), st.lists(SIZES, min_size=5, max_size=5))
def test_larger_ones_are_never_dearer_than_what_is_known_without_regions(sizes: list[int], wide: list[int]) -> None:
    dag = residual(sizes, wide)
    known = (dag.inner, dag.inner[::-1], orders.markowitz(dag), orders.dearest_last(dag))
    without = orders.searched(dag, min(known, key=lambda order: cost_of(dag, order)))
    assert cost_of(dag, orders.least_order(dag)) <= cost_of(dag, without)
