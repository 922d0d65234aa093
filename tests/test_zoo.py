"""The zoo: full size against published figures, small variants measured."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

import gradcost
from gradcost.configs import names, read
from gradcost.configs.published import PUBLISHED
from gradcost.execution.execute import Data
from reference import gradients
from test_catalogue import assert_proved

# Variables that shrink a network to what runs in all strategies within seconds.
SMALL: dict[str, dict[str, int]] = {
    "zoo/alexnet": {"size": 63, "width": 1, "hidden": 2, "classes": 2},
    "zoo/bert_base": {"tokens": 3, "vocabulary": 5, "width": 4, "heads": 2, "depth": 2},
    "zoo/char_rnn": {"steps": 4, "characters": 3, "width": 3},
    "zoo/efficientnet_b0": {"size": 8, "unit": 1, "classes": 2},
    "zoo/gpt2_small": {"tokens": 3, "vocabulary": 5, "width": 4, "heads": 2, "depth": 2},
    "zoo/llama_block": {"tokens": 3, "width": 4, "heads": 4, "kv_heads": 2, "hidden": 5, "depth": 2},
    "zoo/lstm_lm": {"steps": 3, "vocabulary": 4, "width": 2},
    "zoo/mobilenet_v2": {"size": 8, "unit": 1, "classes": 2},
    "zoo/resnet18": {"size": 8, "width": 1, "classes": 2},
    "zoo/resnet50": {"size": 8, "width": 1, "classes": 2},
    "zoo/vit_b16": {"size": 6, "patch": 2, "side": 3, "width": 4, "heads": 2, "depth": 2, "classes": 3},
    "zoo/vgg16": {"size": 32, "width": 1, "hidden": 2, "classes": 2},
}


# The layers of the small variant, where not all: the first stages stand for those that are alike.
KEPT = {"zoo/efficientnet_b0": (slice(0, 4), slice(-3, None)), "zoo/mobilenet_v2": (slice(0, 7), slice(-3, None))}


def small(name: str) -> dict[str, Any]:
    spec: dict[str, Any] = yaml.safe_load(read(name))
    assert SMALL[name].keys() == spec["vars"].keys()
    layers = [layer for part in KEPT.get(name, (slice(None),)) for layer in spec["layers"][part]]
    return {**spec, "vars": SMALL[name], "layers": layers, "dtype": "float64"}


def test_every_network_of_the_zoo_is_published_and_small_somewhere() -> None:
    zoo = {name for name in names() if name.startswith("zoo/")}
    assert zoo == SMALL.keys()
    assert zoo - PUBLISHED.keys() == {"zoo/llama_block", "zoo/char_rnn", "zoo/lstm_lm"}, "no one published network"


@pytest.mark.parametrize("name", PUBLISHED)
def test_full_size_has_the_published_figures(name: str) -> None:
    published = PUBLISHED[name]
    report = gradcost.analyze(yaml.safe_load(read(name)), strategies=["reverse"], measure=False)
    assert report.network.parameters == published.parameters
    if published.giga_macs is not None:
        assert round(report.primal.predicted.macs / 1e9, 2) == published.giga_macs


@pytest.mark.parametrize("name", SMALL)
def test_small_variant_is_as_predicted_and_agrees_with_autograd(name: str) -> None:
    network = gradcost.load(small(name))
    data = Data(network)
    assert_proved(network, data, gradients(network, data), tolerance=1e-7, chunks=(64,))


@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
def test_memory_of_bptt_grows_with_the_steps_and_that_of_rtrl_does_not(kind: str) -> None:
    def peaks(steps: int) -> dict[str, int]:
        layers = [{"type": kind, "units": 6}, {"type": "dense", "units": 1}]
        spec = {"batch": 2, "input": {"shape": [steps, 3]}, "layers": layers, "loss": "mse"}
        report = gradcost.analyze(spec, strategies=["reverse", "forward_jacobian"], measure=steps < 20)
        assert not report.mismatches
        data = 2 * steps * 3 * 8
        return {name: strategy.predicted.peak_bytes - data for name, strategy in report.strategies.items()}

    short, long, longer = peaks(16), peaks(32), peaks(48)
    assert short["forward_jacobian"] == long["forward_jacobian"] == longer["forward_jacobian"]
    assert longer["reverse"] - long["reverse"] == long["reverse"] - short["reverse"] > 0
