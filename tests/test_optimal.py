"""optimal: reverse for a loss, the best order of elimination for a Jacobian, never more than the pure modes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import gradcost
from gradcost.schedule.predict import predict
from gradcost.strategies import STRATEGIES, Options
from networks import networks
from test_jacobian import prove


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


def multiplies(spec: dict[str, Any], wrt: str = "inputs", strategy: str = "optimal") -> int:
    """Return the multiplies of a Jacobian, those of the primal and of f' left out."""
    network = gradcost.load(spec, wrt=wrt, outputs="out")
    program = STRATEGIES[strategy].plan(network, Options()).segments[0].program
    steps = (step for step in program.steps if step.phase not in ("primal", "derivative"))
    return sum(step.term.cost.evaluate(step.term.dims)[0] for step in steps)


def dense(name: str, units: int, source: str | None = None, activation: str = "identity") -> dict[str, Any]:
    layer = {"name": name, "type": "dense", "units": units, "bias": False, "activation": activation}
    return layer if source is None else {**layer, "from": source}


def branch(name: str, last: str) -> list[dict[str, Any]]:
    """Return a bottleneck of 2 units between 32 inputs and 32 outputs."""
    first, waist, wide = (f"{name}{part}" for part in ("encode", "waist", "decode"))
    return [
        dense(first, 8, "input", "softplus"),
        dense(waist, 2, first),
        dense(wide, 8, waist, "softplus"),
        dense(last, 32, wide),
    ]


@pytest.mark.parametrize(("batch", "once"), [(1, 1), (3, 3)])
def test_samples_are_independent(batch: int, once: int) -> None:
    """Slopes into W[1] and W[3], W[2] from the right, W[4] from the left, and both halves times each other."""
    spec = {"batch": batch, "input": {"shape": [32]}, "layers": branch("", "out")}
    assert multiplies(spec) == once * (8 * 2 + 2 * 8 * 32 + 8 * 2 + 32 * 8 * 2 + 32 * 2 * 32)


def test_a_product_of_weights_alone_is_made_once() -> None:
    layers = [dense("w", 2), dense("out", 32)]
    assert multiplies({"batch": 64, "input": {"shape": [32]}, "layers": layers}) == 32 * 2 * 32


def test_positions_that_share_weights_share_their_product() -> None:
    """(W2 (x) I) (W1 (x) I) = (W2 W1) (x) I, and a slope between them makes the positions differ."""
    linear = {"batch": 2, "input": {"shape": [5, 4]}, "layers": [dense("w", 3), dense("out", 4)]}
    assert multiplies(linear) == 4 * 3 * 4
    bent = {"batch": 2, "input": {"shape": [5, 4]}, "layers": [dense("w", 3, activation="tanh"), dense("out", 4)]}
    assert multiplies(bent) == 2 * 5 * (3 * 4 + 4 * 3 * 4)


def test_linear_layers_without_a_matrix_are_passed_once_for_all_samples() -> None:
    layers: list[dict[str, Any]] = [
        {"name": "c1", "type": "conv2d", "filters": 2, "kernel": 2},
        {"name": "c2", "type": "conv2d", "filters": 2, "kernel": 2},
        {"type": "flatten"},
        dense("out", 3),
    ]
    one, many = ({"batch": batch, "input": {"shape": [1, 4, 4]}, "layers": layers} for batch in (1, 5))
    assert multiplies(one) == multiplies(many) > 0


def test_compact_births_are_pushed_by_forward_jacobian_where_that_is_cheaper() -> None:
    """Positions share W: dz/dW, written out as a factor, has its zeros scaled too."""
    spec = {"input": {"shape": [5, 4]}, "layers": [dense("out", 3, activation="tanh")]}
    assert multiplies(spec, "params") == multiplies(spec, "params", "forward_jacobian") == 5 * 3 * 4


def test_branches_are_bracketed_each_on_its_own() -> None:
    layers = [*branch("a", "one"), *branch("b", "two"), {"name": "out", "type": "add", "from": ["one", "two"]}]
    alone = multiplies({"input": {"shape": [32]}, "layers": branch("", "out")})
    assert multiplies({"input": {"shape": [32]}, "layers": layers}) == 2 * alone


def test_a_dag_that_no_cut_helps() -> None:
    """Every value of every order, by exhaustive elimination: 1,920 is the least."""
    layers = [
        dense("d0", 4, "input"),
        dense("d1", 2, "input"),
        dense("d2", 24, "d1"),
        dense("d3", 2, "d0"),
        {"name": "a3", "type": "add", "from": ["d3", "d1"]},
        dense("o0", 16, "d2"),
        dense("o1", 16, "a3"),
        {"name": "out", "type": "add", "from": ["o0", "o1"]},
    ]
    assert multiplies({"input": {"shape": [16]}, "layers": layers}) == 1920


def test_a_weight_matrix_is_a_factor_as_it_stands() -> None:
    """(d3 (W3 W2)) W1; an identity pushed through W1 would take 27 multiplies more for each row."""
    layers = [dense("a", 3), dense("b", 6), dense("out", 8, activation="tanh")]
    assert multiplies({"input": {"shape": [9]}, "layers": layers}) == 8 * 6 * 3 + 8 * 3 + 8 * 3 * 9


@pytest.mark.parametrize("before", [30, 31, 60])
def test_a_waist_is_seen_in_a_chain_of_any_length(before: int) -> None:
    """One row is pulled, one column pushed, and they meet in 64 x 64 products."""
    layers = [
        {"repeat": before, "name": "pre", "layers": [{"type": "dense", "units": 64, "activation": "tanh"}]},
        dense("waist", 1, activation="tanh"),
        {"repeat": 30, "name": "post", "layers": [{"type": "dense", "units": 64, "activation": "tanh"}]},
        dense("out", 64),
    ]
    layer = 64 * 64 + 64
    rows, columns = 1 + 64 + (before - 1) * layer + layer, 64 + 29 * layer + 64 + 64 * 64
    assert multiplies({"input": {"shape": [64]}, "layers": layers}) <= rows + columns + 64 * 64


@given(st.sampled_from(["params", "inputs"]), st.data())
def test_dense_and_activation_may_be_two_layers_and_views_may_stand_between(wrt: str, data: st.DataObject) -> None:
    sizes = data.draw(st.lists(st.integers(1, 6), min_size=2, max_size=5))
    kinds = data.draw(st.lists(st.sampled_from(("tanh", "identity")), min_size=len(sizes), max_size=len(sizes)))
    one, parted = [], []
    for number, (size, kind) in enumerate(zip(sizes, kinds, strict=True)):
        one.append(dense(f"l{number}", size, activation=kind))
        parted += [
            dense(f"l{number}", size),
            {"type": "reshape", "shape": [size]},
            {"type": "activation", "activation": kind},
        ]
    one.append(dense("out", 3))
    parted.append(dense("out", 3))
    shape = {"batch": 2, "input": {"shape": [4]}}
    assert multiplies({**shape, "layers": parted}, wrt) <= multiplies({**shape, "layers": one}, wrt)


@given(networks(tokens=False), st.sampled_from(["params", "inputs"]), st.data())
def test_never_dearer_than_another_strategy(spec: dict[str, Any], wrt: str, data: st.DataObject) -> None:
    names = [entry.name for entry in gradcost.load(spec).spec.layers]
    try:
        network = gradcost.load(spec, wrt=wrt, outputs=data.draw(st.sampled_from(names)))
    except gradcost.GradcostError:
        assume(False)  # nothing trainable stands above that layer
    assume(network.trained_parameters > 0)
    plans = {name: STRATEGIES[name].plan(network, Options()) for name in (*PURE, "optimal")}
    costs = {name: predict(plan).counts.multiplies for name, plan in plans.items()}
    assert costs["optimal"] == min(costs.values())
