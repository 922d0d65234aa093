"""Batch normalisation with the running statistics, as a trained network is evaluated and fine-tuned."""

from __future__ import annotations

from math import prod
from typing import Any

from gradcost.graph import At, Builder, Draws, Elementwise, LayerType, Node, rule
from gradcost.layers.activations import ACTIVATION_FIELD, activate
from gradcost.numerics import Array, np
from gradcost.units import Shape


class BatchNorm(Elementwise):
    """y[b,c,..] = gamma[c] (x[b,c,..] - mean[c]) rstd[c] + beta[c] (Ioffe & Szegedy 2015, algorithm 2).

    mean and rstd = 1 / sqrt(var + eps) are statistics, not parameters, so samples stay independent of each other.
    Symbols: c channels, s positions, N = c s.
    """

    symbol_names = {"N": "N{out}", "n": "c{out}", "s": "s{out}"}
    unit_axis = 0

    def __init__(self, shape: Shape) -> None:
        """Take the shape of both ends, channels first."""
        super().__init__(shape)
        self.parameters = {"gamma": shape[:1], "beta": shape[:1]}
        self.statistics = {"mean": shape[:1], "rstd": shape[:1]}

    @property
    def sizes(self) -> dict[str, int]:
        """See the class."""
        return {"N": prod(self.output), "n": self.output[0], "s": prod(self.output[1:])}

    def initial(self, name: str, draws: Draws) -> Array:
        """Draw gamma about 1 and beta about 0, off the trivial values."""
        return draws.normal(self.parameters[name], 0.1, 1.0 if name == "gamma" else 0.0)

    def constant(self, name: str, shape: Shape, draws: Draws) -> Array:
        """Draw a mean about 0 and a rstd about 1."""
        values = draws.normal(shape, 0.1)
        return values if name == "mean" else np.exp(values, out=values)

    def _wide(self, values: Array) -> Array:
        """Return per-channel values with axes of 1 for the positions."""
        return values.reshape(-1, *(1,) * (len(self.output) - 1))

    def _tangent(self, v: Array) -> Array:
        """Return the tangents (K, c) of a parameter with axes of 1 for the positions: (c, 1.., K)."""
        wide: Array = v.T[(slice(None), *(None,) * (len(self.output) - 1))]
        return wide

    def _normalised(self, at: At) -> Array:
        """Return (x - mean) rstd."""
        xhat = np.subtract(at.x, self._wide(at.mean))
        np.multiply(xhat, self._wide(at.rstd), out=xhat)
        return xhat

    @rule("x", "gamma", "beta", "mean", "rstd", products="2*n + B*N", additions="n + B*N", workspace="2*n")
    def primal(self, at: At, out: Array) -> None:
        """Fill out = x scale + shift, with scale = gamma rstd and shift = beta - mean scale."""
        scale = np.multiply(at.gamma, at.rstd)
        shift = np.multiply(at.mean, scale)
        np.subtract(at.beta, shift, out=shift)
        np.multiply(at.x, self._wide(scale), out=out)
        np.add(out, self._wide(shift), out=out)

    @rule("gamma", "rstd", products="n", workspace="n")
    def derivative(self, at: At, out: Array) -> None:
        """Fill out = gamma rstd, the same for every position."""
        np.copyto(out, self._wide(np.multiply(at.gamma, at.rstd)))

    @rule("x", "mean", "rstd", products="2*B*N", additions="B*N + n*(B*s-1)", workspace="B*N")
    def vjp_gamma(self, at: At, g: Array, out: Array) -> None:
        """Fill dL/dgamma = sum over samples and positions of g (x - mean) rstd."""
        part = self._normalised(at)
        np.multiply(part, g, out=part)
        np.add.reduce(part.reshape(*g.shape[:2], -1), axis=(0, 2), out=out)

    @rule(additions="n*(B*s-1)")
    def vjp_beta(self, at: At, g: Array, out: Array) -> None:
        """Fill dL/dbeta = sum over samples and positions of g."""
        np.add.reduce(g.reshape(*g.shape[:2], -1), axis=(0, 2), out=out)

    @rule("x", "mean", "rstd", products="B*N + B*N*K", additions="B*N + B*N*K", workspace="B*N + B*N*K")
    def jvp_gamma(self, at: At, v: Array, out: Array) -> None:
        """Add the tangent of gamma."""
        np.add(out, np.multiply(self._normalised(at)[..., None], self._tangent(v)), out=out)

    @rule(additions="B*N*K")
    def jvp_beta(self, at: At, v: Array, out: Array) -> None:
        """Add the tangent of beta."""
        np.add(out, self._tangent(v), out=out)

    @rule("x", "mean", "rstd", products="B*N", additions="B*N")
    def fill_birth_gamma(self, at: At, out: Array) -> None:
        """Fill dy/dgamma = (x - mean) rstd, for each channel its own."""
        xhat = out.reshape(*at.x.shape)
        np.subtract(at.x, self._wide(at.mean), out=xhat)
        np.multiply(xhat, self._wide(at.rstd), out=xhat)

    @rule("one")
    def birth_beta(self, at: At, shape: Shape) -> Array:
        """Return dy/dbeta = 1."""
        return np.broadcast_to(at.one, shape)


def _build(builder: Builder, sources: tuple[Node, ...], options: dict[str, Any]) -> Node:
    activation = options["activation"]
    letter = "a" if activation == "identity" else "z"
    return activate(builder, builder.add(BatchNorm(sources[0].shape), *sources, letter=letter), activation)


BATCHNORM = LayerType("batchnorm", {"activation": ACTIVATION_FIELD}, _build)
