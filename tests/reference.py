"""An independent account of every layer, for autograd: what the gradients are held against."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import autograd.numpy as anp
import numpy as np
from autograd import grad
from autograd.scipy.special import erf

import gradcost
from gradcost.execution.execute import Data

Parameters = Mapping[tuple[int, str], Any]


def _softmax(x: Any) -> Any:
    powers = anp.exp(x - anp.max(x, axis=-1, keepdims=True))
    return powers / anp.sum(powers, axis=-1, keepdims=True)


def _layernorm(node: Any, xs: list[Any], p: Mapping[str, Any], constants: Mapping[str, Any]) -> Any:
    mean = anp.mean(xs[0], axis=-1, keepdims=True)
    variance = anp.mean((xs[0] - mean) ** 2, axis=-1, keepdims=True)
    return (xs[0] - mean) / anp.sqrt(variance + node.op.eps) * p["gamma"] + p["beta"]


def _dense(node: Any, xs: list[Any], p: Mapping[str, Any], constants: Mapping[str, Any]) -> Any:
    z = anp.einsum("...i,ki->...k", xs[0], p["W"])
    return z + p["b"] if "b" in p else z


def _reshape(node: Any, xs: list[Any], p: Any, constants: Any) -> Any:
    return anp.reshape(xs[0], (xs[0].shape[0], *node.shape))


def _windows(node: Any, x: Any, fill: float) -> Any:
    """Return every window, one by one: a list over output rows of lists over output columns of (B, C, kh, kw)."""
    rows, cols = node.op.windows.rows, node.op.windows.cols
    pads = ((0, 0), (0, 0), (rows.before, rows.after), (cols.before, cols.after))
    padded = anp.pad(x, pads, mode="constant", constant_values=fill)
    return [
        [
            padded[:, :, slice(i, i + rows.dilation * (rows.kernel - 1) + 1, rows.dilation)][
                ..., slice(j, j + cols.dilation * (cols.kernel - 1) + 1, cols.dilation)
            ]
            for j in range(0, padded.shape[3] - cols.dilation * (cols.kernel - 1), cols.stride)
        ]
        for i in range(0, padded.shape[2] - rows.dilation * (rows.kernel - 1), rows.stride)
    ]


def _over_windows(node: Any, x: Any, fill: float, function: Callable[[Any], Any]) -> Any:
    return anp.stack([anp.stack([function(w) for w in row], axis=2) for row in _windows(node, x, fill)], axis=2)


def _conv2d(node: Any, xs: list[Any], p: Mapping[str, Any], constants: Any) -> Any:
    groups = node.op.groups

    def one(window: Any) -> Any:
        parts = anp.split(window, groups, axis=1)
        weights = anp.split(p["W"], groups, axis=0)
        sums = [anp.einsum("bihw,kihw->bk", x, W) for x, W in zip(parts, weights, strict=True)]
        return anp.concatenate(sums, axis=1)

    y = _over_windows(node, xs[0], 0.0, one)
    return y + anp.reshape(p["b"], (-1, 1, 1)) if "b" in p else y


def _batchnorm(node: Any, xs: list[Any], p: Mapping[str, Any], constants: Mapping[str, Any]) -> Any:
    gamma, beta, mean, rstd = (
        anp.reshape(v, (-1, *(1,) * (len(node.shape) - 1)))
        for v in (p["gamma"], p["beta"], constants["mean"], constants["rstd"])
    )
    return gamma * (xs[0] - mean) * rstd + beta


def _standardised(node: Any, x: Any, p: Mapping[str, Any], axes: tuple[int, ...]) -> Any:
    mean = anp.mean(x, axis=axes, keepdims=True)
    variance = anp.mean((x - mean) ** 2, axis=axes, keepdims=True)
    xhat = anp.reshape((x - mean) / anp.sqrt(variance + node.op.eps), (x.shape[0], *node.shape))
    gamma, beta = (anp.reshape(p[name], (-1, *(1,) * (len(node.shape) - 1))) for name in ("gamma", "beta"))
    return gamma * xhat + beta


def _batchnorm_training(node: Any, xs: list[Any], p: Mapping[str, Any], constants: Any) -> Any:
    return _standardised(node, xs[0], p, (0, *range(2, xs[0].ndim)))


def _groupnorm(node: Any, xs: list[Any], p: Mapping[str, Any], constants: Any) -> Any:
    groups = node.op.view[0]
    x = anp.reshape(xs[0], (xs[0].shape[0], groups, -1))
    return _standardised(node, x, p, (2,))


def _conv_transpose2d(node: Any, xs: list[Any], p: Mapping[str, Any], constants: Any) -> Any:
    """Insert zeros between the input's elements, pad, and convolve with the flipped kernel (Dumoulin & Visin 2016)."""
    x, op = xs[0], node.op
    for axis, side in ((2, op.windows.rows), (3, op.windows.cols)):
        parts = []
        for i in range(x.shape[axis]):
            part = x[:, :, i : i + 1] if axis == 2 else x[:, :, :, i : i + 1]
            parts.append(part)
            if i + 1 < x.shape[axis]:
                parts += [0.0 * part] * (side.stride - 1)
        x = anp.concatenate(parts, axis=axis)
        reach = side.dilation * (side.kernel - 1)
        pads = [(0, 0)] * 4
        pads[axis] = (reach, reach + side.stride)  # behind: room for output_padding
        x = anp.pad(x, pads, mode="constant", constant_values=0.0)
    rows, cols = op.windows.rows, op.windows.cols
    W = p["W"][:, :, ::-1, ::-1]
    channels, each = x.shape[1] // op.groups, W.shape[1]
    planes = []
    for k in range(op.output[0]):
        group = k // each
        own = slice(group * channels, (group + 1) * channels)
        total: Any = 0.0
        for i in range(rows.kernel):
            for j in range(cols.kernel):
                top, left = rows.before + i * rows.dilation, cols.before + j * cols.dilation
                window = x[:, own, top : top + rows.size, left : left + cols.size]
                total = total + anp.einsum("bchw,c->bhw", window, W[own, k % each, i, j])
        planes.append(total + (p["b"][k] if "b" in p else 0.0))
    return anp.stack(planes, axis=1)


def _adaptive_avg_pool(node: Any, xs: list[Any], p: Any, constants: Any) -> Any:
    (_, height, width), (_, rows, cols) = node.op.inputs[0], node.op.output

    def span(i: int, size: int, windows: int) -> slice:
        return slice(int(np.floor(i * size / windows)), int(np.ceil((i + 1) * size / windows)))

    return anp.stack(
        [
            anp.stack(
                [anp.mean(xs[0][:, :, span(i, height, rows), span(j, width, cols)], axis=(2, 3)) for j in range(cols)],
                axis=2,
            )
            for i in range(rows)
        ],
        axis=2,
    )


FORWARD: dict[str, Callable[..., Any]] = {
    "Dense": _dense,
    "LayerNorm": _layernorm,
    "RmsNorm": lambda node, xs, p, c: (
        xs[0] / anp.sqrt(anp.mean(xs[0] ** 2, axis=-1, keepdims=True) + node.op.eps) * p["gamma"]
    ),
    "Variable": lambda node, xs, p, c: p["X"],
    "SampleVariable": lambda node, xs, p, c: p["X"],
    "Reshape": _reshape,
    "Identity": _reshape,
    "Conv2d": _conv2d,
    "Embedding": lambda node, xs, p, c: p["W"][xs[0]],
    "Positional": lambda node, xs, p, c: xs[0] + p["P"],
    "ClassToken": lambda node, xs, p, c: anp.concatenate([anp.ones((xs[0].shape[0], 1, 1)) * p["c"], xs[0]], axis=1),
    "Permute": lambda node, xs, p, c: anp.transpose(xs[0], (0, *(axis + 1 for axis in node.op.order))),
    "Slice": lambda node, xs, p, c: xs[0][node.op.where],
    "ZeroState": lambda node, xs, p, c: 0.0 * anp.ones((c["batch"], *node.shape)),
    "Scale": lambda node, xs, p, c: node.op.factor * xs[0],
    "CausalSoftmax": lambda node, xs, p, c: _softmax(anp.where(c["mask"], -np.inf, xs[0])),
    "Scores": lambda node, xs, p, c: anp.einsum("...id,...jd->...ij", xs[0], xs[1]),
    "Weighted": lambda node, xs, p, c: anp.einsum("...ij,...jd->...id", xs[0], xs[1]),
    "BatchNorm": _batchnorm,
    "BatchNormTraining": _batchnorm_training,
    "GroupNorm": _groupnorm,
    "ConvTranspose2d": _conv_transpose2d,
    "AdaptiveAvgPool": _adaptive_avg_pool,
    "MaxPool": lambda node, xs, p, c: _over_windows(node, xs[0], -1e30, lambda w: anp.max(w, axis=(2, 3))),
    "AvgPool": lambda node, xs, p, c: _over_windows(node, xs[0], 0.0, lambda w: anp.mean(w, axis=(2, 3))),
    "Mean": lambda node, xs, p, c: anp.mean(
        anp.reshape(xs[0], (*xs[0].shape[: node.op.low + 1], node.op.count, -1)), axis=node.op.low + 1
    ).reshape((xs[0].shape[0], *node.shape)),
    "Sigmoid": lambda node, xs, p, c: 1 / (1 + anp.exp(-xs[0])),
    "Tanh": lambda node, xs, p, c: anp.tanh(xs[0]),
    "Relu": lambda node, xs, p, c: anp.where(xs[0] > 0, xs[0], 0.0),
    "Relu6": lambda node, xs, p, c: anp.clip(xs[0], 0.0, 6.0),
    "HardSigmoid": lambda node, xs, p, c: anp.clip(xs[0] + 3, 0.0, 6.0) / 6,
    "HardSwish": lambda node, xs, p, c: xs[0] * anp.clip(xs[0] + 3, 0.0, 6.0) / 6,
    "LeakyRelu": lambda node, xs, p, c: anp.where(xs[0] > 0, xs[0], node.op.negative_slope * xs[0]),
    "Gelu": lambda node, xs, p, c: xs[0] * (1 + erf(xs[0] / anp.sqrt(2.0))) / 2,
    "Silu": lambda node, xs, p, c: xs[0] / (1 + anp.exp(-xs[0])),
    "Softplus": lambda node, xs, p, c: anp.log(1 + anp.exp(xs[0])),
    "Softmax": lambda node, xs, p, c: _softmax(xs[0]),
    "Dropout": lambda node, xs, p, c: anp.where(c["mask"], 0.0, xs[0] / (1 - node.op.rate)),
    "Add": lambda node, xs, p, c: xs[0] + xs[1],
    "Multiply": lambda node, xs, p, c: xs[0] * xs[1],
    "Gate": lambda node, xs, p, c: (
        xs[0] * anp.reshape(xs[1], (*xs[1].shape, *(1,) * (len(xs[0].shape) - len(xs[1].shape))))
    ),
    "Concat": lambda node, xs, p, c: anp.concatenate(xs, axis=node.op.axis + 1),
}


def _rows(y: Any, t: Any) -> Any:
    """Return a row for each target: its own, or that of its class."""
    return t if t.ndim == y.ndim else np.eye(y.shape[-1])[t]


LOSS: dict[str, Callable[[Any, Any], Any]] = {
    "bce": lambda y, t: -anp.mean(t * anp.log(y) + (1 - t) * anp.log(1 - y)),
    "softmax_ce": lambda y, t: -anp.sum(_rows(y, t) * anp.log(_softmax(y))) / (y.size / y.shape[-1]),
    "mse": lambda y, t: anp.mean((y - t) ** 2),
    "none": lambda y, t: anp.sum(y),
}


def output_function(network: gradcost.Network, data: Data) -> Callable[[Parameters], Any]:
    """Return the network's output as a function of the trained parameters."""

    def output(trained: Parameters) -> Any:
        values: dict[int, Any] = {}
        for node in network.nodes:
            if node.layer is None:
                values[node.index] = data.arrays["input", node.label]
                continue
            named = {name: data.arrays["parameter", *node.key(name)] for name in node.op.parameters}
            named |= {name: trained[node.key(name)] for name in node.own_parameters}
            fixed = node.op.fixed(network.batch)
            constants: dict[str, Any] = {name: data.arrays["constant", node.index, name] for name in fixed}
            constants["batch"] = network.batch
            inputs = [values[source] for source in node.sources]
            values[node.index] = FORWARD[type(node.op).__name__](node, inputs, named, constants)
        return values[network.output.index]

    return output


def loss_function(network: gradcost.Network, data: Data) -> Callable[[Parameters], Any]:
    """Return L as a function of the trained parameters."""
    output = output_function(network, data)
    return lambda trained: LOSS[network.loss.name](output(trained), data.arrays.get(("target",)))


def gradients(network: gradcost.Network, data: Data) -> dict[tuple[int, str], Any]:
    """Return dL/dW of every trained parameter, by autograd's reverse mode."""
    start = {key: data.arrays["parameter", *key] for key in network.trained}
    found: dict[tuple[int, str], Any] = grad(loss_function(network, data))(start)
    return {key: np.asarray(values) for key, values in found.items()}


def estimate(plan: Any, data: Data, exact: Mapping[tuple[int, str], Any]) -> dict[tuple[int, str], Any]:
    """Return the forward gradient, 1/k sum of (dL . v) v, over the directions that a plan starts with."""
    v = {b.key[1:]: np.asarray(data.of(b), float) for b in plan.segments[0].program.initial if b.key[0] == "direction"}
    tangents = len(next(iter(v.values())))
    slopes = [sum(float((v[key][i] * exact[key]).sum()) for key in exact) for i in range(tangents)]
    return {key: sum(slopes[i] * v[key][i] for i in range(tangents)) / tangents for key in exact}
