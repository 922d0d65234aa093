"""reverse on mnist_mlp against the same step in PyTorch: time, gradients and counts (extra `torch`).

float32, batch 256, one thread each. PyTorch's FlopCounterMode counts two operations for each MAC.
"""

from __future__ import annotations

import numpy as np
import torch
from timing import best_seconds, say
from torch.utils.flop_counter import FlopCounterMode

import gradcost
from gradcost.configs import path
from gradcost.execution.execute import Data, run_plain
from gradcost.strategies import STRATEGIES, Options


def main() -> None:
    """Print the ratio of the times, the largest difference of the gradients, and both counts."""
    torch.set_num_threads(1)
    with path("mnist_mlp") as file:
        network = gradcost.load(file)
    data, plan = Data(network), STRATEGIES["reverse"].plan(network, Options())
    parameters = {key: torch.tensor(data.arrays["parameter", *key], requires_grad=True) for key in network.trained}
    x, target = torch.tensor(data.arrays["input", "input"]), torch.tensor(data.arrays["target",])

    def step() -> None:
        hidden, weights = x, list(parameters.values())
        for W, b in zip(weights[0:4:2], weights[1:4:2], strict=True):
            hidden = torch.relu(torch.nn.functional.linear(hidden, W, b))
        logits = torch.nn.functional.linear(hidden, weights[4], weights[5])
        torch.nn.functional.cross_entropy(logits, target).backward()

    def fresh_step() -> None:
        for parameter in parameters.values():
            parameter.grad = None
        step()

    counter = FlopCounterMode(display=False)
    with counter:
        fresh_step()
    macs = gradcost.analyze(network, strategies=["reverse"], measure=False).strategies["reverse"].predicted.macs
    print(f"2 x MACs of reverse: {2 * macs:,}; FlopCounterMode: {counter.get_total_flops():,}")
    ours = run_plain(plan, data)
    worst = max(np.abs(ours[key] - p.grad.numpy()).max() / np.abs(ours[key]).max() for key, p in parameters.items())
    print(f"largest relative difference of a gradient: {worst:.1e}")
    mine, theirs = best_seconds(lambda: run_plain(plan, data), fresh_step)
    say("reverse on mnist_mlp against PyTorch", mine, theirs, 1.5)


if __name__ == "__main__":
    main()
