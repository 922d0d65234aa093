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


@pytest.mark.parametrize("targets", ["classes", "dense"])
def test_targets_that_are_classes_take_no_row_of_numbers_each(targets: str) -> None:
    """A head of 8,192 words behind 512 tokens, in float32: the peak is in the loss, by hand."""
    spec = {
        "dtype": "float32",
        "input": {"shape": [512, 64]},
        "layers": [{"type": "dense", "units": 8192, "bias": False}],
        "loss": "softmax_ce",
        "targets": targets,
    }
    report = gradcost.analyze(spec, strategies=["reverse"], measure=True)
    assert not report.mismatches
    weights, data, logits, row, loss = 4 * 8192 * 64, 4 * 512 * 64, 4 * 512 * 8192, 4 * 512, 4
    held = weights + data + logits + loss
    by_hand = {
        "classes": 8 * 512 + held + logits + 2 * row,  # exp(logits - max); the rows' sums, and the chosen ones
        "dense": logits + held + 2 * logits + row,
    }
    measured = report.strategies["reverse"].measured
    assert measured is not None
    assert measured.peak_bytes == by_hand[targets]
    assert (by_hand["classes"], by_hand["dense"]) == (35_790_852, 69_339_140)


def test_each_buffer_takes_the_bytes_of_its_own_dtype() -> None:
    """Tokens and indices take eight bytes, a mask one, whatever the network's numbers take."""
    layers: list[dict[str, Any]] = [
        {"type": "embedding", "units": 4},
        {"type": "reshape", "shape": [1, 4, 4]},
        {"type": "dropout", "rate": 0.5},
        {"type": "max_pool", "kernel": 2},
        {"type": "flatten"},
    ]
    for dtype, item in (("float16", 2), ("float32", 4), ("float64", 8)):
        spec = {
            "dtype": dtype,
            "batch": 3,
            "input": {"shape": [4], "vocabulary": 7},
            "layers": layers,
            "loss": "softmax_ce",
        }
        analysis = gradcost.study(spec, measure=True)
        assert not analysis.report.mismatches
        lives = {life.name: (life.dtype, life.bytes) for life in analysis.timeline("reverse").lives}
        assert lives["a[0]"] == ("int64", 3 * 4 * 8)
        assert lives["mask[3]"] == ("bool", 3 * 16)
        assert lives["index[4]"] == ("int64", 3 * 4 * 8)
        assert lives["t"] == ("int64", 3 * 8)
        assert lives["W[1]"] == (dtype, 7 * 4 * item)
        tensors = {each.name: each for layer in analysis.report.primal.layers for each in layer.tensors}
        assert (tensors["index[4]"].dtype, tensors["index[4]"].bytes) == ("int64", 3 * 4 * 8)
