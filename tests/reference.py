"""An independent account of every layer, for autograd: what the gradients are held against."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import autograd.numpy as anp
import numpy as np
from autograd import grad
from autograd.scipy.special import erf

import gradcost
from gradcost.strategies.execute import Data

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


FORWARD: dict[str, Callable[..., Any]] = {
    "Dense": _dense,
    "LayerNorm": _layernorm,
    "Reshape": _reshape,
    "Identity": _reshape,
    "Sigmoid": lambda node, xs, p, c: 1 / (1 + anp.exp(-xs[0])),
    "Tanh": lambda node, xs, p, c: anp.tanh(xs[0]),
    "Relu": lambda node, xs, p, c: anp.where(xs[0] > 0, xs[0], 0.0),
    "LeakyRelu": lambda node, xs, p, c: anp.where(xs[0] > 0, xs[0], node.op.negative_slope * xs[0]),
    "Gelu": lambda node, xs, p, c: xs[0] * (1 + erf(xs[0] / anp.sqrt(2.0))) / 2,
    "Silu": lambda node, xs, p, c: xs[0] / (1 + anp.exp(-xs[0])),
    "Softplus": lambda node, xs, p, c: anp.log(1 + anp.exp(xs[0])),
    "Softmax": lambda node, xs, p, c: _softmax(xs[0]),
    "Dropout": lambda node, xs, p, c: xs[0] * c["mask"],
    "Add": lambda node, xs, p, c: xs[0] + xs[1],
    "Multiply": lambda node, xs, p, c: xs[0] * xs[1],
    "Concat": lambda node, xs, p, c: anp.concatenate(xs, axis=node.op.axis + 1),
}

LOSS: dict[str, Callable[[Any, Any], Any]] = {
    "bce": lambda y, t: -anp.mean(t * anp.log(y) + (1 - t) * anp.log(1 - y)),
    "softmax_ce": lambda y, t: -anp.sum(t * anp.log(_softmax(y))) / (t.size / t.shape[-1]),
    "mse": lambda y, t: anp.mean((y - t) ** 2),
    "none": lambda y, t: anp.sum(y),
}


def loss_function(network: gradcost.Network, data: Data) -> Callable[[Parameters], Any]:
    """Return L as a function of the trained parameters."""

    def loss(trained: Parameters) -> Any:
        values: dict[int, Any] = {}
        for node in network.nodes:
            if node.layer is None:
                values[node.index] = data.arrays["input", node.label]
                continue
            named = {name: data.arrays["parameter", node.index, name] for name in node.op.parameters}
            named |= {name: trained[node.index, name] for name in node.own_parameters}
            constants = {name: data.arrays["constant", node.index, name] for name in node.op.constants}
            inputs = [values[source] for source in node.sources]
            values[node.index] = FORWARD[type(node.op).__name__](node, inputs, named, constants)
        return LOSS[network.loss.name](values[network.output.index], data.arrays.get(("target",)))

    return loss


def gradients(network: gradcost.Network, data: Data) -> dict[tuple[int, str], Any]:
    """Return dL/dW of every trained parameter, by autograd's reverse mode."""
    start = {key: data.arrays["parameter", *key] for key in network.trained}
    found: dict[tuple[int, str], Any] = grad(loss_function(network, data))(start)
    return {key: np.asarray(values) for key, values in found.items()}
