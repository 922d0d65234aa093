"""Optimal brackets against brute force, and executed."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import gradcost
from gradcost.chains.brackets import SEED, Chain, Product, optimal
from gradcost.schedule.predict import predict
from gradcost.strategies import STRATEGIES, Options
from test_jacobian import prove

SIZES = st.integers(1, 9)


@st.composite
def chains(draw: st.DrawFn, structured: bool) -> Chain:
    """Chains of up to 8 stages: all dense, or some of them diagonal, or with costs that no matrix explains."""
    length = draw(st.integers(1, 8))
    sizes = [draw(SIZES)]
    push, pull = [], []
    for _ in range(length):
        kind = draw(st.sampled_from(("dense", "diagonal", "free"))) if structured else "dense"
        size = sizes[-1] if kind == "diagonal" else draw(SIZES)
        dense = size * sizes[-1]
        each, row = {"dense": (dense, dense), "diagonal": (size, size), "free": (draw(SIZES), draw(SIZES))}[kind]
        push.append((draw(st.integers(0, 5)) if kind == "free" else 0, each))
        pull.append(row)
        sizes.append(size)
    return Chain(tuple(sizes), draw(SIZES), draw(st.integers(1, 3)), tuple(push), tuple(pull))


def every_cost(chain: Chain) -> set[int]:
    """Return the cost of every way to bracket a chain, one by one."""

    @cache
    def costs(start: int, stop: int) -> frozenset[int]:
        if start == SEED and stop == 0:
            return frozenset({0})
        columns = chain.columns if start == SEED else chain.sizes[start]
        found = set()
        if start != SEED:
            found.add(sum(a + b * columns for a, b in chain.push[start:stop]))
            found.add(sum(chain.pull[start:stop]) * chain.sizes[stop])
        for k in range(max(start + 1, 0), stop):
            after = sum(a + b * columns for a, b in chain.push[k:stop])
            found |= {right + after for right in costs(start, k)}
            product = chain.batch * chain.sizes[stop] * chain.sizes[k] * columns
            found |= {left + right + product for left in costs(k, stop) for right in costs(start, k)}
            if start != SEED:
                before = sum(chain.pull[start:k]) * chain.sizes[stop]
                found |= {left + before for left in costs(k, stop)}
        return frozenset(found)

    return set(costs(SEED, len(chain.push)))


def recount(chain: Chain, product: Product) -> int:
    """Add up what a product's tree does, node by node."""
    total = sum(recount(chain, part) for part in product.parts)
    columns = chain.columns if product.start == SEED else chain.sizes[product.start]
    rows = chain.sizes[product.stop]
    if product.kind == "push":
        begin = product.parts[0].stop if product.parts else product.start
        return total + sum(a + b * columns for a, b in chain.push[begin : product.stop])
    if product.kind == "pull":
        end = product.parts[0].start if product.parts else product.stop
        return total + rows * sum(chain.pull[product.start : end])
    if product.kind == "times":
        left, right = product.parts
        assert left.start == right.stop
        return total + chain.batch * rows * chain.sizes[left.start] * columns
    assert (product.kind, product.parts) == ("seed", ())
    return 0


@given(chains(structured=False))
def test_dense_chains_equal_brute_force_over_all_brackets(chain: Chain) -> None:
    found = optimal(chain)
    assert found.cost == min(every_cost(chain)) == recount(chain, found)


@given(chains(structured=True))
def test_structured_chains_equal_brute_force_over_all_brackets(chain: Chain) -> None:
    found = optimal(chain)
    assert found.cost == min(every_cost(chain)) == recount(chain, found)


@pytest.mark.parametrize("length", range(2, 9))
def test_one_row_is_pulled_all_the_way(length: int) -> None:
    """A scalar output: the adjoint is optimal, up to the product with the seed."""
    sizes = (*range(9, 9 - length, -1), 1)
    push = tuple((0, a * b) for a, b in pairwise(sizes))
    found = optimal(Chain(sizes, 50, 1, push, tuple(each for _, each in push)))
    assert found.cost == sum(each for _, each in push) + 50 * sizes[0]


def chain(sizes: list[int], batch: int = 1) -> dict[str, Any]:
    """Return dense layers; the last is called ``out``."""
    layers = [{"name": f"l{i}", "type": "dense", "units": n, "activation": "tanh"} for i, n in enumerate(sizes[1:])]
    layers[-1]["name"] = "out"
    return {"batch": batch, "input": {"shape": [sizes[0]]}, "layers": layers, "loss": "mse"}


@pytest.mark.parametrize("sizes", [[3, 4, 2], [8, 2, 8], [2, 9, 9, 1], [5, 5, 5, 5]])
@pytest.mark.parametrize("wrt", ["params", "inputs", "l0"])
def test_for_a_scalar_loss_it_is_reverse(sizes: list[int], wrt: str) -> None:
    report = gradcost.analyze(chain(sizes), wrt=wrt, measure=True, strategies=["reverse", "optimal"])
    assert not report.mismatches
    assert report.strategies["optimal"].predicted == report.strategies["reverse"].predicted
    assert report.strategies["optimal"].measured is not None


@pytest.mark.parametrize(
    ("sizes", "wrt"),
    [
        ([8, 8, 2, 8, 8], "inputs"),
        ([8, 8, 2, 8, 8], "l1"),
        ([6, 12, 2, 12, 2, 12, 6], "inputs"),
        ([6, 12, 2, 12, 2, 12, 6], "l0"),
        ([9, 9, 2, 9, 9, 3, 9], "l1"),
    ],
)
@pytest.mark.parametrize("batch", [1, 2])
def test_for_vectors_it_can_beat_both_pure_modes(sizes: list[int], wrt: str, batch: int) -> None:
    """Bottlenecks: rows are pulled on one side of them, and columns pushed on the other."""
    network = gradcost.load(chain(sizes, batch), wrt=wrt, outputs="out")
    prove(network, (network.trained_parameters,))
    plans = {name: STRATEGIES[name].plan(network, Options(chunk=network.trained_parameters)) for name in PURE}
    best = predict(STRATEGIES["optimal"].plan(network, Options())).counts.multiplies
    assert best < min(predict(plan).counts.multiplies for plan in plans.values())


PURE = ("reverse", "forward_jacobian", "forward_jvp")


@pytest.mark.parametrize("outputs", [1, 2, 4, 9, 30])
@pytest.mark.parametrize("wrt", ["params", "inputs", "l0", "l1"])
def test_never_more_than_the_pure_modes(outputs: int, wrt: str) -> None:
    network = gradcost.load(chain([6, 4, 7, outputs]), wrt=wrt, outputs="out")
    prove(network, (1000,))
    costs = {
        name: predict(STRATEGIES[name].plan(network, Options(chunk=1000))).counts.multiplies
        for name in (*PURE, "optimal")
    }
    assert costs["optimal"] <= min(costs.values())


def test_layers_that_couple_samples_are_not_bracketed_sample_by_sample() -> None:
    spec = chain([5, 6, 2, 6, 5], batch=3)
    spec["layers"].insert(1, {"type": "batchnorm", "statistics": "batch"})
    spec["layers"].insert(3, {"type": "batchnorm", "statistics": "batch"})
    for wrt in ("inputs", "l0", "params"):
        prove(gradcost.load(spec, wrt=wrt, outputs="out"), (1000,))
