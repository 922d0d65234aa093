"""Dropout with a fixed mask."""

from __future__ import annotations

from typing import Any

from gradcost.graph import At, Builder, Draws, Elementwise, LayerType, Node, rule
from gradcost.numerics import Array, np
from gradcost.spec.fields import Float
from gradcost.units import Shape


class Dropout(Elementwise):
    """y = mask * x, with mask = 0 at the given rate and 1/(1 - rate) elsewhere (Srivastava et al. 2014).

    The mask is drawn once, so that every strategy differentiates the same function; it is its own derivative.
    """

    slope = "mask"

    def __init__(self, shape: Shape, rate: float) -> None:
        """Take the shape and the share of elements that are dropped."""
        super().__init__(shape)
        self.rate = rate
        self.constants = {"mask": shape}

    def constant(self, name: str, shape: Shape, draws: Draws) -> Array:
        """Draw the mask."""
        return draws.mask(shape, self.rate)

    @rule("x", "mask", products="B*N")
    def primal(self, at: At, out: Array) -> None:
        np.multiply(at.x, at.mask, out=out)


def _build(builder: Builder, sources: tuple[Node, ...], options: dict[str, Any]) -> Node:
    return builder.add(Dropout(sources[0].shape, options["rate"]), *sources)


DROPOUT = LayerType("dropout", {"rate": Float(0.5, below=1.0)}, _build)
