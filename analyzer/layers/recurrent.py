"""Recurrence over T steps: rnn, lstm, gru, unrolled into operations that share their weights.

Unrolled, `reverse` is backpropagation through time (Werbos 1990), whose kept activations grow with T; and
`forward_jacobian` is real-time recurrent learning (Williams & Zipser 1989): dh[t]/dW, n x p, is carried and updated at
each step, and does not grow.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gradcost.graph import At, Builder, Layer, LayerType, Node, Source, rule
from gradcost.layers.activations import Sigmoid, Tanh, activate
from gradcost.layers.add import Add
from gradcost.layers.concat import Concat
from gradcost.layers.dense import Dense
from gradcost.layers.moves import Slice
from gradcost.layers.multiply import Multiply
from gradcost.layers.scale import Scale
from gradcost.layers.views import Reshape
from gradcost.numerics import Array
from gradcost.spec.fields import Bool, Choice, Int


class ZeroState(Source):
    """y = 0 (B, n): the state before the first step."""

    makes_batch = True

    def __init__(self, units: int) -> None:
        """Take the number of units."""
        super().__init__((), (units,))

    @rule()
    def primal(self, at: At, out: Array) -> None:
        """Fill zeros."""
        out[...] = 0.0


class _Steps:
    """Adds the operations of one recurrent layer, step by step; weights are made at the first step and then shared."""

    def __init__(self, builder: Builder, options: dict[str, Any]) -> None:
        self.builder = builder
        self.units: int = options["units"]
        self.bias: bool = options["bias"]
        self.step = 0
        self._weights: dict[str, Node] = {}

    def add(self, layer: Layer, *sources: Node, letter: str = "s") -> Node:
        return self.builder.add(layer, *sources, letter=letter, step=self.step)

    def project(self, source: Node, part: str, gates: int, *, bias: bool) -> Node:
        """Add W source, for all gates at once; ``part`` tells the weights of the input from those of the state."""
        layer = Dense(source.shape, gates * self.units, bias)
        first = self._weights.get(part)
        node = self.builder.add(layer, source, letter="s", step=self.step, share=first, part=part)
        return self._weights.setdefault(part, node) if first is None else node

    def gate(self, values: Node, index: int) -> Node:
        """Take one gate's part."""
        return self.add(Slice(values.shape, 0, index * self.units, (index + 1) * self.units), values)

    def plus(self, a: Node, b: Node, letter: str = "s") -> Node:
        return self.add(Add(a.shape), a, b, letter=letter)

    def times(self, a: Node, b: Node, letter: str = "s") -> Node:
        return self.add(Multiply(a.shape), a, b, letter=letter)

    def sigmoid(self, x: Node) -> Node:
        return self.add(Sigmoid(x.shape), x)

    def tanh(self, x: Node) -> Node:
        return self.add(Tanh(x.shape), x)

    def run(self, source: Node, sequence: bool, states: int, cell: Callable[[Node, list[Node]], list[Node]]) -> Node:
        """Run ``cell`` over the steps of ``source`` (T, m); return the last h, or all of them as (T, n)."""
        count, width = source.shape
        state = [self.add(ZeroState(self.units), letter="h") for _ in range(states)]
        rows = []
        for step in range(1, count + 1):
            self.step = step
            part = self.add(Slice(source.shape, 0, step - 1, step), source)
            state = cell(self.add(Reshape(part.shape, (width,)), part, letter="x"), state)
            if sequence:
                rows.append(self.add(Reshape((self.units,), (1, self.units)), state[0]))
        if not sequence:
            return self.builder.add(Reshape((self.units,), (self.units,)), state[0])
        return self.builder.add(Concat(tuple(row.shape for row in rows), 0), *rows)


def _rnn(builder: Builder, sources: tuple[Node, ...], options: dict[str, Any]) -> Node:
    steps, hidden = _Steps(builder, options), options["hidden_bias"]

    def cell(x: Node, state: list[Node]) -> list[Node]:
        """h' = f(W x + b + U h) (Elman 1990)."""
        z = steps.plus(steps.project(x, "", 1, bias=steps.bias), steps.project(state[0], ",h", 1, bias=hidden), "z")
        return [activate(builder, z, options["activation"], step=steps.step)]

    return steps.run(_sequence(builder, sources), options["sequence"], 1, cell)


def _lstm(builder: Builder, sources: tuple[Node, ...], options: dict[str, Any]) -> Node:
    steps, hidden = _Steps(builder, options), options["hidden_bias"]

    def cell(x: Node, state: list[Node]) -> list[Node]:
        """c' = f c + i g, h' = o tanh c' (Hochreiter & Schmidhuber 1997; Gers et al. 2000)."""
        h, c = state
        z = steps.plus(steps.project(x, "", 4, bias=steps.bias), steps.project(h, ",h", 4, bias=hidden), "z")
        i, f, o = (steps.sigmoid(steps.gate(z, index)) for index in (0, 1, 3))
        g = steps.tanh(steps.gate(z, 2))
        c = steps.plus(steps.times(f, c), steps.times(i, g), "c")
        return [steps.times(o, steps.tanh(c), "h"), c]

    return steps.run(_sequence(builder, sources), options["sequence"], 2, cell)


def _gru(builder: Builder, sources: tuple[Node, ...], options: dict[str, Any]) -> Node:
    steps = _Steps(builder, options)

    def cell(x: Node, state: list[Node]) -> list[Node]:
        """h' = n + z (h - n), n = tanh(W x + b + r (U h + b)) (Cho et al. 2014; the reset gate behind the product)."""
        (h,) = state
        zx = steps.project(x, "", 3, bias=steps.bias)
        zh = steps.project(h, ",h", 3, bias=steps.bias)
        r, z = (steps.sigmoid(steps.plus(steps.gate(zx, index), steps.gate(zh, index))) for index in (0, 1))
        n = steps.tanh(steps.plus(steps.gate(zx, 2), steps.times(r, steps.gate(zh, 2))))
        difference = steps.plus(h, steps.add(Scale(n.shape, -1.0), n))
        return [steps.plus(n, steps.times(z, difference), "h")]

    return steps.run(_sequence(builder, sources), options["sequence"], 1, cell)


def _sequence(builder: Builder, sources: tuple[Node, ...]) -> Node:
    (source,) = sources
    if len(source.shape) != 2:
        raise builder.error(f"a recurrent layer reads [steps, units], not {list(source.shape)}")
    return source


_FIELDS = {"units": Int(), "bias": Bool(True), "sequence": Bool(False)}
_HIDDEN = {"hidden_bias": Bool(False)}  # a second bias, behind U h, as PyTorch and ONNX have it; gru needs it
RNN = LayerType(
    "rnn", {**_FIELDS, **_HIDDEN, "activation": Choice("tanh", ("tanh", "relu", "sigmoid", "identity"))}, _rnn
)
LSTM = LayerType("lstm", {**_FIELDS, **_HIDDEN}, _lstm)
GRU = LayerType("gru", _FIELDS, _gru)
