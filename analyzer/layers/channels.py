"""What norms of channels share: gamma and beta (c,) for x (B, c, \\*positions)."""

from __future__ import annotations

from math import prod

from gradcost.graph import At, Draws, Layer, rule
from gradcost.layers.standardise import push, standardise
from gradcost.numerics import Array, np
from gradcost.units import Shape


class ChannelNorm(Layer, abstract=True):
    """y[b,c,..] = gamma[c] xhat[b,c,..] + beta[c]. Symbols: c channels (as n), s positions, N = c s."""

    symbol_names = {"N": "N{out}", "n": "c{out}", "s": "s{out}"}
    unit_axis = 0
    parameter_names = ("gamma", "beta")

    def __init__(self, shape: Shape) -> None:
        """Take the shape of both ends, channels first."""
        Layer.__init__(self, (shape,), shape)  # a subclass that is elementwise too has another __init__ between
        self.parameters = {"gamma": shape[:1], "beta": shape[:1]}

    @property
    def sizes(self) -> dict[str, int]:
        """See the class."""
        return {"N": prod(self.output), "n": self.output[0], "s": prod(self.output[1:])}

    def initial(self, name: str, draws: Draws) -> Array:
        """Draw gamma about 1 and beta about 0, off the trivial values."""
        return draws.normal(self.parameters[name], 0.1, 1.0 if name == "gamma" else 0.0)

    def wide(self, values: Array) -> Array:
        """Return per-channel values with axes of 1 for the positions."""
        return values.reshape(-1, *(1,) * (len(self.output) - 1))

    def tangent(self, v: Array) -> Array:
        """Return the tangents (K, c) of a parameter with axes of 1 for the positions: (c, 1.., K)."""
        wide: Array = v.T[(slice(None), *(None,) * (len(self.output) - 1))]
        return wide

    @rule(additions="n*(B*s-1)*K")
    def vjp_beta(self, at: At, g: Array, out: Array) -> None:
        """Fill dL/dbeta = sum over samples and positions of g."""
        np.add.reduce(g.reshape(*g.shape[:3], -1), axis=(1, 3), out=out)

    @rule(additions="B*N*K")
    def jvp_beta(self, at: At, v: Array, out: Array) -> None:
        """Add the tangent of beta."""
        np.add(out, self.tangent(v), out=out)

    @rule("one")
    def birth_beta(self, at: At, shape: Shape) -> Array:
        """Return dy/dbeta = 1."""
        return np.broadcast_to(at.one, shape)


class StandardisedChannels(ChannelNorm, abstract=True):
    """xhat = (x - mean) rstd over the values themselves; a subclass says over which.

    Kept for the derivative: xhat and rstd. Symbols besides: R means, over all of a batch.

    Attributes:
        view: the shape, with the batch axis, in which ``axes`` are those of a mean.
        means: the shape of the means in that view.
    """

    symbol_names = {**ChannelNorm.symbol_names, "R": "R{out}"}

    def __init__(self, shape: Shape, view: Shape, axes: tuple[int, ...], eps: float) -> None:
        """Take the shape of both ends, the view and its axes, and what keeps the root away from zero."""
        super().__init__(shape)
        self.view, self.axes, self.eps = view, axes, eps
        self.means = tuple(1 if axis in axes else size for axis, size in enumerate(view))

    @property
    def sizes(self) -> dict[str, int]:
        """See the class."""
        return {**super().sizes, "R": prod(self.means)}

    def kept(self, batch: int) -> dict[str, Shape]:
        """Return the shapes of xhat and rstd."""
        return {"xhat": (batch, *self.output), "rstd": self.means}

    @rule(
        "x",
        "gamma",
        "beta",
        "xhat",
        "rstd",
        products="3*B*N",
        additions="2*(B*N-R) + 2*B*N + R",
        divisions="3*R",
        special="R",
    )
    def primal(self, at: At, out: Array) -> None:
        """Fill out, xhat and rstd."""
        x, xhat, scratch = (values.reshape(self.view) for values in (at.x, at.xhat, out))
        standardise(x, xhat, at.rstd, scratch, self.axes, self.eps)
        np.multiply(at.xhat, self.wide(at.gamma), out=out)
        np.add(out, self.wide(at.beta), out=out)

    @rule(
        "gamma",
        "xhat",
        "rstd",
        products="4*B*N*K",
        additions="2*(B*N-R)*K + 2*B*N*K",
        divisions="2*R*K",
        workspace="i*(B*N*K + 2*R*K)",
    )
    def jvp(self, at: At, t: Array, out: Array) -> None:
        """Push tangents: out = gamma rstd (t - mean t - xhat mean(xhat t))."""
        tangents = t.shape[-1:]
        xhat = at.xhat.reshape(*self.view, 1)
        target = out.reshape(self.view + tangents)
        push(t.reshape(self.view + tangents), xhat, at.rstd[..., None], target, self.axes)
        np.multiply(out, self.wide(at.gamma)[..., None], out=out)

    @rule(
        "gamma",
        "xhat",
        "rstd",
        products="4*B*N*K",
        additions="2*(B*N-R)*K + 2*B*N*K",
        divisions="2*R*K",
        workspace="i*(B*N + 2*R)*K",
    )
    def vjp(self, at: At, g: Array, out: Array) -> None:
        """Pull cotangents: out = rstd (h - mean h - xhat mean(xhat h)), with h = gamma g."""
        np.multiply(g, self.wide(at.gamma), out=out)
        h = out.reshape(-1, *self.view)
        push(h, at.xhat.reshape(self.view), at.rstd, h, tuple(axis + 1 for axis in self.axes))

    @rule("xhat", products="B*N*K", additions="n*(B*s-1)*K", workspace="i*B*N*K")
    def vjp_gamma(self, at: At, g: Array, out: Array) -> None:
        """Fill dL/dgamma = sum over samples and positions of g xhat."""
        part = np.multiply(g, at.xhat)
        np.add.reduce(part.reshape(*g.shape[:3], -1), axis=(1, 3), out=out)

    @rule("xhat", products="B*N*K", additions="B*N*K", workspace="i*B*N*K")
    def jvp_gamma(self, at: At, v: Array, out: Array) -> None:
        """Add the tangent of gamma."""
        np.add(out, np.multiply(at.xhat[..., None], self.tangent(v)), out=out)

    @rule("xhat")
    def birth_gamma(self, at: At, shape: Shape) -> Array:
        """Return dy/dgamma = xhat, for each channel its own."""
        return at.xhat.reshape(shape)
