"""Root-mean-square normalisation over the last axis."""

from __future__ import annotations

from typing import Any

from gradcost.graph import At, Builder, LayerType, Node, rule
from gradcost.layers.norm import Norm
from gradcost.numerics import Array, np, runs
from gradcost.spec.fields import Float
from gradcost.units import Shape


class RmsNorm(Norm):
    """y = gamma * xhat, xhat = x * rstd, rstd = 1 / sqrt(mean x^2 + eps) (Zhang & Sennrich 2019).

    Over the last axis of x (B, S.., n); gamma is (n,). Kept for the derivative: xhat and rstd.
    """

    pulls_in_place = True

    def __init__(self, shape: Shape, eps: float) -> None:
        """Take the shape of both ends and what keeps the root away from zero."""
        super().__init__((shape,), shape)
        self.eps = eps
        self.aux = {"xhat": shape, "rstd": (*shape[:-1], 1)}

    @rule(
        "x",
        "gamma",
        "xhat",
        "rstd",
        products="3*B*S*n",
        additions="B*S*(n-1) + B*S",
        divisions="2*B*S",
        special="B*S",
    )
    def primal(self, at: At, out: Array) -> None:
        """Fill out, xhat and rstd; rstd holds the mean square before."""
        x, xhat, rstd = at.x, at.xhat, at.rstd
        np.multiply(x, x, out=out)
        np.add.reduce(out, axis=-1, keepdims=True, out=rstd)
        np.divide(rstd, self.output[-1], out=rstd)
        np.add(rstd, self.eps, out=rstd)
        np.sqrt(rstd, out=rstd)
        np.divide(1.0, rstd, out=rstd)
        np.multiply(x, rstd, out=xhat)
        np.multiply(xhat, at.gamma, out=out)

    @rule(
        "gamma",
        "xhat",
        "rstd",
        products="4*B*S*n*K",
        additions="B*S*(n-1)*K + B*S*n*K",
        divisions="B*S*K",
        workspace="i*(B*S*n*K + B*S*K)",
    )
    def jvp(self, at: At, t: Array, out: Array) -> None:
        """Push tangents: out = gamma rstd (t - xhat mean(xhat t))."""
        xhat = at.xhat[..., None]
        part = np.multiply(t, xhat)
        along = np.add.reduce(part, axis=-2, keepdims=True)
        np.divide(along, self.output[-1], out=along)
        np.multiply(xhat, along, out=part)
        np.subtract(t, part, out=out)
        np.multiply(out, at.rstd[..., None], out=out)
        np.multiply(out, at.gamma[:, None], out=out)

    @rule(
        "gamma",
        "xhat",
        "rstd",
        products="4*B*S*n*K",
        additions="B*S*(n-1)*K + B*S*n*K",
        divisions="B*S*K",
        workspace="i*min(B*S, max(1, run//n))*(n + 1)*K",
    )
    def vjp(self, at: At, g: Array, out: Array) -> None:
        """Pull cotangents, some rows at a time: out = rstd (h - xhat mean(xhat h)), with h = gamma g.

        ``out`` may be ``g``.
        """
        np.multiply(g, at.gamma, out=out)
        n = self.output[-1]
        xhat, rstd, h = at.xhat.reshape(-1, n), at.rstd.reshape(-1, 1), out.reshape(out.shape[0], -1, n)
        for rows in runs(xhat.shape[0], max(1, self.run // n)):
            _pull(xhat[rows], rstd[rows], h[:, rows])


def _pull(xhat: Array, rstd: Array, h: Array) -> None:
    """Write rstd (h - xhat mean(xhat h)) over h."""
    part = np.multiply(h, xhat)
    along = np.add.reduce(part, axis=-1, keepdims=True)
    np.divide(along, xhat.shape[-1], out=along)
    np.multiply(xhat, along, out=part)
    np.subtract(h, part, out=h)
    np.multiply(h, rstd, out=h)


def _build(builder: Builder, sources: tuple[Node, ...], options: dict[str, Any]) -> Node:
    return builder.add(RmsNorm(sources[0].shape, options["eps"]), *sources)


RMSNORM = LayerType("rmsnorm", {"eps": Float(1e-6)}, _build)
