"""Embedding: each token picks a row of W."""

from __future__ import annotations

from math import prod
from typing import Any

from gradcost.graph import At, Builder, Draws, LayerType, Node, Source, rule
from gradcost.numerics import Array, np
from gradcost.spec.fields import Int
from gradcost.units import Shape


class Embedding(Source):
    """y[b,s] = W[x[b,s]], for tokens x (B, S..) below v, W (v, n). A lookup is no arithmetic; its gradient is a sum.

    Symbols: n units, v tokens in the vocabulary (as m: what a unit's row of the Jacobian is long), S positions.
    """

    symbol_names = {"n": "n{out}", "m": "v{out}"}
    parameter_names = ("W",)

    def __init__(self, shape: Shape, vocabulary: int, units: int) -> None:
        """Take the shape of the tokens, how many there are, and the units of each."""
        super().__init__((shape,), (*shape, units))
        self.parameters = {"W": (vocabulary, units)}

    @property
    def sizes(self) -> dict[str, int]:
        v, n = self.parameters["W"]
        return {"n": n, "m": v, "S": prod(self.output[:-1])}

    def birth_order(self, name: str) -> tuple[Shape, tuple[int, ...]]:
        """Return the transpose's, (n, v): a unit sees its own column of W."""
        return self.parameters[name], (1, 0)

    def initial(self, name: str, draws: Draws) -> Array:
        """Draw normal values."""
        return draws.normal(self.parameters[name])

    @rule("x", "W")
    def primal(self, at: At, out: Array) -> None:
        """Copy the rows."""
        np.take(at.W, at.x, axis=0, out=out, mode="clip")

    @rule("x", additions="B*S*n*K")
    def vjp_W(self, at: At, g: Array, out: Array) -> None:
        """Add each position's cotangent to its token's row."""
        out[...] = 0.0
        for gradient, cotangent in zip(out, g, strict=True):
            np.add.at(gradient, at.x, cotangent)

    @rule("x", additions="B*S*n*K", workspace="i*B*S*n*K")
    def jvp_W(self, at: At, v: Array, out: Array) -> None:
        """Add the tangents of the rows."""
        rows = np.take(v, at.x, axis=1, mode="clip")
        np.add(out, rows.transpose(*range(1, len(out.shape)), 0), out=out)

    @rule("x")
    def fill_birth_W(self, at: At, out: Array) -> None:
        """Fill dy[k]/dW[t,k] = [x == t], the same for each unit."""
        out[...] = 0.0
        np.put_along_axis(out, at.x[..., None, None], 1.0, axis=-1)


def _build(builder: Builder, sources: tuple[Node, ...], options: dict[str, Any]) -> Node:
    (source,) = sources
    if source.vocabulary is None:
        raise builder.error("embedding reads an input of tokens, such as `input: {shape: [16], vocabulary: 1000}`")
    return builder.add(Embedding(source.shape, source.vocabulary, options["units"]), source)


EMBEDDING = LayerType("embedding", {"units": Int()}, _build)
