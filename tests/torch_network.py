"""A network's graph built again from PyTorch's own operations: for its gradients, its counter and its clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

import gradcost


def _sides(axis: Any) -> tuple[int, int]:
    return axis.before, axis.after


def _pad(node: Any, x: Any, value: float = 0.0) -> Any:
    rows, cols = node.op.windows.rows, node.op.windows.cols
    return functional.pad(x, (*_sides(cols), *_sides(rows)), value=value) if node.op.windows.pads else x


def _conv2d(node: Any, xs: list[Any], p: Any) -> Any:
    rows, cols = node.op.windows.rows, node.op.windows.cols
    return functional.conv2d(
        _pad(node, xs[0]),
        p["W"],
        p.get("b"),
        stride=(rows.stride, cols.stride),
        dilation=(rows.dilation, cols.dilation),
        groups=node.op.groups,
    )


def _max_pool(node: Any, xs: list[Any], p: Any) -> Any:
    rows, cols = node.op.windows.rows, node.op.windows.cols
    x = _pad(node, xs[0], float("-inf"))
    return functional.max_pool2d(x, (rows.kernel, cols.kernel), (rows.stride, cols.stride))


def _batchnorm(node: Any, xs: list[Any], p: Any) -> Any:
    mean, var = torch.zeros_like(p["gamma"]), torch.ones_like(p["gamma"])
    return functional.batch_norm(xs[0], mean, var, p["gamma"], p["beta"])


OPERATIONS: dict[str, Callable[[Any, list[Any], Any], Any]] = {
    "Dense": lambda node, xs, p: functional.linear(xs[0], p["W"], p.get("b")),
    "Conv2d": _conv2d,
    "BatchNorm": _batchnorm,
    "MaxPool": _max_pool,
    "Mean": lambda node, xs, p: xs[0].flatten(node.op.low + 1).mean(-1),
    "Reshape": lambda node, xs, p: xs[0].reshape(xs[0].shape[0], *node.shape),
    "Permute": lambda node, xs, p: xs[0].permute(0, *(axis + 1 for axis in node.op.order)),
    "Slice": lambda node, xs, p: xs[0][node.op.where],
    "ClassToken": lambda node, xs, p: torch.cat([p["c"].expand(xs[0].shape[0], 1, -1), xs[0]], 1),
    "Positional": lambda node, xs, p: xs[0] + p["P"],
    "LayerNorm": lambda node, xs, p: functional.layer_norm(xs[0], node.shape[-1:], p["gamma"], p["beta"], node.op.eps),
    "Scale": lambda node, xs, p: xs[0] * node.op.factor,
    "Scores": lambda node, xs, p: xs[0] @ xs[1].transpose(-1, -2),
    "Softmax": lambda node, xs, p: functional.softmax(xs[0], -1),
    "Weighted": lambda node, xs, p: xs[0] @ xs[1],
    "Concat": lambda node, xs, p: torch.cat(xs, node.op.axis + 1),
    "Add": lambda node, xs, p: xs[0] + xs[1],
    "Multiply": lambda node, xs, p: xs[0] * xs[1],
    "Dropout": lambda node, xs, p: functional.dropout(xs[0], node.op.rate, training=False),
    "Identity": lambda node, xs, p: xs[0],
    "Sigmoid": lambda node, xs, p: torch.sigmoid(xs[0]),
    "Tanh": lambda node, xs, p: torch.tanh(xs[0]),
    "Relu6": lambda node, xs, p: functional.relu6(xs[0]),
    "Relu": lambda node, xs, p: torch.relu(xs[0]),
    "Gelu": lambda node, xs, p: functional.gelu(xs[0]),
    "Softplus": lambda node, xs, p: functional.softplus(xs[0]),
}


def step(network: gradcost.Network, device: str = "meta", *, backward: bool = True) -> Callable[[], None]:
    """Return a function that runs the primal and, if asked, the backward pass of the outputs' sum."""
    values: dict[int, Any] = {}
    parameters: dict[tuple[int, str], Any] = {}
    for node in network.nodes:
        for name, shape in node.op.parameters.items() if node.layer else ():
            parameters.setdefault(node.key(name), torch.randn(shape, device=device, requires_grad=True))
    inputs = {
        node.index: torch.randn(network.batch, *node.shape, device=device)
        for node in network.nodes
        if node.layer is None
    }

    def run() -> None:
        values.update(inputs)
        for node in network.nodes:
            if node.layer is None:
                continue
            named = {name: parameters[node.key(name)] for name in node.op.parameters}
            kind = type(node.op).__name__
            if kind == "ZeroState":
                values[node.index] = torch.zeros(network.batch, *node.shape, device=device)
            else:
                values[node.index] = OPERATIONS[kind](node, [values[source] for source in node.sources], named)
        for parameter in parameters.values():
            parameter.grad = None
        if backward:
            values[network.output.index].sum().backward()

    return run
