"""Prediction of all strategies on chains of 1,000 and of 10,000 layers: near-linear means a ratio near 10."""

from __future__ import annotations

import time

import gradcost


def main() -> None:
    """Print both times and their ratio."""
    seconds = {}
    for depth in (1_000, 10_000):
        block = {"repeat": depth, "layers": [{"type": "dense", "units": 8, "activation": "sigmoid"}]}
        started = time.perf_counter()
        gradcost.analyze({"input": {"shape": [8]}, "layers": [block], "loss": "mse"}, measure=False)
        seconds[depth] = time.perf_counter() - started
        print(f"{depth:,} layers, all strategies: {seconds[depth]:.2f} s")
    print(f"ratio for ten times the layers: {seconds[10_000] / seconds[1_000]:.1f}x")


if __name__ == "__main__":
    main()
