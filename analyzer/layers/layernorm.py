"""Layer normalisation over the last axis."""

from __future__ import annotations

from math import prod
from typing import Any

from gradcost.graph import At, Builder, Draws, Layer, LayerType, Node, rule
from gradcost.layers.standardise import push, standardise
from gradcost.numerics import Array, np
from gradcost.spec.fields import Float
from gradcost.units import Shape


class Norm(Layer, abstract=True):
    """What norms over the last axis share: y = gamma * xhat (+ ...), for x (B, S.., n) and gamma (n,).

    Kept for the derivative: xhat, and the factor rstd that made it.
    """

    symbol_names = {"n": "n{out}"}
    parameter_names = ("gamma",)

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

    @rule("xhat", products="B*S*n*K", additions="n*(B*S-1)*K", workspace="i*B*S*n*K")
    def vjp_gamma(self, at: At, g: Array, out: Array) -> None:
        """Fill dL/dgamma = sum over samples and positions of g xhat."""
        part = np.multiply(g, at.xhat)
        np.add.reduce(part.reshape(out.shape[0], -1, out.shape[1]), axis=1, out=out)

    @rule("xhat", products="B*S*n*K", additions="B*S*n*K", workspace="i*B*S*n*K")
    def jvp_gamma(self, at: At, v: Array, out: Array) -> None:
        """Add the tangent of gamma."""
        np.add(out, np.multiply(at.xhat[..., None], v.T), out=out)

    @rule("xhat")
    def birth_gamma(self, at: At, shape: Shape) -> Array:
        """Return dy[k]/dgamma[k] = xhat[k]."""
        return at.xhat.reshape(shape)


class LayerNorm(Norm):
    """y = gamma * xhat + beta, xhat = (x - mean) * rstd, rstd = 1 / sqrt(var + eps) (Ba, Kiros & Hinton 2016).

    Over the last axis of x (B, S.., n); gamma and beta are (n,). Kept for the derivative: xhat and rstd.
    """

    parameter_names = ("gamma", "beta")

    def __init__(self, shape: Shape, eps: float) -> None:
        """Take the shape of both ends and what keeps the root away from zero."""
        super().__init__(shape, eps)
        self.parameters = {"gamma": shape[-1:], "beta": shape[-1:]}
        self._axes = (len(shape),)

    def initial(self, name: str, draws: Draws) -> Array:
        """Draw gamma about 1 and beta about 0, off the trivial values."""
        return draws.normal(self.parameters[name], 0.1, 1.0 if name == "gamma" else 0.0)

    @rule(
        "x",
        "gamma",
        "beta",
        "xhat",
        "rstd",
        products="3*B*S*n",
        additions="2*B*S*(n-1) + 2*B*S*n + B*S",
        divisions="3*B*S",
        special="B*S",
    )
    def primal(self, at: At, out: Array) -> None:
        """Fill out, xhat and rstd."""
        standardise(at.x, at.xhat, at.rstd, out, self._axes, self.eps)
        np.multiply(at.xhat, at.gamma, out=out)
        np.add(out, at.beta, out=out)

    @rule(
        "gamma",
        "xhat",
        "rstd",
        products="4*B*S*n*K",
        additions="2*B*S*(n-1)*K + 2*B*S*n*K",
        divisions="2*B*S*K",
        workspace="i*(B*S*n*K + 2*B*S*K)",
    )
    def jvp(self, at: At, t: Array, out: Array) -> None:
        """Push tangents: out = gamma rstd (t - mean t - xhat mean(xhat t))."""
        push(t, at.xhat[..., None], at.rstd[..., None], out, self._axes)
        np.multiply(out, at.gamma[:, None], out=out)

    @rule(
        "gamma",
        "xhat",
        "rstd",
        products="4*B*S*n*K",
        additions="2*B*S*(n-1)*K + 2*B*S*n*K",
        divisions="2*B*S*K",
        workspace="i*(B*S*n + 2*B*S)*K",
    )
    def vjp(self, at: At, g: Array, out: Array) -> None:
        """Pull cotangents: out = rstd (h - mean h - xhat mean(xhat h)), with h = gamma g."""
        np.multiply(g, at.gamma, out=out)
        push(out, at.xhat, at.rstd, out, tuple(axis + 1 for axis in self._axes))

    @rule(additions="n*(B*S-1)*K")
    def vjp_beta(self, at: At, g: Array, out: Array) -> None:
        """Fill dL/dbeta = sum over samples and positions of g."""
        np.add.reduce(g.reshape(out.shape[0], -1, out.shape[1]), axis=1, out=out)

    @rule(additions="B*S*n*K")
    def jvp_beta(self, at: At, v: Array, out: Array) -> None:
        """Add the tangent of beta."""
        np.add(out, v.T, out=out)

    @rule("one")
    def birth_beta(self, at: At, shape: Shape) -> Array:
        """Return dy[k]/dbeta[k] = 1."""
        return np.broadcast_to(at.one, shape)


def _build(builder: Builder, sources: tuple[Node, ...], options: dict[str, Any]) -> Node:
    return builder.add(LayerNorm(sources[0].shape, options["eps"]), *sources)


LAYERNORM = LayerType("layernorm", {"eps": Float(1e-5)}, _build)
