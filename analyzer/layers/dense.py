"""Dense: y = W x + b over the last axis."""

from __future__ import annotations

from math import prod, sqrt
from typing import Any

from gradcost.graph import At, Builder, Draws, Layer, LayerType, Node, rule
from gradcost.layers.activations import ACTIVATION_FIELD, activate
from gradcost.numerics import Array, np
from gradcost.spec.fields import Bool, Int
from gradcost.units import Shape


class Dense(Layer):
    """y[b,s,k] = sum_i W[k,i] x[b,s,i] + b[k], for x (B, S.., m), W (n, m), b (n,).

    Symbols: n units, m inputs, S positions (all axes between batch and the last), h = 1 with a bias and 0 without.
    """

    symbol_names = {"n": "n{out}", "m": "n{in}"}
    parameter_names = ("W", "b")

    def __init__(self, shape: Shape, units: int, bias: bool) -> None:
        """Take the input's shape, the number of units, and whether there is a bias."""
        super().__init__((shape,), (*shape[:-1], units))
        self.parameters = {"W": (units, shape[-1])} | ({"b": (units,)} if bias else {})

    @property
    def sizes(self) -> dict[str, int]:
        shape = self.inputs[0]
        return {"n": self.output[-1], "m": shape[-1], "S": prod(shape[:-1]), "h": int("b" in self.parameters)}

    def initial(self, name: str, draws: Draws) -> Array:
        """Draw W with variance 1/m (LeCun et al. 1998) and a small bias, so that no gradient is trivially zero."""
        shape = self.parameters[name]
        return draws.normal(shape, 1 / sqrt(shape[1]) if name == "W" else 0.1)

    @rule("x", "W", "b", says="{W} {x}[ + {b}]", macs="B*S*n*m", additions="B*S*n*(m-1) + h*B*S*n")
    def primal(self, at: At, out: Array) -> None:
        """Fill out = x W^T + b."""
        np.matmul(at.x, at.W.T, out=out)
        if "b" in self.parameters:
            np.add(out, at.b, out=out)

    @rule("W", says="{W} {g}", macs="B*S*n*m*K", additions="B*S*n*(m-1)*K")
    def jvp(self, at: At, t: Array, out: Array) -> None:
        """Push tangents: out[..., k, K] = sum_i W[k,i] t[..., i, K]."""
        np.matmul(at.W, t, out=out)

    @rule("W", says="{W} {g}", products="B*S*n*m*r")
    def jvp_compact(self, at: At, c: Array, out: Array) -> None:
        """Push a Jacobian that is diagonal in the input's units: a broadcast product and no sum."""
        n, m = at.W.shape[-2:]
        np.multiply(at.W[..., None], c[..., None, :, :], out=out.reshape(*c.shape[:-2], n, m, c.shape[-1]))

    @rule("W", says="{W}")
    def jvp_unit(self, at: At, c: Array, out: Array) -> None:
        """Push a Jacobian that is the identity in the input's units: a copy of W for each position."""
        np.copyto(out, at.W)

    @rule("W", says="{g} {W}", products="B*S*n*m")
    def fold(self, at: At, d: Array, out: Array) -> None:
        """Fold the slope of the activation behind into W: out[b,s,k,i] = d[b,s,k] W[k,i], for the pushes to read."""
        np.multiply(at.W, d[..., None], out=out)

    @rule("W", says="{W}^T {g}", macs="B*S*n*m*K", additions="B*S*m*(n-1)*K")
    def vjp(self, at: At, g: Array, out: Array) -> None:
        """Pull cotangents: out = W^T g."""
        np.matmul(g, at.W, out=out)

    @rule("x", says="{g} {x}^T", macs="B*S*n*m*K", additions="n*m*(B*S-1)*K")
    def vjp_W(self, at: At, g: Array, out: Array) -> None:
        """Fill dL/dW = sum over samples and positions of g x^T."""
        cotangents, n, m = out.shape
        np.matmul(g.reshape(cotangents, -1, n).transpose(0, 2, 1), at.x.reshape(-1, m), out=out)

    @rule(says="{g}", additions="n*(B*S-1)*K")
    def vjp_b(self, at: At, g: Array, out: Array) -> None:
        """Fill dL/db = sum over samples and positions of g."""
        np.add.reduce(g.reshape(out.shape[0], -1, out.shape[1]), axis=1, out=out)

    @rule("x", says="{g} {x}", macs="B*S*n*m*K", additions="B*S*n*(m-1)*K + B*S*n*K", workspace="i*B*S*n*K")
    def jvp_W(self, at: At, v: Array, out: Array) -> None:
        """Add the tangent of W: out[..., k, K] += sum_i v[K,k,i] x[..., i], as one matrix product."""
        k, n, m = v.shape
        dot = np.matmul(v.reshape(k * n, m), at.x.reshape(-1, m).T)
        flat = out.reshape(-1, n, k)
        np.add(flat, dot.reshape(k, n, -1).transpose(2, 1, 0), out=flat)

    @rule(says="{g}", additions="B*S*n*K")
    def jvp_b(self, at: At, v: Array, out: Array) -> None:
        """Add the tangent of b."""
        np.add(out, v.T, out=out)

    @rule("x", says="{x}^T for each unit")
    def birth_W(self, at: At, shape: Shape) -> Array:
        """Return dy[k]/dW[k,i] = x[i]: the same row for each unit, so a view of x."""
        return np.broadcast_to(at.x[..., None, :], shape)

    @rule("one", says="1 for each unit")
    def birth_b(self, at: At, shape: Shape) -> Array:
        """Return dy[k]/db[k] = 1."""
        return np.broadcast_to(at.one, shape)


def _build(builder: Builder, sources: tuple[Node, ...], options: dict[str, Any]) -> Node:
    activation = options["activation"]
    layer = Dense(sources[0].shape, options["units"], options["bias"])
    node = builder.add(layer, *sources, letter="a" if activation == "identity" else "z")
    return activate(builder, node, activation)


DENSE = LayerType("dense", {"units": Int(), "activation": ACTIVATION_FIELD, "bias": Bool(True)}, _build)
