"""Batch normalisation: with running statistics, as a trained network is evaluated, or with those of the batch."""

from __future__ import annotations

from math import prod
from typing import Any

from gradcost.graph import At, Builder, Draws, Elementwise, LayerType, Node, rule
from gradcost.layers.activations import ACTIVATION_FIELD, activate
from gradcost.layers.norm import Norm, ShiftedNorm
from gradcost.layers.standardised import Standardised
from gradcost.numerics import Array, np
from gradcost.spec.fields import Choice, Float
from gradcost.units import Shape


class BatchNorm(Elementwise, ShiftedNorm):
    """y[b,c,..] = gamma[c] (x[b,c,..] - mean[c]) rstd[c] + beta[c] (Ioffe & Szegedy 2015, algorithm 2).

    mean and rstd = 1 / sqrt(var + eps) are statistics, not parameters, so samples stay independent of each other.
    """

    symbol_names = {"N": "N{out}", "n": "c{out}"}
    unit_axis = 0

    def __init__(self, shape: Shape) -> None:
        """Take the shape of both ends, channels first."""
        super().__init__(shape)
        self.statistics = {"mean": shape[:1], "rstd": shape[:1]}

    def constant(self, name: str, shape: Shape, draws: Draws) -> Array:
        """Draw a mean about 0 and a rstd about 1."""
        values = draws.normal(shape, 0.1)
        return values if name == "mean" else np.exp(values, out=values)

    def _normalised(self, at: At, samples: slice = slice(None)) -> Array:
        """Return (x - mean) rstd of some samples."""
        xhat = np.subtract(at.x[samples], self.wide(at.mean))
        np.multiply(xhat, self.wide(at.rstd), out=xhat)
        return xhat

    @rule("x", "gamma", "beta", "mean", "rstd", products="2*n + B*N", additions="n + B*N", workspace="2*i*n")
    def primal(self, at: At, out: Array) -> None:
        """Fill out = x scale + shift, with scale = gamma rstd and shift = beta - mean scale."""
        scale = np.multiply(at.gamma, at.rstd)
        shift = np.multiply(at.mean, scale)
        np.subtract(at.beta, shift, out=shift)
        np.multiply(at.x, self.wide(scale), out=out)
        np.add(out, self.wide(shift), out=out)

    @rule("gamma", "rstd", products="n", workspace="i*n")
    def derivative(self, at: At, out: Array) -> None:
        """Fill out = gamma rstd, the same for every position."""
        np.copyto(out, self.wide(np.multiply(at.gamma, at.rstd)))

    @rule("gamma", "rstd", products="n + B*N*K", workspace="i*n")
    def vjp_fused(self, at: At, g: Array, out: Array) -> None:
        """Pull cotangents: out = gamma rstd g; ``out`` may be ``g``."""
        np.multiply(g, self.wide(np.multiply(at.gamma, at.rstd)), out=out)

    @rule(
        "x",
        "mean",
        "rstd",
        products="2*B*N*K",
        additions="B*N*K + n*(B*S-1)*K",
        workspace="i*(min(B, max(1, run//N))*N + min(1, max(B - max(1, run//N), 0))*n*K)",
    )
    def vjp_gamma(self, at: At, g: Array, out: Array) -> None:
        """Fill dL/dgamma = sum over samples and positions of g (x - mean) rstd, some samples at a time."""
        super().vjp_gamma(at, g, out)

    def gamma_of(self, at: At, g: Array, samples: slice, out: Array) -> None:
        """Fill out with what some samples add to dL/dgamma, for one cotangent after the other."""
        for cotangent, gradient in zip(g, out, strict=True):
            part = self._normalised(at, samples)
            np.multiply(part, cotangent[samples], out=part)
            self.sum_by_unit(part[None], gradient[None])
            del part

    @rule("x", "mean", "rstd", products="B*N + B*N*K", additions="B*N + B*N*K", workspace="i*(B*N + B*N*K)")
    def jvp_gamma(self, at: At, v: Array, out: Array) -> None:
        """Add the tangent of gamma."""
        np.add(out, np.multiply(self._normalised(at)[..., None], self.tangent(v)), out=out)

    @rule("x", "mean", "rstd", products="B*N", additions="B*N")
    def fill_birth_gamma(self, at: At, out: Array) -> None:
        """Fill dy/dgamma = (x - mean) rstd, for each channel its own."""
        xhat = out.reshape(*at.x.shape)
        np.subtract(at.x, self.wide(at.mean), out=xhat)
        np.multiply(xhat, self.wide(at.rstd), out=xhat)


class BatchNormTraining(Standardised):
    """The same with the mean and variance of the batch (algorithm 1), which couple its samples."""

    symbol_names = {"N": "N{out}", "n": "c{out}"}
    unit_axis = 0
    couples = True

    def __init__(self, shape: Shape, eps: float) -> None:
        """Take the shape of both ends and what keeps the root away from zero."""
        super().__init__(shape, (shape[0], prod(shape[1:])), (0, 2), eps)


def _build(builder: Builder, sources: tuple[Node, ...], options: dict[str, Any]) -> Node:
    shape, batch, activation = sources[0].shape, builder.spec.batch, options["activation"]
    layer: Norm = BatchNorm(shape)
    if options["statistics"] == "batch":
        if batch * prod(shape[1:]) == 1:
            raise builder.error("statistics of a batch need more than one value for each channel; raise the batch")
        layer = BatchNormTraining(shape, options["eps"])
    letter = "a" if activation == "identity" else "z"
    return activate(builder, builder.add(layer, *sources, letter=letter), activation)


BATCHNORM = LayerType(
    "batchnorm",
    {"statistics": Choice("running", ("running", "batch")), "eps": Float(1e-5), "activation": ACTIVATION_FIELD},
    _build,
)
