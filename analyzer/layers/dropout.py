"""Dropout with a fixed mask."""

from __future__ import annotations

from typing import Any

from gradcost.graph import At, Builder, Draws, Elementwise, LayerType, Node, rule
from gradcost.numerics import Array, np
from gradcost.spec.fields import Float
from gradcost.units import MASK, Shape


class Dropout(Elementwise):
    """y = 0 where the mask is, at the given rate, and scale x elsewhere: scale = 1/(1 - rate) (Srivastava et al. 2014).

    The mask (B, \\*shape) is drawn once, so that every strategy differentiates the same function. It takes a byte for
    each element: numbers are multiplied by the scale, and those that are dropped filled with zeros.
    """

    dtypes = {"mask": MASK}

    def __init__(self, shape: Shape, rate: float) -> None:
        """Take the shape and the share of elements that are dropped."""
        super().__init__(shape)
        self.rate = rate
        self.scale = 1 / (1 - rate)
        self.constants = {"mask": shape}

    def constant(self, name: str, shape: Shape, draws: Draws) -> Array:
        """Draw the mask: True where an element is dropped."""
        return draws.mask(shape, self.rate)

    @rule("x", "mask", says="scale {x}, 0 where {mask}", products="B*N")
    def primal(self, at: At, out: Array) -> None:
        self._drop(at.x, at.mask, out)

    @rule("mask", says="scale, 0 where {mask}")
    def derivative(self, at: At, out: Array) -> None:
        """Fill out with the scale, and zeros."""
        out[...] = self.scale
        np.copyto(out, 0.0, where=at.mask)

    @rule("mask", says="scale {g}, 0 where {mask}", products="B*N*K")
    def jvp(self, at: At, t: Array, out: Array) -> None:
        """Push tangents."""
        self._drop(t, at.mask[..., None], out)

    @rule("mask", says="scale {g}, 0 where {mask}", products="B*N*r")
    def jvp_compact(self, at: At, c: Array, out: Array) -> None:
        """Push a compact Jacobian."""
        self._drop(c, at.mask[..., None], out)

    @rule("mask", says="scale {g}, 0 where {mask}", products="B*N*K")
    def vjp(self, at: At, g: Array, out: Array) -> None:
        """Pull cotangents."""
        self._drop(g, at.mask, out)

    def _drop(self, values: Array, mask: Array, out: Array) -> None:
        """Fill out, which may be the values, with them times the scale, and with zeros where the mask is."""
        np.multiply(values, self.scale, out=out)
        np.copyto(out, 0.0, where=mask)


def _build(builder: Builder, sources: tuple[Node, ...], options: dict[str, Any]) -> Node:
    return builder.add(Dropout(sources[0].shape, options["rate"]), *sources)


DROPOUT = LayerType("dropout", {"rate": Float(0.5, below=1.0)}, _build)
