"""Transposed convolution: the map that pulls cotangents back through a conv2d, as a layer of its own."""

from __future__ import annotations

from math import prod, sqrt
from typing import Any

from gradcost.graph import At, Builder, Draws, Layer, LayerType, Node, rule
from gradcost.layers.activations import ACTIVATION_FIELD, activate
from gradcost.layers.columns import Columns
from gradcost.layers.conv import spatial
from gradcost.layers.windows import Axis, Windows, as_batch
from gradcost.numerics import Array, np
from gradcost.spec.fields import Bool, Int, Pair
from gradcost.units import Shape


class ConvTranspose2d(Layer):
    """y[b,k] = b[k] + sum over c, p of W[c,k] x[b,c,p], added to window p of the output (Dumoulin & Visin 2016, ch. 4).

    x (B, C, H, W), W (C, n/groups, kh, kw), b (n,). Its windows lie over the output, one for each element of the input.
    Symbols: n output channels, c = C/groups, s input positions, q = n kh kw, e = q/groups weights of an input channel,
    m = c kh kw of an output channel, N elements of an output sample, h = 1 with a bias and 0 without; t, p, u and V are
    those of ``Columns``. Multiplies of windows that reach into the padding are counted whole.
    """

    symbol_names = {
        "n": "c{out}",
        "m": "m{out}",
        "s": "s{in}",
        "q": "q{out}",
        "C": "c{in}",
        "c": "d{out}",
        "e": "e{out}",
        "N": "N{out}",
    }
    unit_axis = 0
    parameter_names = ("W", "b")

    def __init__(self, shape: Shape, filters: int, windows: Windows, groups: int, bias: bool) -> None:
        """Take the input's shape (C, H, W), the output channels, the windows, the groups and the bias."""
        super().__init__((shape,), (filters, windows.rows.size, windows.cols.size))
        self.windows = windows
        self.columns = Columns(filters, windows, groups)
        self.groups = groups
        kernel = (windows.rows.kernel, windows.cols.kernel)
        self.parameters = {"W": (shape[0], filters // groups, *kernel)} | ({"b": (filters,)} if bias else {})

    @property
    def sizes(self) -> dict[str, int]:
        channels, s = self.inputs[0][0], prod(self.inputs[0][1:])
        n, kernel = self.output[0], prod(self.parameters["W"][2:])
        c = channels // self.groups
        return {
            "n": n,
            "C": channels,
            "c": c,
            "e": n * kernel // self.groups,
            "m": c * kernel,
            "s": s,
            "N": prod(self.output),
            "h": int("b" in self.parameters),
            **self.columns.sizes,
        }

    def birth_order(self, name: str) -> tuple[Shape, tuple[int, ...]]:
        """Return output channels first: each sees its own W[:, k] of its group."""
        if name != "W":
            return super().birth_order(name)
        channels, each, *kernel = self.parameters[name]
        return (self.groups, channels // self.groups, each, *kernel), (0, 2, 1, 3, 4)

    def initial(self, name: str, draws: Draws) -> Array:
        """Draw W with a variance that keeps the values' size, and a small bias."""
        shape = self.parameters[name]
        return draws.normal(shape, 1 / sqrt(prod(shape) / self.output[0]) if name == "W" else 0.1)

    def _weights(self, W: Array) -> Array:
        """Return W as matrices: (.., groups, c, n/groups kh kw)."""
        lead = W.shape[:-4]
        return W.reshape(*lead, self.groups, self.inputs[0][0] // self.groups, -1)

    @rule("x", "W", "b", macs="B*s*C*e", additions="B*s*(c-1)*q + u*B*V + h*B*N", workspace="i*u*min(B, t)*q*p")
    def primal(self, at: At, out: Array) -> None:
        self.columns.spread(self._weights(at.W), at.x, out)
        if "b" in self.parameters:
            np.add(out, at.b[:, None, None], out=out)

    @rule("W", macs="B*s*C*e*K", additions="(B*s*(c-1)*q + u*B*V)*K", workspace="i*u*min(B, t)*q*p*K")
    def jvp(self, at: At, t: Array, out: Array) -> None:
        """Push tangents: the same, with the tangents beside the positions."""
        self.columns.spread(self._weights(at.W), t, out)

    @rule("W", macs="B*s*C*e*K", additions="B*s*C*(e-1)*K", workspace="i*u*min(B*K, t)*q*p")
    def vjp(self, at: At, g: Array, out: Array) -> None:
        """Pull cotangents: a convolution."""
        self.columns.contract(self._weights(at.W), as_batch(g), as_batch(out))

    @rule(
        "x",
        macs="B*s*C*e*K",
        additions="C*e*(B*s-1)*K",
        workspace="i*min(B, t)*(max(u, min(B, t, q, s, 2) - 1)*q*p + (min(B, t, C, s, 2) - 1)*C*s)"
        " + i*min(1, max(B - t, s - p, 0))*C*e",
    )
    def vjp_W(self, at: At, g: Array, out: Array) -> None:
        """Fill dL/dW, for one cotangent after the other: x times its transposed columns (see conv2d)."""
        for cotangent, gradient in zip(g, out, strict=True):
            self.columns.outer(at.x[None], cotangent, self._weights(gradient)[None])

    @rule(additions="B*N*K - n*K")
    def vjp_b(self, at: At, g: Array, out: Array) -> None:
        """Fill dL/db = sum over samples and positions of g."""
        np.add.reduce(g.reshape(*g.shape[:3], -1), axis=(1, 3), out=out)

    @rule("x", macs="B*s*C*e*K", additions="B*s*(c-1)*q*K + B*V*K", workspace="i*min(B, t)*q*p*K")
    def jvp_W(self, at: At, v: Array, out: Array) -> None:
        """Add the tangent of W."""
        weights = self._weights(v).transpose(0, 1, 3, 2)[:, None]
        for block in self.columns.blocks(at.x.shape[0]):
            columns = np.matmul(weights, self.columns.outputs(at.x, block))
            rows, width = block.rows.stop - block.rows.start, at.x.shape[3]
            by_window = columns.reshape(*columns.shape[:2], self.output[0], -1, rows, width)
            self.columns.add(by_window.transpose(2, 3, 1, 4, 5, 0), out, block)
            del columns, by_window

    @rule(additions="B*N*K")
    def jvp_b(self, at: At, v: Array, out: Array) -> None:
        """Add the tangent of b."""
        np.add(out, v.T[:, None, None, :], out=out)

    @rule("x")
    def fill_birth_W(self, at: At, out: Array) -> None:
        """Fill dy[k,p]/dW[c,k,i] = the x[c] whose window has its element i at p, shared by the channels of a group."""
        rows, cols = self.windows.rows, self.windows.cols
        kernel = (rows.kernel, cols.kernel)
        whole = out.reshape(out.shape[0], self.groups, -1, *out.shape[2:4], self.inputs[0][0] // self.groups, *kernel)
        whole[...] = 0.0
        values = at.x.reshape(at.x.shape[0], self.groups, 1, -1, *at.x.shape[2:]).transpose(0, 1, 2, 4, 5, 3)
        for i in range(kernel[0]):
            for j in range(kernel[1]):
                (into, among), (left, over) = rows.inside(i, 0, rows.windows), cols.inside(j, 0, cols.windows)
                part = whole[:, :, :, into, left, :, i, j]
                np.copyto(part, values[:, :, :, among, over])

    @rule("one")
    def birth_b(self, at: At, shape: Shape) -> Array:
        """Return dy[k,p]/db[k] = 1."""
        return np.broadcast_to(at.one, shape)


def _build(builder: Builder, sources: tuple[Node, ...], options: dict[str, Any]) -> Node:
    source = spatial(builder, sources, "conv_transpose2d")
    groups, filters = options["groups"], options["filters"]
    if source.shape[0] % groups or filters % groups:
        raise builder.error(
            f"groups {groups} must divide both the {source.shape[0]} input channels and the {filters} filters"
        )
    rows, cols = (_axis(builder, source.shape[1 + i], *(options[name][i] for name in _GEOMETRY)) for i in (0, 1))
    activation = options["activation"]
    letter = "a" if activation == "identity" else "z"
    layer = ConvTranspose2d(source.shape, filters, Windows(rows, cols), groups, options["bias"])
    return activate(builder, builder.add(layer, source, letter=letter), activation)


def _axis(builder: Builder, size: int, kernel: int, stride: int, dilation: int, padding: int, extra: int) -> Axis:
    """Lay the windows over an axis of the output: as many as the input has elements."""
    if extra >= stride:
        raise builder.error(f"output_padding {extra} must be below the stride {stride}: more would be another window")
    made = (size - 1) * stride + dilation * (kernel - 1) + 1 - 2 * padding + extra
    if made < 1:
        raise builder.error(f"padding {padding} leaves nothing of the output; make it smaller")
    return Axis(made, kernel, stride, dilation, padding, padding)


_GEOMETRY = ("kernel", "stride", "dilation", "padding", "output_padding")
CONV_TRANSPOSE2D = LayerType(
    "conv_transpose2d",
    {
        "filters": Int(),
        "kernel": Pair(),
        "stride": Pair((1, 1)),
        "dilation": Pair((1, 1)),
        "padding": Pair((0, 0), minimum=0),
        "output_padding": Pair((0, 0), minimum=0),
        "groups": Int(1),
        "bias": Bool(True),
        "activation": ACTIVATION_FIELD,
    },
    _build,
)
