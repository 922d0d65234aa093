"""Gradients against what we did not write: autograd, and finite differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import gradcost
from gradcost.execution.execute import Data, run_plain
from gradcost.strategies import STRATEGIES, Options
from networks import SMOOTH, networks, variants
from reference import estimate, gradients, loss_function


@given(networks(), st.integers(1, 9))
def test_every_strategy_agrees_with_autograd(spec: dict[str, Any], chunk: int) -> None:
    network = gradcost.load(spec, dtype="float64")
    data = Data(network)
    with np.errstate(all="ignore"):
        expected = gradients(network, data)
    top = max(np.abs(values).max() for values in expected.values())
    assume(np.isfinite(top) and top < 1e6)
    for name, strategy in STRATEGIES.items():
        for options in variants(name, (chunk,)):
            plan = strategy.plan(network, options)
            found = run_plain(plan, data)
            wanted = expected if strategy.exact else estimate(plan, data, expected)
            scale = 1 + max(np.abs(values).max() for values in wanted.values())
            assert found.keys() == wanted.keys()
            for key, values in wanted.items():
                message = f"{name} {options} {key}"
                np.testing.assert_allclose(found[key], values, rtol=1e-7, atol=1e-10 * scale, err_msg=message)


@given(networks(SMOOTH), st.randoms(use_true_random=False))
def test_reverse_agrees_with_central_differences(spec: dict[str, Any], random: Any) -> None:
    network = gradcost.load(spec, dtype="float64")
    data = Data(network)
    found = run_plain(STRATEGIES["reverse"].plan(network, Options()), data)
    top = max(np.abs(values).max() for values in found.values())
    assume(np.isfinite(top) and top < 1e3)
    loss = loss_function(network, data)
    start = {key: data.arrays["parameter", *key] for key in network.trained}
    rng = np.random.default_rng(random.randrange(2**32))
    direction = {key: rng.standard_normal(values.shape) for key, values in start.items()}
    step = 1e-5
    ahead, behind = (
        loss({key: values + sign * step * direction[key] for key, values in start.items()}) for sign in (1, -1)
    )
    slope = sum(float((found[key] * direction[key]).sum()) for key in start)
    assert (ahead - behind) / (2 * step) == pytest.approx(slope, rel=1e-4, abs=1e-5 * (1 + top))


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "relu", "leaky_relu", "gelu", "silu", "softplus", "softmax"])
def test_activation_at_ordinary_and_extreme_values(name: str) -> None:
    spec = {
        "input": {"shape": [7]},
        "layers": [{"type": "dense", "units": 7}, {"type": "activation", "activation": name}],
        "loss": "none" if name != "softmax" else "mse",
    }
    network = gradcost.load(spec)
    data = Data(network)
    data.arrays["parameter", 1, "W"] = np.zeros((7, 7))
    data.arrays["parameter", 1, "b"] = np.array([-800.0, -30.0, -1.0, -1e-3, 1e-3, 2.0, 700.0])
    with np.errstate(all="ignore"):
        expected = gradients(network, data)[1, "b"]
    found = run_plain(STRATEGIES["reverse"].plan(network, Options()), data)[1, "b"]
    assert np.isfinite(found).all()
    usable = np.isfinite(expected)
    assert usable.sum() >= 5
    np.testing.assert_allclose(found[usable], expected[usable], rtol=1e-6, atol=1e-12)


def test_shared_input_gets_both_cotangents() -> None:
    spec = {
        "input": {"shape": [3]},
        "layers": [
            {"name": "h", "type": "dense", "units": 3},
            {"name": "square", "type": "multiply", "from": ["h", "h"]},
            {"name": "twice", "type": "add", "from": ["square", "square"]},
        ],
    }
    network = gradcost.load(spec)
    data = Data(network)
    expected = gradients(network, data)
    for strategy in STRATEGIES.values():
        if not strategy.exact:
            continue
        found = run_plain(strategy.plan(network, Options()), data)
        for key in expected:
            np.testing.assert_allclose(found[key], expected[key], rtol=1e-12)
