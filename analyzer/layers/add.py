"""Add: the elementwise sum of several inputs (the residual connection)."""

from __future__ import annotations

from typing import Any

from gradcost.graph import At, Builder, Join, LayerType, Node, rule
from gradcost.graph.build import fold
from gradcost.numerics import Array, np
from gradcost.units import Shape


class Add(Join):
    """y = x0 + x1."""

    passes = True
    in_place = True

    def __init__(self, shape: Shape) -> None:
        """Take the shape of all three."""
        super().__init__((shape, shape), shape)

    @rule("x0", "x1", says="{x0} + {x1}", additions="B*N")
    def primal(self, at: At, out: Array) -> None:
        """Fill out; it may be either input."""
        np.add(at.x0, at.x1, out=out)

    @rule(says="{g}")
    def jvp_first(self, at: At, index: int, t: Array, out: Array) -> None:
        """Copy the first tangents."""
        np.copyto(out, t)

    @rule(says="{g}", additions="B*N*K")
    def jvp_more(self, at: At, index: int, t: Array, out: Array) -> None:
        """Add the other tangents."""
        np.add(out, t, out=out)


def _build(builder: Builder, sources: tuple[Node, ...], options: dict[str, Any]) -> Node:
    return fold(builder, sources, Add, "add")


ADD = LayerType("add", {}, _build, inputs=(2, None))
