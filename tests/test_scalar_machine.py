"""The multiplies of reverse, forward_jacobian and forward_factored are those of a scalar machine, and the least."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
import pytest

import gradcost
from gradcost.execution.execute import Data, measure
from gradcost.graph import Graph, Node
from gradcost.layers.dense import Dense
from gradcost.schedule.predict import predict
from gradcost.strategies import STRATEGIES
from scalar_machine import Gradient, forward, reverse


def dense(units: int, activation: str = "tanh", **more: Any) -> dict[str, Any]:
    return {"type": "dense", "units": units, "activation": activation, **more}


def chain(*widths: int, **more: Any) -> list[dict[str, Any]]:
    return [dense(units, **more) for units in widths]


def residual(width: int, blocks: int, before: str) -> list[dict[str, Any]]:
    """Blocks with a skip: added behind the activation, or in front of one of the sum."""
    layers = []
    for i in range(blocks):
        layers.append(dense(width, name=f"first{i}"))
        layers.append(dense(width, before, name=f"second{i}"))
        layers.append({"type": "add", "name": f"sum{i}", "from": [f"second{i}", f"first{i}"]})
        if before == "identity":
            layers.append({"type": "activation", "activation": "tanh"})
    return [*layers, dense(2)]


def branches(count: int) -> list[dict[str, Any]]:
    """Linear layers beside one another, added up in front of one activation."""
    names = [f"b{i}" for i in range(count)]
    beside = [{**dense(2, "identity", name=name), "from": ["h"]} for name in names]
    total: list[dict[str, Any]] = [{"type": "add", "from": names}, {"type": "activation", "activation": "tanh"}]
    return [dense(2, name="h"), *beside, *total, dense(1)]


def rnn(units: int, **more: Any) -> list[dict[str, Any]]:
    """A recurrent layer, and a dense one behind it."""
    return [{"type": "rnn", "units": units, **more}, dense(2)]


CASES: dict[str, tuple[list[int], list[dict[str, Any]]]] = {
    "one layer": ([3], chain(2)),
    "two_layer": ([3], chain(4, 1)),
    "a waist": ([5], chain(4, 2, 4, 3)),
    "wide": ([2], chain(7, 6, 1)),
    "deep": ([3], chain(3, 3, 3, 3, 2)),
    "without bias": ([4], chain(3, 5, 2, bias=False)),
    "a linear output": ([3], [*chain(4, 3), dense(2, "identity")]),
    "linear layers": ([3], chain(4, 3, 2, activation="identity")),
    "residual": ([3], residual(4, 2, "tanh")),
    "residual, summed before": ([3], residual(4, 2, "identity")),
    "a first layer beside itself": (
        [3],
        [dense(4, name="a"), {"type": "add", "from": ["a", "a"]}, dense(3), dense(2)],
    ),
    "two births that meet": (
        [3],
        [
            dense(4, "identity", name="a"),
            {**dense(4, "identity", name="b"), "from": ["input"]},
            {"type": "add", "name": "c", "from": ["a", "b"]},
            {"type": "activation", "activation": "tanh"},
            dense(2),
        ],
    ),
    "shared weights that meet": (
        [3],
        [
            dense(4, name="a"),
            {**dense(4, name="b", share="a"), "from": ["input"]},
            {"type": "add", "name": "c", "from": ["a", "b"]},
            dense(2),
        ],
    ),
    "two branches": ([12], branches(2)),
    "nine branches, too many to try each set": ([12], branches(9)),
    "rnn of 1 step": ([1, 3], rnn(4)),
    "rnn of 2 steps": ([2, 3], rnn(4)),
    "rnn of 5 steps": ([5, 2], rnn(3, bias=False)),
    "rnn of many steps": ([9, 1], rnn(2)),
}


@pytest.fixture(params=CASES, ids=list(CASES))
def network(request: pytest.FixtureRequest) -> Graph:
    shape, layers = CASES[request.param]
    return gradcost.load({"input": {"shape": shape}, "layers": layers, "loss": "mse"})


def by_parameters(graph: Graph) -> Callable[[Node], bool]:
    return lambda node: False


def by_values(graph: Graph) -> Callable[[Node], bool]:
    """Layers whose outputs, all that share the parameters together, are no more than those."""
    outputs: dict[int, int] = {}
    for node in graph.nodes:
        outputs[node.owner] = outputs.get(node.owner, 0) + prod(node.shape)
    return lambda node: (
        isinstance(node.layer, Dense)
        and outputs[node.owner] <= sum(prod(shape) for shape in node.op.parameters.values())
    )


MACHINES: dict[str, Callable[[Graph, Data], tuple[int, Gradient]]] = {
    "reverse": reverse,
    "forward_jacobian": lambda graph, data: forward(graph, data, by_parameters(graph)),
    "forward_factored": lambda graph, data: forward(graph, data, by_values(graph)),
}


@pytest.mark.parametrize("strategy", MACHINES)
def test_multiplies_are_those_of_the_scalar_machine(network: Graph, strategy: str) -> None:
    data = Data(network)
    multiplies, gradient = MACHINES[strategy](network, data)
    plan = STRATEGIES[strategy].plan(network)
    prediction, measurement = predict(plan), measure(plan, data)
    assert measurement.counts == prediction.counts
    for (index, name), values in measurement.gradients.items():
        found = [gradient[index, name, entry] for entry in range(values.size)]
        np.testing.assert_allclose(found, values.reshape(-1), rtol=1e-9, atol=1e-12)
    assert prediction.counts.multiplies - loss_multiplies(network) == multiplies


def loss_multiplies(network: Graph) -> int:
    """The squares of the loss, and the factor of its derivative."""
    return 2 * prod(network.output.shape)
