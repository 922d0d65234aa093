"""Values that are the same for every sample have no batch: their arrays have one row, their closed forms no B."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradcost
from gradcost.execution.execute import Data
from gradcost.formula import explain
from gradcost.graph import At, Builder, Draws, LayerType, Node, Source, rule
from gradcost.layers import LAYER_TYPES
from gradcost.numerics import Array
from gradcost.schedule.predict import predict
from gradcost.spec.fields import Int
from gradcost.strategies import STRATEGIES
from gradcost.units import Shape
from reference import FORWARD, gradients
from test_catalogue import assert_proved


class Weight(Source):
    """y = W, with no sample in it."""

    parameter_names = ("W",)

    def __init__(self, shape: Shape) -> None:
        super().__init__((), shape)
        self.parameters = {"W": shape}

    def birth_axes(self, name: str) -> tuple[int, int]:
        return 0, len(self.output)

    def initial(self, name: str, draws: Draws) -> Array:
        return draws.normal(self.parameters[name])

    @rule("W")
    def primal(self, at: At, out: Array) -> None:
        np.copyto(out, at.W)

    @rule()
    def vjp_W(self, at: At, g: Array, out: Array) -> None:
        np.copyto(out, g[:, 0])

    @rule(additions="B*N*K")
    def jvp_W(self, at: At, v: Array, out: Array) -> None:
        np.add(out, v.transpose(*range(1, len(v.shape)), 0), out=out)

    @rule("one")
    def birth_W(self, at: At, shape: Shape) -> Array:
        return np.broadcast_to(at.one, shape)


def _build(builder: Builder, sources: tuple[Node, ...], options: dict[str, Any]) -> Node:
    return builder.add(Weight((options["units"],)))


@pytest.fixture
def weight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LAYER_TYPES, "weight", LayerType("weight", {"units": Int()}, _build))
    monkeypatch.setitem(FORWARD, "Weight", lambda node, xs, p, constants: p["W"][None])


def network_of(join: str, *, batch: int, dtype: str = "float64") -> gradcost.Network:
    """Return a network in which a product of weights meets the samples, in ``join``, or never does."""
    layers: list[dict[str, Any]] = [
        {"name": "w", "type": "weight", "units": 3},
        {"name": "u", "type": "dense", "units": 4, "activation": "tanh"},
    ]
    if join:
        layers += [{"name": "h", "type": "dense", "units": 4, "from": "input"}, {"type": join, "from": ["h", "u"]}]
    layers.append({"name": "out", "type": "dense", "units": 2})
    return gradcost.load({"batch": batch, "dtype": dtype, "input": {"shape": [3]}, "layers": layers, "loss": "mse"})


@pytest.mark.usefixtures("weight")
@pytest.mark.parametrize(("dtype", "batch"), [("float64", 1), ("float64", 3), ("float32", 2)])
@pytest.mark.parametrize("join", ["add", "multiply", ""])
def test_figures_and_gradients(join: str, batch: int, dtype: str) -> None:
    network = network_of(join, batch=batch, dtype=dtype)
    data = Data(network)
    tolerance = 1e-10 if dtype == "float64" else 1e-4
    assert_proved(network, data, gradients(network, data), tolerance=tolerance, chunks=(1, 4))


@pytest.mark.usefixtures("weight")
def test_closed_forms_have_a_batch_only_where_values_have_one() -> None:
    network = network_of("add", batch=5)
    batches = {node.label: network.batch_of(node) for node in network.nodes}
    assert batches == {"input": 5, "w": 1, "u": 1, "h": 5, "add_4": 5, "out": 5}
    rows = predict(STRATEGIES["reverse"].plan(network)).rows
    assert explain(rows["u", "primal"].terms, "macs") == "n2*n1 = 4*3 = 12"
    assert explain(rows["h", "primal"].terms, "macs") == "B*n3*n0 = 5*4*3 = 60"
