"""A counter that we did not write: torch's FlopCounterMode, where the extra `torch` is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import gradcost
from gradcost.configs import read

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("name", ["two_layer", "deep_mlp", "mnist_mlp", "bottleneck"])
def test_flop_counter_sees_two_operations_for_each_mac(name: str, tmp_path: Path) -> None:
    from torch.utils.flop_counter import FlopCounterMode

    path = tmp_path / f"{name}.yaml"
    path.write_text(read(name))
    network = gradcost.load(path)
    modules: list[Any] = []
    for node in network.nodes:
        if type(node.layer).__name__ == "Dense":
            modules += [torch.nn.Linear(node.op.inputs[0][-1], node.shape[-1]), torch.nn.Sigmoid()]
    counter = FlopCounterMode(display=False)
    with counter:
        torch.nn.Sequential(*modules)(torch.zeros(network.batch, *network.nodes[0].shape)).sum().backward()
    reverse = gradcost.analyze(network, strategies=["reverse"], measure=False).strategies["reverse"]
    assert counter.get_total_flops() == 2 * reverse.predicted.macs
