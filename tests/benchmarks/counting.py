"""What counting costs: reverse on 784-512-512-10, batch 256, on counting arrays against plain numpy."""

from __future__ import annotations

from timing import best_seconds, say

import gradcost
from gradcost.configs import path
from gradcost.execution.execute import Data, run_counted, run_plain
from gradcost.strategies import STRATEGIES, Options


def main() -> None:
    """Print the ratio."""
    with path("mnist_mlp") as file:
        network = gradcost.load(file)
    data, plan = Data(network), STRATEGIES["reverse"].plan(network, Options())
    counted, plain = best_seconds(lambda: run_counted(plan, data), lambda: run_plain(plan, data))
    say("reverse on mnist_mlp, counted against plain", counted, plain, 1.1)


if __name__ == "__main__":
    main()
