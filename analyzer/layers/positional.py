"""Learned rows: positional adds one to each position, class_token puts one in front."""

from __future__ import annotations

from typing import Any

from gradcost.graph import At, Builder, Draws, Layer, LayerType, Node, rule
from gradcost.numerics import Array, np
from gradcost.units import Shape


class Positional(Layer):
    """y[b] = x[b] + P, for x (B, \\*shape) and P of that shape. Symbols: N elements of a sample."""

    in_place = True
    parameter_names = ("P",)

    def __init__(self, shape: Shape) -> None:
        """Take the shape of both ends."""
        super().__init__((shape,), shape)
        self.parameters = {"P": shape}

    def birth_axes(self, name: str) -> tuple[int, int]:
        """Return all axes: each element sees its own entry of P."""
        return 0, len(self.output)

    def initial(self, name: str, draws: Draws) -> Array:
        """Draw small values."""
        return draws.normal(self.parameters[name], 0.1)

    @rule("x", "P", additions="B*N")
    def primal(self, at: At, out: Array) -> None:
        np.add(at.x, at.P, out=out)

    @rule()
    def jvp(self, at: At, t: Array, out: Array) -> None:
        """Copy the tangents."""
        np.copyto(out, t)

    @rule()
    def vjp(self, at: At, g: Array, out: Array) -> None:
        """Copy the cotangents."""
        np.copyto(out, g)

    @rule(additions="N*(B-1)*K")
    def vjp_P(self, at: At, g: Array, out: Array) -> None:
        """Fill dL/dP = sum over samples of g."""
        np.add.reduce(g, axis=1, out=out)

    @rule(additions="B*N*K")
    def jvp_P(self, at: At, v: Array, out: Array) -> None:
        """Add the tangent of P."""
        np.add(out, v.transpose(*range(1, len(v.shape)), 0), out=out)

    @rule("one")
    def birth_P(self, at: At, shape: Shape) -> Array:
        """Return dy/dP = 1, each element its own."""
        return np.broadcast_to(at.one, shape)


class ClassToken(Layer):
    """y[b] = [c; x[b,0]; x[b,1]; ...], for x (B, S, n) and a learned row c (n,) (Dosovitskiy et al. 2020).

    Symbols: n units.
    """

    symbol_names = {"n": "n{out}"}
    parameter_names = ("c",)

    def __init__(self, shape: Shape) -> None:
        """Take the input's shape (S, n)."""
        super().__init__((shape,), (shape[0] + 1, shape[1]))
        self.parameters = {"c": shape[1:]}

    @property
    def sizes(self) -> dict[str, int]:
        return {"n": self.output[-1]}

    def initial(self, name: str, draws: Draws) -> Array:
        """Draw normal values."""
        return draws.normal(self.parameters[name])

    @rule("x", "c")
    def primal(self, at: At, out: Array) -> None:
        """Copy both."""
        np.copyto(out[:, 0], at.c)
        np.copyto(out[:, 1:], at.x)

    @rule()
    def jvp(self, at: At, t: Array, out: Array) -> None:
        """Copy the tangents; the token's row has none yet."""
        out[:, 0] = 0.0
        np.copyto(out[:, 1:], t)

    @rule()
    def vjp(self, at: At, g: Array, out: Array) -> None:
        """Copy the cotangents of x."""
        np.copyto(out, g[:, :, 1:])

    @rule(additions="n*(B-1)*K")
    def vjp_c(self, at: At, g: Array, out: Array) -> None:
        """Fill dL/dc = sum over samples of the first row of g."""
        np.add.reduce(g[:, :, 0], axis=1, out=out)

    @rule(additions="B*n*K")
    def jvp_c(self, at: At, v: Array, out: Array) -> None:
        """Add the tangent of c to the first row."""
        row = out[:, 0]
        np.add(row, v.T, out=row)

    @rule()
    def fill_birth_c(self, at: At, out: Array) -> None:
        """Fill dy[0]/dc = 1, and 0 in all other rows."""
        out[...] = 0.0
        out[:, 0] = 1.0


def _positional(builder: Builder, sources: tuple[Node, ...], options: dict[str, Any]) -> Node:
    return builder.add(Positional(sources[0].shape), *sources)


def _class_token(builder: Builder, sources: tuple[Node, ...], options: dict[str, Any]) -> Node:
    (source,) = sources
    if len(source.shape) != 2:
        raise builder.error(f"class_token reads [positions, units], not {list(source.shape)}; put a reshape before it")
    return builder.add(ClassToken(source.shape), source)


POSITIONAL = LayerType("positional", {}, _positional)
CLASS_TOKEN = LayerType("class_token", {}, _class_token)
