"""A counter that we did not write: torch's FlopCounterMode, where the extra `torch` is installed."""

from __future__ import annotations

import pytest
import yaml

import gradcost
from gradcost.configs import read

torch = pytest.importorskip("torch")

TEACHING = ["two_layer", "deep_mlp", "mnist_mlp", "residual_mlp", "two_inputs", "bottleneck"]
ZOO = ["zoo/alexnet", "zoo/resnet18", "zoo/resnet50", "zoo/vgg16", "zoo/vit_b16", "zoo/char_rnn"]


def counted(network: gradcost.Network, *, backward: bool = True) -> int:
    from torch.utils.flop_counter import FlopCounterMode

    from torch_network import step

    counter = FlopCounterMode(display=False)
    with counter:
        step(network, backward=backward)()
    total: int = counter.get_total_flops()
    return total


@pytest.mark.parametrize("name", [*TEACHING, *ZOO])
def test_flop_counter_sees_two_operations_for_each_mac(name: str) -> None:
    network = gradcost.load(yaml.safe_load(read(name)))
    reverse = gradcost.analyze(network, strategies=["reverse"], measure=False).strategies["reverse"]
    assert counted(network) == 2 * reverse.predicted.macs


def test_flop_counter_sees_the_primal_of_grouped_convolutions() -> None:
    """The primal alone: torch counts the weights' gradient of a grouped convolution as if there were one group."""
    network = gradcost.load(yaml.safe_load(read("zoo/mobilenet_v2")))
    primal = gradcost.analyze(network, strategies=["reverse"], measure=False).primal
    assert counted(network, backward=False) == 2 * primal.predicted.macs
