"""What norms share: y = gamma xhat + beta, where xhat is x rid of its size, or of its mean and variance."""

from __future__ import annotations

from math import prod
from typing import ClassVar

from gradcost.graph import At, Draws, rule
from gradcost.layers.per_unit import PerUnit
from gradcost.numerics import Array, np, runs
from gradcost.units import Shape


class Norm(PerUnit, abstract=True):
    """y = gamma xhat (+ ...), with xhat kept for the derivative by the primal."""

    parameter_names: ClassVar[tuple[str, ...]] = ("gamma",)

    def initial(self, name: str, draws: Draws) -> Array:
        """Draw gamma about 1 and beta about 0, off the trivial values."""
        return draws.normal(self.parameters[name], 0.1, 1.0 if name == "gamma" else 0.0)

    @rule(
        "xhat",
        products="B*N*K",
        additions="n*(B*S-1)*K",
        workspace="i*(min(B, max(1, run//N))*N + min(1, max(B - max(1, run//N), 0))*n)*K",
    )
    def vjp_gamma(self, at: At, g: Array, out: Array) -> None:
        """Fill dL/dgamma = sum over samples and positions of g xhat, some samples at a time."""
        (first, *others) = runs(g.shape[1], max(1, self.run // prod(self.output)))
        part = np.empty_like(out) if others else out
        self.gamma_of(at, g, first, out)
        for samples in others:
            self.gamma_of(at, g, samples, part)
            np.add(out, part, out=out)

    def gamma_of(self, at: At, g: Array, samples: slice, out: Array) -> None:
        """Fill out with what some samples add to dL/dgamma."""
        self.sum_by_unit(np.multiply(g[:, samples], at.xhat[samples]), out)

    @rule("xhat", products="B*N*K", additions="B*N*K", workspace="i*B*N*K")
    def jvp_gamma(self, at: At, v: Array, out: Array) -> None:
        """Add the tangent of gamma."""
        np.add(out, np.multiply(at.xhat[..., None], self.tangent(v)), out=out)

    @rule("xhat")
    def birth_gamma(self, at: At, shape: Shape) -> Array:
        """Return dy/dgamma = xhat, for each unit its own."""
        return at.xhat.reshape(shape)


class ShiftedNorm(Norm, abstract=True):
    """y = gamma xhat + beta."""

    parameter_names = ("gamma", "beta")

    @rule(additions="n*(B*S-1)*K")
    def vjp_beta(self, at: At, g: Array, out: Array) -> None:
        """Fill dL/dbeta = sum over samples and positions of g."""
        self.sum_by_unit(g, out)

    @rule(additions="B*N*K")
    def jvp_beta(self, at: At, v: Array, out: Array) -> None:
        """Add the tangent of beta."""
        np.add(out, self.tangent(v), out=out)

    @rule("one")
    def birth_beta(self, at: At, shape: Shape) -> Array:
        """Return dy/dbeta = 1."""
        return np.broadcast_to(at.one, shape)
