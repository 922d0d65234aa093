"""Predicted peaks against tracemalloc, which saw every allocation: nothing large escapes the tracked buffers."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest

import gradcost
from gradcost.execution.execute import Data

CONV: list[dict[str, Any]] = [
    {"type": "conv2d", "filters": 8, "kernel": 3, "padding": 1, "stride": 2},
    {"type": "batchnorm", "activation": "relu"},
    {"type": "conv2d", "filters": 8, "kernel": 3, "padding": 1, "groups": 2},
    {"type": "max_pool", "kernel": 3, "stride": 2, "padding": 1},
    {"type": "global_avg_pool"},
    {"type": "dense", "units": 3},
]
ATTENTION: list[dict[str, Any]] = [
    {"name": "table", "type": "embedding", "units": 16},
    {"type": "positional"},
    {"type": "multi_head_attention", "heads": 4, "kv_heads": 2, "causal": True},
    {"type": "dense", "units": 16, "activation": "gelu"},
    {"type": "rmsnorm"},
    {"type": "dense", "units": 20, "share": "table", "bias": False},
]
LSTM: list[dict[str, Any]] = [{"type": "lstm", "units": 24}, {"type": "dense", "units": 3}]
DENSE: list[dict[str, Any]] = [
    {"type": "dense", "units": 48, "activation": "silu"},
    {"type": "dense", "units": 48, "activation": "softmax"},
    {"type": "dense", "units": 8},
]
NETWORKS = {
    "conv": ({"shape": [3, 16, 16]}, CONV),
    "attention": ({"shape": [12], "vocabulary": 20}, ATTENTION),
    "lstm": ({"shape": [10, 12]}, LSTM),
    "dense": ({"shape": [512]}, DENSE),
}
PYTHON_OBJECTS = 512 * 1024  # wrappers, closures and tuples: none of it grows with the arrays


@pytest.mark.parametrize("name", NETWORKS)
def test_what_python_allocated_is_what_was_predicted(name: str) -> None:
    shape, layers = NETWORKS[name]
    spec = {"batch": 2, "input": shape, "layers": layers, "loss": "softmax_ce"}
    report = gradcost.analyze(spec, measure=True, chunk=64)
    assert not report.mismatches
    assert max(s.predicted.peak_bytes for s in report.strategies.values()) > 10 * PYTHON_OBJECTS
    for strategy in report.strategies.values():
        assert strategy.measured is not None
        beyond = strategy.measured.tracemalloc_peak_bytes - strategy.predicted.peak_bytes
        assert 0 <= beyond < PYTHON_OBJECTS


def test_drawing_the_data_takes_no_more_than_the_data() -> None:
    spec = {"dtype": "float32", "input": {"shape": [1000]}, "layers": [{"type": "dense", "units": 2000}], "loss": "mse"}
    network = gradcost.load(spec)
    Data(network)  # numpy's generator is loaded on first use
    tracemalloc.start()
    data = Data(network)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < sum(array.nbytes for array in data.arrays.values()) + PYTHON_OBJECTS
