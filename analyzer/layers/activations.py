"""Elementwise activations: y = f(x), each with its derivative d = f'(x), and the `activation` layer."""

from __future__ import annotations

import math
from typing import Any

from gradcost.graph import At, Builder, Elementwise, LayerType, Node, rule
from gradcost.layers.softmax import Softmax
from gradcost.layers.views import Identity
from gradcost.numerics import Array, np
from gradcost.spec.fields import Choice, Float
from gradcost.units import Shape


class Sigmoid(Elementwise):
    """y = 1 / (1 + exp(-x)); d = y (1 - y)."""

    @rule("x", special="B*N", additions="2*B*N", divisions="B*N")
    def primal(self, at: At, out: Array) -> None:
        """Fill out; exp(-x) may overflow to inf, and 1/inf is the right limit."""
        _sigmoid(at.x, out)

    @rule("y", says="{y} (1 - {y})", products="B*N", additions="B*N")
    def derivative(self, at: At, out: Array) -> None:
        """Fill out = y (1 - y)."""
        np.subtract(1.0, at.y, out=out)
        np.multiply(out, at.y, out=out)


class Tanh(Elementwise):
    """y = tanh(x); d = 1 - y^2."""

    @rule("x", special="B*N")
    def primal(self, at: At, out: Array) -> None:
        np.tanh(at.x, out=out)

    @rule("y", says="1 - {y}^2", products="B*N", additions="B*N")
    def derivative(self, at: At, out: Array) -> None:
        """Fill out = 1 - y^2."""
        np.multiply(at.y, at.y, out=out)
        np.subtract(1.0, out, out=out)


class Relu(Elementwise):
    """y = max(x, 0); d = [y > 0], with d = 0 at the kink."""

    @rule("x", says="max({x}, 0)", comparisons="B*N")
    def primal(self, at: At, out: Array) -> None:
        np.maximum(at.x, 0.0, out=out)

    @rule("y", says="1 where {y} > 0, else 0", comparisons="B*N")
    def derivative(self, at: At, out: Array) -> None:
        """Fill out with 0 and 1."""
        np.greater(at.y, 0.0, out=out)


class LeakyRelu(Elementwise):
    """y = max(x, slope x) for 0 <= slope < 1 (Maas et al. 2013); d = 1 where y > 0, slope elsewhere."""

    def __init__(self, shape: Shape, negative_slope: float = 0.01) -> None:
        """Take the shape and the slope for negative x."""
        super().__init__(shape)
        self.negative_slope = negative_slope

    @rule("x", comparisons="B*N", products="B*N", workspace="i*B*N")
    def primal(self, at: At, out: Array) -> None:
        leak = np.multiply(at.x, self.negative_slope)
        np.maximum(at.x, leak, out=out)

    @rule("y", comparisons="B*N", products="B*N", additions="B*N")
    def derivative(self, at: At, out: Array) -> None:
        """Fill out = slope + (1 - slope) [y > 0]: y has the sign of x, or is 0 below."""
        np.greater(at.y, 0.0, out=out)
        np.multiply(out, 1.0 - self.negative_slope, out=out)
        np.add(out, self.negative_slope, out=out)


class Gelu(Elementwise):
    """y = x Phi(x), with Phi the normal distribution function, by erf (Hendrycks & Gimpel 2016)."""

    in_place = False

    @rule("x", special="B*N", products="3*B*N", additions="B*N")
    def primal(self, at: At, out: Array) -> None:
        """Fill out = x (0.5 + 0.5 erf(x / sqrt 2)); x is read last."""
        _normal_cdf(at.x, out)
        np.multiply(out, at.x, out=out)

    @rule("x", special="2*B*N", products="6*B*N", additions="2*B*N", workspace="i*B*N")
    def derivative(self, at: At, out: Array) -> None:
        """Fill out = Phi(x) + x phi(x), with phi the normal density."""
        density = np.multiply(at.x, at.x)
        np.multiply(density, -0.5, out=density)
        np.exp(density, out=density)
        np.multiply(density, 1 / math.sqrt(2 * math.pi), out=density)
        np.multiply(density, at.x, out=density)
        _normal_cdf(at.x, out)
        np.add(out, density, out=out)


class Silu(Elementwise):
    """y = x sigmoid(x) (Elfwing et al. 2018)."""

    in_place = False

    @rule("x", special="B*N", additions="2*B*N", divisions="B*N", products="B*N")
    def primal(self, at: At, out: Array) -> None:
        """Fill out; x is read last."""
        _sigmoid(at.x, out)
        np.multiply(out, at.x, out=out)

    @rule("x", special="B*N", additions="4*B*N", divisions="B*N", products="2*B*N", workspace="i*B*N")
    def derivative(self, at: At, out: Array) -> None:
        """Fill out = s (1 + x (1 - s)), with s = sigmoid(x)."""
        _sigmoid(at.x, out)
        inner = np.subtract(1.0, out)
        np.multiply(inner, at.x, out=inner)
        np.add(inner, 1.0, out=inner)
        np.multiply(out, inner, out=out)


class Softplus(Elementwise):
    """y = log(1 + exp(x)) = max(x, 0) + log1p(exp(-|x|)); d = 1 - exp(-y)."""

    @rule("x", special="2*B*N", additions="2*B*N", comparisons="2*B*N", workspace="i*B*N")
    def primal(self, at: At, out: Array) -> None:
        tail = np.absolute(at.x)
        np.negative(tail, out=tail)
        np.exp(tail, out=tail)
        np.log1p(tail, out=tail)
        np.maximum(at.x, 0.0, out=out)
        np.add(out, tail, out=out)

    @rule("y", special="B*N", additions="2*B*N")
    def derivative(self, at: At, out: Array) -> None:
        """Fill out = -expm1(-y) = sigmoid(x)."""
        np.negative(at.y, out=out)
        np.expm1(out, out=out)
        np.negative(out, out=out)


class Relu6(Elementwise):
    """y = min(max(x, 0), 6) (Howard et al. 2017); d = [0 < y < 6]."""

    @rule("x", comparisons="2*B*N")
    def primal(self, at: At, out: Array) -> None:
        np.maximum(at.x, 0.0, out=out)
        np.minimum(out, 6.0, out=out)

    @rule("y", comparisons="2*B*N", products="B*N", workspace="i*B*N")
    def derivative(self, at: At, out: Array) -> None:
        """Fill out with 0 and 1."""
        _between(at.y, 0.0, 6.0, out)


class HardSigmoid(Elementwise):
    """y = min(max(x + 3, 0), 6) / 6 (Howard et al. 2019); d = [0 < y < 1] / 6."""

    @rule("x", additions="B*N", comparisons="2*B*N", divisions="B*N")
    def primal(self, at: At, out: Array) -> None:
        _hard_sigmoid(at.x, out)

    @rule("y", comparisons="2*B*N", products="B*N", divisions="B*N", workspace="i*B*N")
    def derivative(self, at: At, out: Array) -> None:
        _between(at.y, 0.0, 1.0, out)
        np.divide(out, 6.0, out=out)


class HardSwish(Elementwise):
    """y = x hard_sigmoid(x) (Howard et al. 2019); d = hard_sigmoid(x) + x [-3 < x < 3] / 6."""

    in_place = False

    @rule("x", additions="B*N", comparisons="2*B*N", divisions="B*N", products="B*N")
    def primal(self, at: At, out: Array) -> None:
        """Fill out; x is read last."""
        _hard_sigmoid(at.x, out)
        np.multiply(out, at.x, out=out)

    @rule("x", additions="2*B*N", comparisons="4*B*N", divisions="2*B*N", products="2*B*N", workspace="2*i*B*N")
    def derivative(self, at: At, out: Array) -> None:
        slope = np.empty_like(out)
        _between(at.x, -3.0, 3.0, slope)
        np.multiply(slope, at.x, out=slope)
        np.divide(slope, 6.0, out=slope)
        _hard_sigmoid(at.x, out)
        np.add(out, slope, out=out)


def _hard_sigmoid(x: Array, out: Array) -> None:
    np.add(x, 3.0, out=out)
    np.maximum(out, 0.0, out=out)
    np.minimum(out, 6.0, out=out)
    np.divide(out, 6.0, out=out)


def _between(x: Array, low: float, high: float, out: Array) -> None:
    """Fill out with 1 where low < x < high, and 0 elsewhere."""
    below = np.empty_like(out)
    np.less(x, high, out=below)
    np.greater(x, low, out=out)
    np.multiply(out, below, out=out)


def _sigmoid(x: Array, out: Array) -> None:
    np.negative(x, out=out)
    np.exp(out, out=out)
    np.add(out, 1.0, out=out)
    np.divide(1.0, out, out=out)


_erf: Any = None


def _normal_cdf(x: Array, out: Array) -> None:
    """Fill out = 0.5 + 0.5 erf(x / sqrt 2); numpy has no erf, so Python's becomes a ufunc."""
    global _erf
    if _erf is None:
        _erf = np.frompyfunc(math.erf, 1, 1)
    np.multiply(x, 1 / math.sqrt(2), out=out)
    _erf(out, out=out, casting="unsafe")
    np.multiply(out, 0.5, out=out)
    np.add(out, 0.5, out=out)


_ELEMENTWISE: dict[str, type[Elementwise]] = {
    "sigmoid": Sigmoid,
    "tanh": Tanh,
    "relu": Relu,
    "relu6": Relu6,
    "hardsigmoid": HardSigmoid,
    "hardswish": HardSwish,
    "leaky_relu": LeakyRelu,
    "gelu": Gelu,
    "silu": Silu,
    "softplus": Softplus,
}
ACTIVATIONS = (*_ELEMENTWISE, "softmax", "identity")
ACTIVATION_FIELD = Choice("identity", ACTIVATIONS)


def activate(builder: Builder, node: Node, activation: str, *, step: int | None = None, **options: float) -> Node:
    """Add an activation to the layer being built; the identity adds nothing."""
    if activation == "identity":
        return node
    if activation == "softmax":
        return builder.add(Softmax(node.shape), node, step=step)
    return builder.add(_ELEMENTWISE[activation](node.shape, **options), node, step=step)


def _build(builder: Builder, sources: tuple[Node, ...], options: dict[str, Any]) -> Node:
    activation, slope = options["activation"], options["negative_slope"]
    if activation == "identity":
        return builder.add(Identity(sources[0].shape), *sources)
    if slope is None:
        return activate(builder, sources[0], activation)
    if activation != "leaky_relu":
        raise builder.error("negative_slope goes with `activation: leaky_relu` alone; remove it")
    return activate(builder, sources[0], activation, negative_slope=slope)


ACTIVATION = LayerType(
    "activation",
    {"activation": Choice(allowed=ACTIVATIONS), "negative_slope": Float(None, below=1.0)},
    _build,
)
