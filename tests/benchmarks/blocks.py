"""`reverse` on residual blocks of convolutions, against PyTorch on the CPU, one thread each (extra `torch`)."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from timing import best_seconds, say

import gradcost
from gradcost.execution.execute import Data, run_plain
from gradcost.strategies import STRATEGIES, Options

sys.path.append(str(Path(__file__).parent.parent))

from torch_network import step

BLOCK = [
    {"type": "conv2d", "filters": 64, "kernel": 3, "padding": 1, "bias": False},
    {"type": "batchnorm", "activation": "relu"},
    {"type": "conv2d", "filters": 64, "kernel": 3, "padding": 1, "bias": False},
    {"name": "branch", "type": "batchnorm"},
    {"type": "add", "from": ["branch", "input"]},
    {"type": "activation", "activation": "relu"},
]


def main() -> None:
    """Print the ratio for two blocks of ResNet-18's first stage, on pictures of 56x56."""
    torch.set_num_threads(1)
    stem = {"type": "conv2d", "filters": 64, "kernel": 1}
    layers = [stem, {"repeat": 2, "layers": BLOCK}]
    network = gradcost.load({"batch": 4, "dtype": "float32", "input": {"shape": [3, 56, 56]}, "layers": layers})
    data, plan = Data(network), STRATEGIES["reverse"].plan(network, Options())
    mine, theirs = best_seconds(lambda: run_plain(plan, data), step(network, "cpu"), rounds=10)
    say("reverse on two residual blocks against PyTorch", mine, theirs, 2.5)


if __name__ == "__main__":
    main()
