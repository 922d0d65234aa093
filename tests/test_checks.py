"""The checks tell the truth: what is wrong is called wrong in each dtype, and nothing else is."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gradcost
from gradcost.graph import At, Graph
from gradcost.layers.attention import Scores
from gradcost.layers.conv import Conv2d
from gradcost.layers.dense import Dense
from gradcost.layers.layernorm import LayerNorm
from gradcost.layers.softmax import Softmax
from gradcost.report.tables import not_run
from gradcost.schedule.emitter import Emitter
from gradcost.schedule.program import Plan, Segment
from gradcost.schedule.strategy import Strategy
from gradcost.schedule.walk import Walk
from gradcost.strategies import STRATEGIES
from gradcost.strategies.forward_gradient import Along
from gradcost.units import DTYPES
from networks import networks

Rule = Callable[..., None]
EXACT = [name for name, strategy in STRATEGIES.items() if strategy.exact]


def replaced(monkeypatch: pytest.MonkeyPatch, owner: type, name: str, wrong: Callable[[Rule], Rule]) -> None:
    """Put another rule in the place of one, with the same closed form."""
    right = getattr(owner, name)
    planted = wrong(right)
    planted.__dict__.update(right.__dict__)
    monkeypatch.setattr(owner, name, planted)


# Gradients that are zero by mathematics.

ZERO: dict[str, dict[str, Any]] = {
    "the outputs of a softmax sum to 1": {
        "batch": 4,
        "input": {"shape": [8]},
        "layers": [
            {"type": "dense", "units": 16, "activation": "tanh"},
            {"type": "dense", "units": 5, "activation": "softmax"},
        ],
    },
    "a norm over equal values, whose derivative is 316": {
        "batch": 2,
        "input": {"shape": [5, 1]},
        "layers": [
            {"type": "dense", "units": 1, "activation": "tanh"},
            {"type": "layernorm"},
            {"type": "groupnorm", "groups": 1},
            {"type": "flatten"},
            {"type": "dense", "units": 3, "activation": "sigmoid"},
        ],
        "loss": "bce",
    },
    "a norm behind a norm": {
        "batch": 2,
        "input": {"shape": [5, 2]},
        "layers": [
            {"name": "l0", "type": "conv1d", "filters": 2, "kernel": 1, "stride": 2, "trainable": False},
            {"name": "l1", "type": "layernorm"},
            {"name": "l2", "type": "rmsnorm"},
            {"name": "l3", "type": "gru", "units": 3},
            {"name": "l5", "type": "add", "from": ["l1", "l2"]},
            {"name": "l6", "type": "groupnorm", "groups": 1, "trainable": False},
            {"name": "l7", "type": "flatten"},
            {"name": "l8", "type": "concat", "from": ["l3", "l7"]},
            {"name": "l9", "type": "dense", "units": 3},
        ],
        "loss": "mse",
    },
    "a norm over a batch of single values": {
        "batch": 2,
        "input": {"shape": [1]},
        "layers": [
            {"type": "batchnorm", "activation": "hardsigmoid"},
            {"type": "batchnorm", "statistics": "batch", "activation": "relu6"},
            {"type": "rmsnorm"},
            {"type": "dense", "units": 1, "activation": "tanh"},
        ],
    },
    "a norm over the batch in front of a sum": {
        "batch": 2,
        "input": {"shape": [3, 4]},
        "layers": [
            {"type": "dense", "units": 4},
            {"type": "flatten"},
            {"type": "batchnorm", "statistics": "batch"},
        ],
    },
    "rounding inside a saturated softmax": {
        "batch": 2,
        "input": {"shape": [2, 3]},
        "layers": [
            {"type": "dense", "units": 3},
            {"type": "scale", "factor": 30},
            {"type": "flatten"},
            {"type": "dense", "units": 3, "activation": "softmax"},
        ],
        "loss": "softmax_ce",
    },
    "zero from both ends, and only one strategy rounds in the middle": {
        "batch": 1,
        "input": {"shape": [3, 4]},
        "layers": [
            {"type": "dense", "units": 4},
            {"type": "permute", "order": [1, 0]},
            {"type": "positional"},
            {"type": "activation", "activation": "softmax"},
            {"type": "flatten"},
            {"type": "dense", "units": 2, "activation": "softmax"},
        ],
    },
}


UNDERFLOW: dict[str, dict[str, Any]] = {
    dtype: {
        "batch": 3,
        "dtype": dtype,
        "input": {"shape": [3]},
        "layers": [
            {"type": "dense", "units": 2},
            {"type": "scale", "factor": small},
            {"type": "scale", "factor": small},
            {"type": "scale", "factor": 1 / small},
        ],
    }
    for dtype, small in (("float32", 1e-21), ("float64", 1e-160))
}


@pytest.mark.parametrize("dtype", UNDERFLOW)
def test_a_jacobian_that_loses_digits_to_underflow_is_not_wrong(dtype: str) -> None:
    report = gradcost.analyze(UNDERFLOW[dtype], strategies=["reverse", "forward_jacobian"], measure=True)
    assert not report.mismatches
    assert not report.warnings


def test_the_rounding_of_the_first_strategy_counts_too() -> None:
    spec = ZERO["zero from both ends, and only one strategy rounds in the middle"]
    for seed in range(4):
        names = ["forward_factored", "forward_jvp"]
        assert not gradcost.analyze(spec, strategies=names, measure=True, seed=seed).mismatches


@pytest.mark.parametrize("why", ZERO)
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_gradient_that_is_zero_by_mathematics_is_not_wrong(why: str, dtype: str) -> None:
    for seed in range(4):
        report = gradcost.analyze(ZERO[why], dtype=dtype, measure=True, seed=seed)
        assert not report.mismatches, f"{why}, seed {seed}"
        for name in EXACT:
            measured = report.strategies[name].measured
            assert measured is not None
            error = measured.gradient_max_relative_error
            assert error is not None
            assert error <= 300 * np.finfo(dtype).eps


def test_a_gradient_that_is_all_zero_is_said_to_be_and_why() -> None:
    for seed in range(4):
        report = gradcost.analyze(ZERO["the outputs of a softmax sum to 1"], measure=True, seed=seed)
        (note,) = report.warnings
        assert "zero but for rounding" in note
        assert "softmax always sum to 1; give a loss" in note
        assert "times measured" not in report.strategies["forward_gradient"].note, "no variance of nothing"
    dead = [{"type": "dense", "units": 3}, {"type": "scale", "factor": 0}]
    (note,) = gradcost.analyze({"input": {"shape": [2]}, "layers": dead}, measure=True).warnings
    assert note.endswith("what is differentiated does not depend on the parameters.")


@given(networks(), st.integers(0, 9))
def test_right_networks_are_never_called_wrong(spec: dict[str, Any], seed: int) -> None:
    report = gradcost.analyze(spec, measure=True, seed=seed, strategies=[n for n in STRATEGIES if n != "forward_jvp"])
    assert not report.mismatches


# Rules that are wrong.


def one_per_cent(right: Rule) -> Rule:
    def wrong(self: Any, at: At, *args: Any, out: Any) -> None:
        right(self, at, *args, out=out)
        np.multiply(out, 1.01, out=out)

    return wrong


def other_sign(right: Rule) -> Rule:
    def wrong(self: Any, at: At, *args: Any, out: Any) -> None:
        right(self, at, *args, out=out)
        np.negative(out, out=out)

    return wrong


def transposed(right: Rule) -> Rule:
    def wrong(self: Any, at: At, *args: Any, out: Any) -> None:
        square = at.W.shape[0] == at.W.shape[1]
        right(self, At({**vars(at), "W": at.W.T}) if square else at, *args, out=out)

    return wrong


def without_last_sample(right: Rule) -> Rule:
    def wrong(self: Any, at: At, *args: Any, out: Any) -> None:
        x = np.multiply(at.x, 1.0)
        x[-1] = 0.0
        right(self, At({**vars(at), "x": x}), *args, out=out)

    return wrong


def without_the_sum(right: Rule) -> Rule:
    """Leave out what a softmax subtracts."""

    def wrong(self: Any, at: At, g: Any, out: Any) -> None:
        np.multiply(g, at.y, out=out)

    return wrong


def without_the_means(right: Rule) -> Rule:
    """Leave out what a norm subtracts."""

    def wrong(self: Any, at: At, g: Any, out: Any) -> None:
        np.multiply(g, at.gamma, out=out)
        np.multiply(out, at.rstd, out=out)

    return wrong


PLANTED: list[tuple[type, str, Callable[[Rule], Rule]]] = [
    (Dense, "vjp", one_per_cent),
    (Dense, "vjp", other_sign),
    (Dense, "vjp", transposed),
    (Dense, "vjp_W", one_per_cent),
    (Dense, "vjp_W", without_last_sample),
    (Dense, "vjp_b", other_sign),
    (Conv2d, "vjp", one_per_cent),
    (Conv2d, "vjp_W", other_sign),
    (Conv2d, "vjp_b", one_per_cent),
    (LayerNorm, "vjp", one_per_cent),
    (LayerNorm, "vjp", without_the_means),
    (LayerNorm, "vjp_gamma", one_per_cent),
    (Softmax, "vjp", one_per_cent),
    (Softmax, "vjp", without_the_sum),
    (Scores, "vjp_q", one_per_cent),
    (Scores, "vjp_k", other_sign),
]
ALL_OF_THEM: dict[str, Any] = {
    "batch": 3,
    "input": {"shape": [2, 3, 3]},
    "layers": [
        {"type": "conv2d", "filters": 2, "kernel": 1, "activation": "tanh"},
        {"type": "conv2d", "filters": 2, "kernel": 2, "padding": "same"},
        {"type": "layernorm"},
        {"name": "in", "type": "dense", "units": 3, "activation": "tanh"},
        {"name": "a", "type": "attention", "from": ["in", "in", "in"]},
        {"type": "flatten"},
        {"type": "dense", "units": 2},
    ],
    "loss": "mse",
}


@pytest.mark.parametrize(("owner", "rule", "wrong"), PLANTED)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_wrong_rule_is_called_wrong(
    owner: type, rule: str, wrong: Callable[[Rule], Rule], dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["reverse", "forward_jacobian", "forward_factored"]
    assert not gradcost.analyze(ALL_OF_THEM, dtype=dtype, strategies=names, measure=True).mismatches
    replaced(monkeypatch, owner, rule, wrong)
    report = gradcost.analyze(ALL_OF_THEM, dtype=dtype, strategies=names, measure=True)
    assert {m.strategy for m in report.mismatches if m.category == "gradient"} == set(names[1:])


def test_a_wrong_sign_is_called_wrong_in_half_the_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounding excuses 30 eps of 1e-3 there: one per cent, and not a sign."""
    names = ["reverse", "forward_jacobian"]
    assert not gradcost.analyze(ALL_OF_THEM, dtype="float16", strategies=names, measure=True).mismatches
    replaced(monkeypatch, Conv2d, "vjp", other_sign)
    report = gradcost.analyze(ALL_OF_THEM, dtype="float16", strategies=names, measure=True)
    assert {m.strategy for m in report.mismatches if m.category == "gradient"} == {"forward_jacobian"}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_wrong_rule_is_called_wrong_beside_gradients_that_are_zero(
    dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where rounding is looked into, it must not excuse everything."""
    spec = ZERO["a norm behind a norm"]
    replaced(monkeypatch, Dense, "vjp_W", one_per_cent)
    wrong = gradcost.analyze(spec, dtype=dtype, strategies=["reverse", "forward_jacobian"], measure=True).mismatches
    assert any(m.category == "gradient" for m in wrong)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("chunk", [1, 3])
def test_a_wrong_estimate_is_called_wrong(dtype: str, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from gradcost.strategies import forward_gradient

    owner = Along if chunk == 1 else forward_gradient.Mean
    replaced(monkeypatch, owner, "run", one_per_cent)
    names = ["reverse", "forward_gradient"]
    report = gradcost.analyze(ALL_OF_THEM, dtype=dtype, strategies=names, chunk=chunk, measure=True)
    (mismatch,) = (m for m in report.mismatches if m.category == "gradient")
    assert (mismatch.strategy, mismatch.phase) == ("forward_gradient", "expected from reverse")
    assert "times measured" not in report.strategies["forward_gradient"].note


def test_an_estimate_that_says_nothing_of_what_it_expects_is_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    def last_layer(graph: Graph) -> Plan:
        """Schedule a walk that stops early: the other parameters get no gradient."""
        emitter = Emitter(graph)
        emitter.forward()
        emitter.loss()
        walk = Walk(emitter, emitter.cotangent())
        walk.back(graph.nodes[-2:])
        return Plan([Segment(emitter.program)], walk.gradients)

    monkeypatch.setitem(STRATEGIES, "last_layer", Strategy("last_layer", "no more", last_layer, exact=False))
    report = gradcost.analyze(ALL_OF_THEM, strategies=["reverse", "last_layer"], measure=True)
    assert not report.mismatches
    assert report.strategies["last_layer"].measured is not None


def test_counting_that_changes_a_gradient_is_called_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    def while_counted(right: Rule) -> Rule:
        def wrong(self: Any, at: At, *args: Any, out: Any) -> None:
            right(self, at, *args, out=out)
            if not isinstance(out, np.ndarray):
                flat = out.data.reshape(-1)
                flat[0] = np.nextafter(flat[0], 9.0)

        return wrong

    replaced(monkeypatch, Dense, "vjp_b", while_counted)
    report = gradcost.analyze(ALL_OF_THEM, strategies=["reverse"], measure=True)
    (mismatch,) = report.mismatches
    assert (mismatch.category, mismatch.predicted, mismatch.measured) == ("changed_entries", 0, 2)
    assert str(mismatch) == "reverse: changed_entries predicted 0, measured 2"


# What is not finite.

SATURATED: dict[str, Any] = {
    "batch": 4,
    "input": {"shape": [3]},
    "layers": [
        {"name": "s", "type": "scale", "factor": 200},
        {"name": "out", "type": "dense", "units": 1, "activation": "sigmoid"},
    ],
    "loss": "bce",
}
SQUARES: list[dict[str, Any]] = [
    {"name": "d", "type": "dense", "units": 3},
    *({"name": f"s{i}", "type": "multiply", "from": [f"s{i - 1}", f"s{i - 1}"] if i else ["d", "d"]} for i in range(9)),
]
NOT_FINITE: dict[str, tuple[dict[str, Any], str]] = {
    "saturated": (
        SATURATED,
        "Loss and gradients are not finite: "
        "the sigmoid of layer `out` is exactly 1 in float64: bce takes the log of 0.",
    ),
    "identity": (
        {"input": {"shape": [3]}, "layers": [{"name": "enc", "type": "dense", "units": 4}], "loss": "bce"},
        "Loss is not finite: bce needs outputs between 0 and 1, and `enc` is not squashed: end with a sigmoid.",
    ),
    "overflow": (
        {"batch": 4, "dtype": "float32", "input": {"shape": [50]}, "layers": SQUARES, "loss": "mse"},
        "Loss and gradients are not finite: layer `s7` (primal) goes beyond the range of float32.",
    ),
    "overflow in half the size": (
        {
            "dtype": "float16",
            "input": {"shape": [3]},
            "layers": [{"type": "dense", "units": 2}, *[{"type": "scale", "factor": 3000}] * 2],
            "loss": "mse",
        },
        "Loss and gradients are not finite: layer `scale_3` (primal) goes beyond the range of float16.",
    ),
    "overflow inside a layer": (
        {
            "dtype": "float32",
            "input": {"shape": [3]},
            "layers": [
                {"type": "dense", "units": 16, "activation": "sigmoid"},
                {"type": "scale", "factor": 1e38},
                {"type": "layernorm"},
            ],
            "loss": "mse",
        },
        "Loss and gradients are not finite: layer `layernorm_3` (primal) goes beyond the range of float32.",
    ),
    "overflow of the loss": (
        {
            "dtype": "float32",
            "input": {"shape": [3]},
            "layers": [{"type": "dense", "units": 2}, {"type": "scale", "factor": 1e20}],
            "loss": "mse",
        },
        "Loss and gradients are not finite: the loss goes beyond the range of float32.",
    ),
}


@pytest.mark.parametrize("case", NOT_FINITE)
def test_what_is_not_finite_is_a_warning_with_its_cause(case: str) -> None:
    spec, said = NOT_FINITE[case]
    report = gradcost.analyze(spec, measure=True)
    assert report.warnings == (said,)
    assert not report.mismatches
    for strategy in report.strategies.values():
        assert strategy.measured is not None
        assert strategy.measured.gradient_max_relative_error is None
    jsonschema.validate(json.loads(report.to_json()), gradcost.REPORT_SCHEMA)


def test_an_overflow_in_one_strategy_names_it() -> None:
    """Of factors 1e-13 thrice and 1e13 thrice, the product is 1, but what is pulled back first goes to 1e39."""
    layers: list[dict[str, Any]] = [{"name": "d", "type": "dense", "units": 2}]
    layers += [{"name": f"down{i}", "type": "scale", "factor": 1e-13} for i in range(3)]
    layers += [{"name": f"up{i}", "type": "scale", "factor": 1e13} for i in range(3)]
    spec = {"dtype": "float32", "input": {"shape": [3]}, "layers": layers, "loss": "none"}
    report = gradcost.analyze(spec, strategies=["reverse", "forward_jacobian", "forward_factored"], measure=True)
    assert not report.mismatches
    said = "Gradients are not finite in reverse: layer `up0` (cotangent) goes beyond the range of float32."
    assert report.warnings == (said,)
    errors = [
        strategy.measured and strategy.measured.gradient_max_relative_error for strategy in report.strategies.values()
    ]
    assert errors[0] is None
    assert None not in errors[1:]


def test_a_gradient_that_a_rule_makes_not_finite_is_called_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_number(right: Rule) -> Rule:
        def wrong(self: Any, at: At, *args: Any, out: Any) -> None:
            out[...] = np.nan

        return wrong

    replaced(monkeypatch, Dense, "vjp_b", no_number)
    report = gradcost.analyze(ALL_OF_THEM, strategies=["reverse", "forward_jacobian"], measure=True)
    said = [str(mismatch) for mismatch in report.mismatches if mismatch.category == "gradient"]
    assert said == ["reverse: gradients are not finite, and those of forward_jacobian are"]
    (note,) = report.warnings
    assert note.startswith("Gradients are not finite in reverse: layer `dense_7` (gradient) is not a number")


def test_a_mean_over_more_than_float16_can_count_is_said_to_be() -> None:
    """The loss is a sum over 70,000 samples divided by infinity, and its gradient zero."""
    spec = {"dtype": "float16", "batch": 70_000, "input": {"shape": [1]}, "layers": [{"type": "dense", "units": 2}]}
    report = gradcost.analyze({**spec, "loss": "softmax_ce"}, strategies=["reverse"], measure=True)
    assert not report.mismatches
    beyond, zero = report.warnings
    assert beyond == "Loss is not finite: the loss goes beyond the range of float16."
    assert zero.endswith("or it is too small for float16.")
    assert any(note.startswith("float16 as numpy has it: beyond 65,504") for note in report.notes)


def test_float16_over_many_multiplies_is_run_only_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["gradcost.report.analyze"], "MOST_HALF_MULTIPLIES", 48)
    why = "over 48 multiplies in float16, which numpy does slowly, --measure runs them"
    found = gradcost.analyze("two_layer", dtype="float16")
    assert found.primal.measured is not None, "16 multiplies"
    assert {strategy.skipped for strategy in found.strategies.values()} == {why}
    assert f"{why}." in str(not_run(found.all))
    for asked in (
        gradcost.analyze("two_layer", dtype="float16", measure=True),
        gradcost.analyze("two_layer", dtype="float16", strategies=["reverse"]),
        gradcost.analyze("two_layer", dtype="float32"),
    ):
        assert asked.strategies["reverse"].measured is not None
