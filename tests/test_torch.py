"""A counter that we did not write: torch's FlopCounterMode, where the extra `torch` is installed."""

from __future__ import annotations

import pytest
import yaml

import gradcost
from gradcost.configs import read

torch = pytest.importorskip("torch")

TEACHING = ["two_layer", "deep_mlp", "mnist_mlp", "residual_mlp", "two_inputs", "bottleneck"]
ZOO = ["zoo/alexnet", "zoo/resnet18", "zoo/resnet50", "zoo/mobilenet_v2", "zoo/vgg16", "zoo/vit_b16", "zoo/char_rnn"]


@pytest.mark.parametrize("name", [*TEACHING, *ZOO])
def test_flop_counter_sees_two_operations_for_each_mac(name: str) -> None:
    from torch.utils.flop_counter import FlopCounterMode

    from torch_network import step

    network = gradcost.load(yaml.safe_load(read(name)))
    counter = FlopCounterMode(display=False)
    with counter:
        step(network)()
    reverse = gradcost.analyze(network, strategies=["reverse"], measure=False).strategies["reverse"]
    assert counter.get_total_flops() == 2 * reverse.predicted.macs
