"""Softmax over the last axis."""

from __future__ import annotations

from math import prod

from gradcost.graph import At, Layer, rule
from gradcost.numerics import Array, np, runs
from gradcost.units import Shape


class Softmax(Layer):
    """y = exp(x - max x) / sum exp(x - max x), over the last axis of x (B, S.., n); dy = y (dx - sum y dx)."""

    symbol_names = {"n": "n{out}"}
    in_place = True
    pulls_in_place = True

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

    @rule(
        "y",
        products="2*B*S*n*K",
        additions="B*S*(n-1)*K + B*S*n*K",
        workspace="i*min(B*S, max(1, run//n))*(n + 1)*K",
    )
    def vjp(self, at: At, g: Array, out: Array) -> None:
        """Pull cotangents, some rows at a time: the Jacobian is symmetric. ``out`` may be ``g``."""
        n = self.output[-1]
        y, given, pulled = at.y.reshape(-1, n), g.reshape(g.shape[0], -1, n), out.reshape(out.shape[0], -1, n)
        for rows in runs(y.shape[0], max(1, self.run // n)):
            _pull(y[rows], given[:, rows], pulled[:, rows])


def _pull(y: Array, g: Array, out: Array) -> None:
    """Fill out = y (g - sum y g); ``out`` may be ``g``."""
    part = np.multiply(g, y)
    total = np.add.reduce(part, axis=-1, keepdims=True)
    np.subtract(g, total, out=out)
    np.multiply(out, y, out=out)


def softmax(x: Array, out: Array) -> None:
    """Fill out with the softmax over the last axis, shifted by the maximum so that nothing overflows."""
    row = np.maximum.reduce(x, axis=-1, keepdims=True)
    np.subtract(x, row, out=out)
    np.exp(out, out=out)
    np.add.reduce(out, axis=-1, keepdims=True, out=row)
    np.divide(out, row, out=out)
