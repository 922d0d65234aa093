"""Root-mean-square normalisation over the last axis."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from gradcost.graph import At, Builder, Layer, LayerType, Node, rule
from gradcost.numerics import Array, np
from gradcost.spec.fields import Float
from gradcost.units import Shape

if TYPE_CHECKING:
    from numpy.random import Generator


class RmsNorm(Layer):
    """y = gamma * xhat, xhat = x * rstd, rstd = 1 / sqrt(mean x^2 + eps) (Zhang & Sennrich 2019).

    Over the last axis of x (B, S.., n); gamma is (n,). Kept for the derivative: xhat and rstd.
    """

    symbol_names = {"n": "n{out}"}

    def __init__(self, shape: Shape, eps: float) -> None:
        """Take the shape of both ends and what keeps the root away from zero."""
        super().__init__((shape,), shape)
        self.eps = eps
        self.parameters = {"gamma": shape[-1:]}
        self.aux = {"xhat": shape, "rstd": (*shape[:-1], 1)}

    @property
    def sizes(self) -> dict[str, int]:
        """N features on S positions."""
        return {"n": self.output[-1], "S": prod(self.output[:-1])}

    def initial(self, name: str, rng: Generator) -> Array:
        """Draw gamma about 1."""
        return 1 + 0.1 * rng.standard_normal(self.parameters[name])

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
        workspace="B*S*n*K + B*S*K",
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
        products="4*B*S*n",
        additions="B*S*(n-1) + B*S*n",
        divisions="B*S",
        workspace="B*S*n + B*S",
    )
    def vjp(self, at: At, g: Array, out: Array) -> None:
        """Pull a cotangent: out = rstd (h - xhat mean(xhat h)), with h = gamma g."""
        np.multiply(g, at.gamma, out=out)
        part = np.multiply(out, at.xhat)
        along = np.add.reduce(part, axis=-1, keepdims=True)
        np.divide(along, self.output[-1], out=along)
        np.multiply(at.xhat, along, out=part)
        np.subtract(out, part, out=out)
        np.multiply(out, at.rstd, out=out)

    @rule("xhat", products="B*S*n", additions="n*(B*S-1)", workspace="B*S*n")
    def vjp_gamma(self, at: At, g: Array, out: Array) -> None:
        """Fill dL/dgamma = sum over samples and positions of g xhat."""
        part = np.multiply(g, at.xhat)
        np.add.reduce(part.reshape(-1, out.shape[0]), axis=0, out=out)

    @rule("xhat", products="B*S*n*K", additions="B*S*n*K", workspace="B*S*n*K")
    def jvp_gamma(self, at: At, v: Array, out: Array) -> None:
        """Add the tangent of gamma."""
        np.add(out, np.multiply(at.xhat[..., None], v.T), out=out)

    @rule("xhat")
    def birth_gamma(self, at: At, shape: Shape) -> Array:
        """Return dy[k]/dgamma[k] = xhat[k]."""
        return at.xhat.reshape(shape)


def _build(builder: Builder, sources: tuple[Node, ...], options: dict[str, Any]) -> Node:
    return builder.add(RmsNorm(sources[0].shape, options["eps"]), *sources)


RMSNORM = LayerType("rmsnorm", {"eps": Float(1e-6)}, _build)
