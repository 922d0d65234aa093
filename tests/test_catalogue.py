"""Every layer type, alone: every strategy, dtype and batch, prediction against measurement and autograd."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradcost
from gradcost.execution.execute import Data, measure, run_plain
from gradcost.layers import LAYER_TYPES
from gradcost.layers.activations import ACTIVATIONS
from gradcost.report.check_counts import compare_figures
from gradcost.schedule.predict import predict
from gradcost.strategies import STRATEGIES, Options
from networks import variants
from reference import estimate, gradients

# type -> input shape and options, a case for each kind of geometry
CASES: dict[str, list[tuple[list[int], dict[str, Any]]]] = {
    "activation": [([2, 3], {"activation": name}) for name in ACTIVATIONS],
    "adaptive_avg_pool": [
        ([2, 5, 4], {"size": [3, 3]}),
        ([2, 4, 6], {"size": [2, 3]}),
        ([1, 2, 3], {"size": [4, 2]}),
        ([2, 3, 3], {"size": 3}),
    ],
    "add": [([4], {"from": ["h", "h"]}), ([2, 3], {"from": ["h", "input", "h"]})],
    "attention": [
        ([2, 3, 2], {"from": ["h", "input", "h"]}),
        ([1, 3, 2], {"from": ["h", "h", "input"], "causal": True, "scale": 0.5}),
        ([2, 2, 1], {"from": ["input", "h", "h"]}),
    ],
    "avg_pool": [
        ([2, 5, 4], {"kernel": 2}),
        ([2, 5, 5], {"kernel": 3, "stride": 2, "padding": 1}),
        ([1, 4, 5], {"kernel": [2, 3], "stride": [1, 2], "padding": "same"}),
    ],
    "batchnorm": [
        *(
            (shape, {"statistics": "batch", **more})
            for shape, more in (([3, 2], {}), ([2, 3, 2], {"activation": "relu"}), ([2, 3], {"trainable": False}))
        ),
        ([3], {}),
        ([2, 3, 2], {"activation": "relu"}),
        ([2, 3], {"trainable": False}),
    ],
    "class_token": [([2, 3], {})],
    "concat": [([4], {"from": ["h", "input"]}), ([2, 3], {"from": ["input", "h"], "axis": 0})],
    "conv1d": [
        ([2, 6], {"filters": 3, "kernel": 3, "stride": 2, "padding": 1}),
        ([2, 7], {"filters": 2, "kernel": 2, "dilation": 2, "activation": "tanh", "groups": 2}),
    ],
    "conv2d": [
        ([2, 4, 5], {"filters": 3, "kernel": 3, "padding": 1}),
        ([2, 5, 5], {"filters": 4, "kernel": 3, "stride": 2, "padding": "same", "activation": "relu"}),
        ([3, 3, 4], {"filters": 2, "kernel": 1, "bias": False}),
        ([4, 4, 4], {"filters": 4, "kernel": [2, 3], "groups": 4, "padding": [1, 0]}),
        ([4, 5, 5], {"filters": 6, "kernel": 2, "groups": 2, "dilation": 2, "activation": "sigmoid"}),
        ([2, 4, 4], {"filters": 2, "kernel": 1, "stride": 2}),
    ],
    "conv_transpose2d": [
        ([2, 3, 2], {"filters": 3, "kernel": 3, "stride": 2, "padding": 1, "output_padding": 1}),
        ([2, 2, 3], {"filters": 2, "kernel": [2, 3], "dilation": 2, "activation": "tanh"}),
        ([4, 2, 2], {"filters": 6, "kernel": 2, "stride": 2, "groups": 2}),
        ([3, 2, 2], {"filters": 2, "kernel": 1, "bias": False}),
        ([2, 2, 2], {"filters": 2, "kernel": 3, "padding": 2, "stride": 3}),
        ([4, 2, 2], {"filters": 4, "kernel": 1, "groups": 4}),
        ([2, 2, 2], {"filters": 1, "kernel": 1, "stride": 2}),
    ],
    "dense": [([4], {"units": 3, "activation": "tanh"}), ([2, 3], {"units": 2, "bias": False})],
    "dropout": [([4], {"rate": 0.3})],
    "flatten": [([2, 3], {})],
    "global_avg_pool": [([2, 3, 2], {}), ([2, 3], {})],
    "groupnorm": [([4, 3], {"groups": 2}), ([3, 2, 2], {"groups": 3}), ([4], {"groups": 1}), ([2, 2], {"groups": 1})],
    "gru": [([3, 2], {"units": 2}), ([2, 3], {"units": 2, "sequence": True})],
    "layernorm": [([4], {}), ([2, 3], {"trainable": False})],
    "lstm": [([3, 2], {"units": 2}), ([2, 2], {"units": 3, "hidden_bias": True})],
    "matmul": [
        ([2, 3], {"from": ["h", "input"], "transpose": True}),
        ([2, 3, 3], {"from": ["input", "h"]}),
        ([2, 2], {"from": ["h", "h"]}),
    ],
    "max_pool": [
        ([2, 4, 4], {"kernel": 2}),
        ([2, 5, 4], {"kernel": 3, "stride": 2, "padding": 1}),
        ([1, 5, 5], {"kernel": 3, "stride": 1, "padding": "same"}),
    ],
    "mean": [([2, 3], {"axis": 0}), ([2, 3, 2], {"axis": 1})],
    "multi_head_attention": [
        ([3, 4], {"heads": 2}),
        ([3, 4], {"heads": 2, "causal": True, "bias": False}),
        ([3, 4], {"heads": 4, "kv_heads": 2, "causal": True}),
        ([3, 4], {"heads": 2, "head_units": 3, "from": ["h", "input"]}),
        ([2, 2], {"heads": 1, "from": ["input", "h"], "trainable": False}),
    ],
    "multiply": [
        ([2, 3, 2], {"from": ["h", "pooled"]}),
        ([2, 3], {"from": ["h", "pooled"]}),
        ([4], {"from": ["h", "input"]}),
        ([2, 3], {"from": ["h", "h", "h"]}),
    ],
    "permute": [([2, 3], {"order": [1, 0]}), ([2, 3, 4], {"order": [2, 0, 1]})],
    "positional": [([4], {}), ([2, 3], {})],
    "reshape": [([2, 3], {"shape": [3, 1, 2]})],
    "rmsnorm": [([4], {}), ([2, 3], {"eps": 0.1}), ([2, 3], {"trainable": False})],
    "rnn": [
        ([4, 2], {"units": 3}),
        ([3, 2], {"units": 2, "sequence": True, "activation": "relu"}),
        ([1, 2], {"units": 2, "bias": False}),
        ([3, 2], {"units": 2, "hidden_bias": True}),
    ],
    "scale": [([4], {"factor": -2.5})],
    "slice": [([4], {"start": 1, "stop": 3}), ([2, 3], {"axis": 1, "start": 2}), ([3, 2, 2], {"stop": 2})],
}
EACH = [
    (kind, shape, options, before)
    for kind, cases in CASES.items()
    for shape, options in cases
    for before in ("dense", "batchnorm", "conv2d")
    if before != "conv2d" or len(shape) == 3
]


def test_no_type_is_left_out() -> None:
    assert {*CASES, "embedding"} == LAYER_TYPES.keys()


@pytest.mark.parametrize(("kind", "shape", "options", "born_before"), EACH)
@pytest.mark.parametrize(("dtype", "batch"), [("float64", 1), ("float64", 3), ("float32", 2)])
def test_layer(kind: str, shape: list[int], options: dict[str, Any], born_before: str, dtype: str, batch: int) -> None:
    """The layer stands behind parameters of each structure, and in front of more."""
    network = gradcost.load(around(kind, shape, options, born_before, dtype, batch))
    data = Data(network)
    expected = gradients(network, data)
    assert_proved(network, data, expected, tolerance=1e-10 if dtype == "float64" else 1e-4, chunks=(1, 4))


@pytest.mark.parametrize("kind", CASES)
def test_layer_of_half_the_size(kind: str) -> None:
    """Figures are those of float16 to the last byte; its gradients are near to those of the same numbers in float64."""
    shape, options = CASES[kind][0]
    half, double = (gradcost.load(around(kind, shape, options, "dense", dtype, 2)) for dtype in ("float16", "float64"))
    data, exact = Data(half), Data(double)
    exact.arrays = {
        key: values.astype(np.float64) if values.dtype == np.float16 else values for key, values in data.arrays.items()
    }
    assert_proved(half, data, gradients(double, exact), tolerance=0.05, chunks=(4,))


def around(
    kind: str, shape: list[int], options: dict[str, Any], born_before: str, dtype: str, batch: int
) -> dict[str, Any]:
    """Return a network with the layer behind one kind of layer, and in front of a dense one."""
    before: dict[str, Any] = {"type": born_before}
    if born_before == "dense":
        before |= {"units": shape[-1]}
    if born_before == "conv2d":
        before |= {"kernel": 1, "filters": shape[0]}
    return {
        "batch": batch,
        "dtype": dtype,
        "input": {"shape": shape},
        "layers": [
            {"name": "h", **before},
            *([{"name": "pooled", "type": "global_avg_pool"}] if "pooled" in options.get("from", ()) else []),
            {"name": "layer", "type": kind, **options},
            {"type": "flatten"},
            {"type": "dense", "units": 2, "activation": "sigmoid"},
        ],
        "loss": "bce",
    }


def assert_proved(
    network: gradcost.Network, data: Data, expected: dict[Any, Any], *, tolerance: float, chunks: tuple[int, ...]
) -> None:
    """Hold every strategy's measured figures against predicted ones, and its gradients against those expected."""
    top = max(np.abs(values).max() for values in expected.values())
    for name, strategy in STRATEGIES.items():
        for options in variants(name, chunks):
            plan = strategy.plan(network, options)
            prediction, measurement = predict(plan), measure(plan, data)
            wrong = list(compare_figures(name, prediction, measurement))
            assert not wrong, "\n".join(map(str, wrong))
            assert not measurement.changed_entries
            wanted = expected if strategy.exact else estimate(plan, data, expected)
            scale = top if strategy.exact else max(np.abs(values).max() for values in wanted.values())
            for key, values in wanted.items():
                message = f"{name} {options} {key}"
                found = measurement.gradients[key]
                np.testing.assert_allclose(found, values, rtol=tolerance, atol=tolerance * scale, err_msg=message)


@pytest.mark.parametrize(("dtype", "batch"), [("float64", 1), ("float64", 3), ("float32", 2)])
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize(("words", "targets"), [(3, "dense"), (5, "classes")])
def test_embedding(words: int, targets: str, tied: bool, dtype: str, batch: int) -> None:
    """Tokens, and a head that is the embedding's transpose: counted once, its gradients summed; also a square one."""
    head = {"units": words, "bias": True, "share": "table"} if tied else {"units": words}
    spec = {
        "batch": batch,
        "dtype": dtype,
        "input": {"shape": [4], "vocabulary": words},
        "layers": [
            {"name": "table", "type": "embedding", "units": 3},
            {"type": "activation", "activation": "tanh"},
            {"type": "dense", "units": 3},
            {"name": "head", "type": "dense", **head},
        ],
        "loss": "softmax_ce",
        "targets": targets,
    }
    network = gradcost.load(spec)
    assert network.parameters == words * 3 + 12 + words + (0 if tied else words * 3)
    data = Data(network)
    tolerance = 1e-10 if dtype == "float64" else 1e-4
    assert_proved(network, data, gradients(network, data), tolerance=tolerance, chunks=(1, 4))


@pytest.mark.parametrize(("dtype", "batch"), [("float64", 1), ("float64", 3), ("float32", 2)])
@pytest.mark.parametrize("between", [["dense"], ["dense", "other"], [], ["layernorm", "dense"]])
def test_shared_weights(between: list[str], dtype: str, batch: int) -> None:
    """One dense layer used again and again: counted once, its gradients summed, its Jacobian carried once."""
    dense: dict[str, Any] = {"type": "dense", "units": 3, "share": "first", "activation": "tanh"}
    kinds = {"dense": dense, "other": {"type": "dense", "units": 3}, "layernorm": {"type": "layernorm"}}
    spec = {
        "batch": batch,
        "dtype": dtype,
        "input": {"shape": [3]},
        "layers": [
            {"name": "first", "type": "dense", "units": 3},
            *(kinds[kind] for kind in between),
            {"name": "again", **dense},
            {"name": "side", **dense, "from": "input"},
            {"type": "add", "from": ["again", "side"]},
        ],
        "loss": "mse",
    }
    network = gradcost.load(spec)
    assert network.trained.keys() >= {(1, "W"), (1, "b")}
    assert sum(key[0] == 1 for key in network.trained) == 2
    data = Data(network)
    tolerance = 1e-10 if dtype == "float64" else 1e-4
    assert_proved(network, data, gradients(network, data), tolerance=tolerance, chunks=(1, 4))


@pytest.mark.parametrize(("stride", "counts"), [(2, [[4, 0], [0, 0]]), (1, [[1, 1], [1, 1]])])
def test_of_equal_elements_the_first_gets_the_whole_derivative(stride: int, counts: list[list[int]]) -> None:
    """Windows of 2 x 2 over 3 x 3 equal numbers: the first element of each window is its upper left one."""
    layers = [
        {"type": "positional"},
        {"type": "max_pool", "kernel": 2, "stride": stride},
        {"type": "scale", "factor": 4},
    ]
    network = gradcost.load({"input": {"shape": [1, 3, 3]}, "layers": layers})
    data = Data(network)
    data.arrays["input", "input"][...] = data.arrays["parameter", 1, "P"][...] = 1.0
    wanted = np.zeros((1, 3, 3))
    wanted[0, :2, :2] = counts if stride == 2 else np.multiply(counts, 4)
    for strategy in STRATEGIES.values():
        if strategy.exact:
            np.testing.assert_array_equal(run_plain(strategy.plan(network, Options()), data)[1, "P"], wanted)
