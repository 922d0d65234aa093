"""Scale: multiplication by a fixed number."""

from __future__ import annotations

from typing import Any

from gradcost.graph import At, Builder, LayerType, Linear, Node, rule
from gradcost.numerics import Array, np
from gradcost.spec.fields import Float
from gradcost.units import Shape


class Scale(Linear):
    """y = factor x. Symbols: N elements of a sample."""

    in_place = True
    pulls_in_place = True

    def __init__(self, shape: Shape, factor: float) -> None:
        """Take the shape of both ends and the factor."""
        super().__init__((shape,), shape)
        self.factor = factor

    @rule("x", products="B*N*K")
    def primal(self, at: At, out: Array) -> None:
        np.multiply(at.x, self.factor, out=out)

    @rule(products="B*N*K")
    def vjp(self, at: At, g: Array, out: Array) -> None:
        """Pull cotangents."""
        np.multiply(g, self.factor, out=out)


def _build(builder: Builder, sources: tuple[Node, ...], options: dict[str, Any]) -> Node:
    return builder.add(Scale(sources[0].shape, options["factor"]), *sources)


SCALE = LayerType("scale", {"factor": Float(minimum=-1e300)}, _build)
