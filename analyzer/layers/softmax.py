"""Softmax over the last axis."""

from __future__ import annotations

from math import prod

from gradcost.graph import At, Layer, rule
from gradcost.numerics import Array, np
from gradcost.units import Shape


class Softmax(Layer):
    """y = exp(x - max x) / sum exp(x - max x), over the last axis of x (B, S.., n); dy = y (dx - sum y dx)."""

    symbol_names = {"n": "n{out}"}

    def __init__(self, shape: Shape) -> None:
        """Take the shape of both ends."""
        super().__init__((shape,), shape)

    @property
    def sizes(self) -> dict[str, int]:
        """N classes on S positions."""
        return {"n": self.output[-1], "S": prod(self.output[:-1])}

    @rule(
        "x",
        comparisons="B*S*(n-1)",
        additions="B*S*n + B*S*(n-1)",
        special="B*S*n",
        divisions="B*S*n",
        workspace="i*B*S",
    )
    def primal(self, at: At, out: Array) -> None:
        softmax(at.x, out)

    @rule("y", products="2*B*S*n*K", additions="B*S*(n-1)*K + B*S*n*K", workspace="i*B*S*K")
    def jvp(self, at: At, t: Array, out: Array) -> None:
        """Push tangents."""
        y = at.y[..., None]
        np.multiply(t, y, out=out)
        total = np.add.reduce(out, axis=-2, keepdims=True)
        np.subtract(t, total, out=out)
        np.multiply(out, y, out=out)

    @rule("y", products="2*B*S*n*K", additions="B*S*(n-1)*K + B*S*n*K", workspace="i*B*S*K")
    def vjp(self, at: At, g: Array, out: Array) -> None:
        """Pull cotangents: the Jacobian is symmetric."""
        np.multiply(g, at.y, out=out)
        total = np.add.reduce(out, axis=-1, keepdims=True)
        np.subtract(g, total, out=out)
        np.multiply(out, at.y, out=out)


def softmax(x: Array, out: Array) -> None:
    """Fill out with the softmax over the last axis, shifted by the maximum so that nothing overflows."""
    row = np.maximum.reduce(x, axis=-1, keepdims=True)
    np.subtract(x, row, out=out)
    np.exp(out, out=out)
    np.add.reduce(out, axis=-1, keepdims=True, out=row)
    np.divide(out, row, out=out)
