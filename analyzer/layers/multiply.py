"""Multiply: the elementwise product of several inputs, and of an input and a gate of fewer axes."""

from __future__ import annotations

from math import prod
from typing import Any

from gradcost.graph import At, Builder, Join, LayerType, Node, rule
from gradcost.graph.build import fold
from gradcost.numerics import Array, np, runs
from gradcost.units import Shape


class Multiply(Join):
    """y = x0 * x1; dy = dx0 x1 + x0 dx1."""

    pulls_in_place = True

    def __init__(self, shape: Shape) -> None:
        """Take the shape of all three."""
        super().__init__((shape, shape), shape)

    @rule("x0", "x1", products="B*N")
    def primal(self, at: At, out: Array) -> None:
        np.multiply(at.x0, at.x1, out=out)

    @rule("x~", products="B*N*K")
    def jvp_first(self, at: At, index: int, t: Array, out: Array) -> None:
        """Scale the first tangents by the other input."""
        np.multiply(t, _other(at, index)[..., None], out=out)

    @rule("x~", products="B*N*K", additions="B*N*K", workspace="i*B*N*K")
    def jvp_more(self, at: At, index: int, t: Array, out: Array) -> None:
        """Scale the second tangents and add them."""
        np.add(out, np.multiply(t, _other(at, index)[..., None]), out=out)

    @rule("x~", products="B*N*K")
    def vjp_i(self, at: At, index: int, g: Array, out: Array) -> None:
        """Pull cotangents to one input: scale them by the other."""
        np.multiply(g, _other(at, index), out=out)


def _other(at: At, index: int) -> Array:
    return at.x1 if index == 0 else at.x0


class Gate(Join):
    """y = x0 * x1, with one x1 for all positions behind its axes: x0 (B, c.., s..), x1 (B, c..), as squeeze-excite has.

    Symbols: n elements of x1, s positions that share each.
    """

    symbol_names = {"n": "c{out}", "s": "s{out}"}
    pulls = ("vjp_value", "vjp_gate")

    def __init__(self, shape: Shape, gate: Shape) -> None:
        """Take the two shapes."""
        super().__init__((shape, gate), shape)

    @property
    def sizes(self) -> dict[str, int]:
        n = prod(self.inputs[1])
        return {"n": n, "s": prod(self.output) // n}

    def _wide(self, gate: Array, trail: int = 0) -> Array:
        """Return a gate with axes of 1 for the positions, in front of ``trail`` axes that it has behind."""
        positions = (None,) * (len(self.output) - len(self.inputs[1]))
        wide: Array = gate[(..., *positions, *(slice(None),) * trail)]
        return wide

    @rule("x0", "x1", products="B*n*s")
    def primal(self, at: At, out: Array) -> None:
        np.multiply(at.x0, self._wide(at.x1), out=out)

    def _push(self, at: At, index: int, t: Array, out: Array | None) -> Array:
        """Return one input's share of the tangents."""
        if index == 0:
            return np.multiply(t, self._wide(at.x1)[..., None], out=out)
        return np.multiply(at.x0[..., None], self._wide(t, 1), out=out)

    @rule("x~", products="B*n*s*K")
    def jvp_first(self, at: At, index: int, t: Array, out: Array) -> None:
        """Write one input's share."""
        self._push(at, index, t, out)

    @rule("x~", products="B*n*s*K", additions="B*n*s*K", workspace="i*B*n*s*K")
    def jvp_more(self, at: At, index: int, t: Array, out: Array) -> None:
        """Add the other's."""
        np.add(out, self._push(at, index, t, None), out=out)

    @rule("x1", products="B*n*s*K")
    def vjp_value(self, at: At, index: int, g: Array, out: Array) -> None:
        """Pull to x0: scale by the gate."""
        np.multiply(g, self._wide(at.x1), out=out)

    @rule("x0", products="B*n*s*K", additions="B*n*(s-1)*K", workspace="i*min(B, max(1, run//(n*s)))*n*s*K")
    def vjp_gate(self, at: At, index: int, g: Array, out: Array) -> None:
        """Pull to x1, some samples at a time: the sum over the positions of g x0."""
        for some in runs(g.shape[1], max(1, self.run // prod(self.output))):
            pulled = out[:, some]
            np.add.reduce(np.multiply(g[:, some], at.x0[some]).reshape(*pulled.shape, -1), axis=-1, out=pulled)


def _build(builder: Builder, sources: tuple[Node, ...], options: dict[str, Any]) -> Node:
    if len(sources) == 2:
        shape, gate = (source.shape for source in sources)
        if len(gate) < len(shape) and shape[: len(gate)] == gate:
            return builder.add(Gate(shape, gate), *sources)
    return fold(builder, sources, Multiply, "multiply")


MULTIPLY = LayerType("multiply", {}, _build, inputs=(2, None))
