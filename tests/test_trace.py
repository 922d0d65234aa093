"""The teaching view: equations, shapes and numbers of a real run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given

import gradcost
from gradcost.cli.main import commands
from gradcost.execution.trace import Trace, disagreement, trace
from gradcost.schedule.equations import equation
from gradcost.strategies import STRATEGIES, Plan, applying
from networks import networks, variants

CONFIGS = Path(__file__).parent.parent / "configs"


@given(networks())
def test_each_step_of_each_strategy_is_an_equation(spec: dict[str, Any]) -> None:
    network = gradcost.load(spec)
    for name in applying(network):
        for options in variants(name, (2,)):
            check_equations(network, STRATEGIES[name].plan(network, options))


def check_equations(network: gradcost.Network, plan: Plan) -> None:
    for segment in plan.segments:
        for step in segment.program.steps:
            text = equation(network, step)
            assert (text is None) == (step.idle or step.fills is None)
            if text is not None:
                left, right = text.split(" += " if " += " in text else " = ", 1)
                assert left
                assert right
                assert not set("{}*") & set(left)
                assert not set("{}") & set(right)


@given(networks(activations=("sigmoid", "tanh", "identity")))
def test_traced_runs_agree_and_their_multiplies_add_up(spec: dict[str, Any]) -> None:
    found = trace(spec, [name for name, strategy in STRATEGIES.items() if strategy.exact])
    report = gradcost.analyze(spec, measure=False)
    if spec["loss"] != "bce":  # which may saturate
        largest = max(float(np.max(np.abs(values))) for values in found[0].gradients.values())
        assert disagreement(found) <= 1e-3 * max(largest, 1.0)
    for each in found:
        if each.strategy != "forward_jvp":
            assert sum(step.multiplies for step in each.steps) == each.multiplies
        assert each.multiplies == report.strategies[each.strategy].predicted.multiplies


def values(found: Trace, left: str) -> Any:
    (step,) = (step for step in found.steps if step.equation.startswith(f"{left} = "))
    return step.values


def test_the_numbers_are_what_the_equations_say() -> None:
    forward, backward = trace(CONFIGS / "two_layer.yaml")
    W1, b1, W2, x = (forward.given[name] for name in ("W[1]", "b[1]", "W[2]", "a[0]"))
    z1 = W1 @ x[0] + b1
    a1 = 1 / (1 + np.exp(-z1))
    assert np.allclose(values(forward, "z[1]")[0], z1)
    assert np.allclose(values(forward, "da[1]/dW[1]")[0], (a1 * (1 - a1))[:, None] * x)
    pushed = values(forward, "dz[2]/dW[1]")
    assert pushed.shape == (1, 1, 4, 3), "n_l x n_j x n_(j-1), for each sample"
    assert np.allclose(pushed[0], W2[:, :, None] * values(forward, "da[1]/dW[1]")[0])
    assert np.allclose(values(backward, "dL/da[1]"), values(backward, "delta[2]") @ W2)
    assert np.allclose(values(backward, "dL/dW[1]"), np.outer(values(backward, "delta[1]"), x))
    assert np.allclose(values(forward, "dL/dW[1]"), values(backward, "dL/dW[1]"), rtol=1e-12)
    equations = [step.equation for step in forward.steps]
    assert "dL/dW[1] = dL/da[2] . da[2]/dW[1]" in equations
    assert disagreement([forward, backward]) < 1e-15


@pytest.mark.parametrize("name", ["lstm", "conv2d", "multi_head_attention"])
def test_other_layers_say_what_is_multiplied(name: str) -> None:
    kinds: dict[str, tuple[list[int], dict[str, Any]]] = {
        "lstm": ([2, 2], {"units": 1}),
        "conv2d": ([1, 3, 3], {"filters": 1, "kernel": 2}),
        "multi_head_attention": ([2, 2], {"heads": 1}),
    }
    shape, options = kinds[name]
    spec = {"input": {"shape": shape}, "layers": [{"name": "it", "type": name, **options}], "loss": "mse"}
    (found,) = trace(spec, ["reverse"])
    texts = [step.equation for step in found.steps]
    assert any(")^T " in text for text in texts)
    assert any(text.startswith("dL/dW[1") for text in texts)


def run(*args: str) -> Any:
    return CliRunner().invoke(commands, ["trace", *args], env={"COLUMNS": "100"})


def test_both_directions_stand_side_by_side() -> None:
    done = run(str(CONFIGS / "two_layer.yaml"), "--digits", "3")
    lines = done.stdout.splitlines()
    both = [line for line in lines if line.count("z[1] = W[1] a[0] + b[1]  1x4 [12]") == 2]
    assert len(both) == 1
    assert any(line.startswith("98 multiplies in all") and "49 multiplies in all" in line for line in lines)
    assert lines[-1].startswith("The gradients differ by ")


def test_what_cannot_be_read_is_refused() -> None:
    for spec in ("deep_mlp", "mnist_mlp"):
        error = run(str(CONFIGS / f"{spec}.yaml")).exception
        assert isinstance(error, gradcost.UsageError)
        assert "make it smaller, or use analyze" in str(error)
    error = run(str(CONFIGS / "two_layer.yaml"), "--strategy", "reverse", "--strategy", "reverse").exception
    assert isinstance(error, gradcost.UsageError)
