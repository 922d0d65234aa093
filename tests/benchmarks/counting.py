"""What counting costs: reverse on 784-512-512-10, batch 256, on counting arrays against plain numpy."""

from __future__ import annotations

from importlib.resources import as_file, files

from timing import best_seconds, say

import gradcost
from gradcost.strategies import STRATEGIES, Options
from gradcost.strategies.execute import Data, run_counted, run_plain


def main() -> None:
    """Print the ratio."""
    with as_file(files("gradcost.configs") / "mnist_mlp.yaml") as path:
        network = gradcost.load(path)
    data, plan = Data(network), STRATEGIES["reverse"].plan(network, Options())
    counted, plain = best_seconds(lambda: run_counted(plan, data), lambda: run_plain(plan, data))
    say("reverse on mnist_mlp, counted against plain", counted, plain, 1.1)


if __name__ == "__main__":
    main()
