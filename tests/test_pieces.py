"""Kernels work on a piece at a time: their room grows with no batch, and what they give and cost is the same."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gradcost
from gradcost.configs import path
from gradcost.execution.execute import Data
from gradcost.layers.activations import ACTIVATIONS
from gradcost.schedule.program import Step
from gradcost.strategies import STRATEGIES
from networks import pieces
from reference import gradients
from test_catalogue import CASES, assert_proved

CUT = ("conv1d", "conv2d", "conv_transpose2d", "batchnorm", "groupnorm", "layernorm", "rmsnorm", "activation")


@given(st.sampled_from([(kind, *case) for kind in CUT for case in CASES[kind]]), st.integers(2, 5), st.integers(1, 300))
@settings(max_examples=25)
def test_a_layer_cut_in_pieces(case: tuple[str, list[int], dict[str, Any]], batch: int, elements: int) -> None:
    """Batches on both sides of where the pieces end, rows of one sample, a run of one element: every strategy."""
    kind, shape, options = case
    layers = [
        {"type": "dense", "units": shape[-1]},
        {"type": kind, **options},
        {"type": "flatten"},
        {"type": "dense", "units": 2},
    ]
    with pieces(elements):
        network = gradcost.load({"batch": batch, "input": {"shape": shape}, "layers": layers, "loss": "mse"})
        data = Data(network)
        assert_proved(network, data, gradients(network, data), tolerance=1e-9, chunks=(3,))


def reverse(network: gradcost.Network) -> list[Step]:
    return STRATEGIES["reverse"].plan(network).segments[0].program.steps


def workspaces(batch: int, rule: str) -> list[int]:
    with path("zoo/vgg16") as file:
        steps = reverse(gradcost.load(file, batch=batch))
    return [step.term.cost.evaluate(step.term.dims)[-1] for step in steps if step.rule == rule and "conv" in step.label]


@pytest.mark.parametrize("rule", ["vjp", "vjp_W", "vjp_fused"])
def test_the_room_of_a_convolution_does_not_grow_with_the_batch(rule: str) -> None:
    few, many = workspaces(4, rule), workspaces(64, rule)
    assert few == many
    assert max(few) > 0


@pytest.mark.parametrize("activation", sorted({*ACTIVATIONS} - {"identity"}))
def test_a_pull_through_an_activation_is_written_over_the_cotangent(activation: str) -> None:
    layers = [{"type": "dense", "units": 3, "activation": activation}, {"type": "dense", "units": 2}]
    steps = reverse(gradcost.load({"input": {"shape": [4]}, "layers": layers, "loss": "mse"}))
    assert "derivative" not in {step.phase for step in steps}
    (pull,) = (step for step in steps if step.rule in ("vjp_fused", "vjp") and step.label == "dense_1")
    assert pull.over == pull.args
    assert not pull.allocates


@pytest.mark.parametrize("layer", [{"type": "layernorm"}, {"type": "rmsnorm"}, {"type": "scale", "factor": 2.0}])
def test_a_cotangent_that_dies_is_written_over(layer: dict[str, Any]) -> None:
    layers = [{"type": "dense", "units": 3}, {"name": "layer", **layer}, {"type": "dense", "units": 2}]
    steps = reverse(gradcost.load({"input": {"shape": [4]}, "layers": layers, "loss": "mse"}))
    (pull,) = (step for step in steps if step.rule == "vjp" and step.label == "layer")
    assert pull.over == pull.args
