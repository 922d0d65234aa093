"""Multiply: the elementwise product of several inputs (gates)."""

from __future__ import annotations

from typing import Any

from gradcost.graph import At, Builder, Join, LayerType, Node, rule
from gradcost.graph.build import fold
from gradcost.numerics import Array, np
from gradcost.units import Shape


class Multiply(Join):
    """y = x0 * x1; dy = dx0 x1 + x0 dx1."""

    def __init__(self, shape: Shape) -> None:
        """Take the shape of all three."""
        super().__init__((shape, shape), shape)

    @rule("x0", "x1", products="B*N")
    def primal(self, at: At, out: Array) -> None:
        """Fill out."""
        np.multiply(at.x0, at.x1, out=out)

    @rule("x~", products="B*N*K")
    def jvp_first(self, at: At, index: int, t: Array, out: Array) -> None:
        """Scale the first tangents by the other input."""
        np.multiply(t, _other(at, index)[..., None], out=out)

    @rule("x~", products="B*N*K", additions="B*N*K", workspace="B*N*K")
    def jvp_more(self, at: At, index: int, t: Array, out: Array) -> None:
        """Scale the second tangents and add them."""
        np.add(out, np.multiply(t, _other(at, index)[..., None]), out=out)

    @rule("x~", products="B*N")
    def vjp_i(self, at: At, index: int, g: Array, out: Array) -> None:
        """Pull a cotangent to one input: scale it by the other."""
        np.multiply(g, _other(at, index), out=out)


def _other(at: At, index: int) -> Array:
    return at.x1 if index == 0 else at.x0


def _build(builder: Builder, sources: tuple[Node, ...], options: dict[str, Any]) -> Node:
    return fold(builder, sources, Multiply, "multiply")


MULTIPLY = LayerType("multiply", {}, _build, inputs=(2, None))
