"""Transposed convolution: the map that pulls cotangents back through a conv2d, as a layer of its own."""

from __future__ import annotations

from math import prod, sqrt
from typing import Any

from gradcost.graph import At, Builder, Draws, Layer, LayerType, Node, rule
from gradcost.layers.activations import ACTIVATION_FIELD, activate
from gradcost.layers.conv import spatial
from gradcost.layers.windows import Axis, Windows, as_batch
from gradcost.numerics import Array, np
from gradcost.spec.fields import Bool, Int, Pair
from gradcost.units import Shape


class ConvTranspose2d(Layer):
    """y[b,k] = b[k] + sum over c, p of W[c,k] x[b,c,p], added to window p of the output (Dumoulin & Visin 2016, ch. 4).

    x (B, C, H, W), W (C, n/groups, kh, kw), b (n,). Its windows lie over the output, one for each element of the input.
    Symbols: n output channels, c = C/groups, s input positions, q = n kh kw, e = q/groups weights of an input channel,
    m = c kh kw of an output channel, N elements of an output sample, h = 1 with a bias and 0 without, P elements of a
    padded output sample (0: no padding), Q = q s elements of its columns (0: not copied). Windows that reach into the
    padding are counted whole.
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
            "q": n * kernel,
            "N": prod(self.output),
            "h": int("b" in self.parameters),
            "P": n * self.windows.padded_size,
            "Q": 0 if self.windows.trivial else n * kernel * s,
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

    def _by_group(self, x: Array) -> Array:
        """Return an input as matrices: (B, groups, c, s * tangents)."""
        return x.reshape(x.shape[0], self.groups, self.inputs[0][0] // self.groups, -1)

    def _columns(self, y: Array, tangents: int = 1) -> Array:
        """Return an output's windows as matrices: (B, groups, n/groups kh kw, s * tangents)."""
        return self.windows.columns(y).reshape(y.shape[0], self.groups, -1, prod(self.inputs[0][1:]) * tangents)

    def _spread(self, x: Array, W: Array, out: Array) -> None:
        """Fill out with the sum of what each element gives to its window."""
        transposed = self._weights(W).transpose(0, 2, 1)
        if self.windows.trivial:
            flat = out.reshape(out.shape[0], self.groups, -1, prod(x.shape[2:]))
            np.matmul(transposed, self._by_group(x), out=flat)
            return
        columns = np.matmul(transposed, self._by_group(x))
        self.windows.scatter(columns.reshape(*out.shape[:2], -1, *x.shape[2:]), out)

    @rule("x", "W", "b", macs="B*s*C*e", additions="B*s*(c-1)*q + B*Q + h*B*N", workspace="i*(B*P + B*Q)")
    def primal(self, at: At, out: Array) -> None:
        self._spread(at.x, at.W, out)
        if "b" in self.parameters:
            np.add(out, at.b[:, None, None], out=out)

    @rule("W", macs="B*s*C*e*K", additions="(B*s*(c-1)*q + B*Q)*K", workspace="i*(B*P + B*Q)*K")
    def jvp(self, at: At, t: Array, out: Array) -> None:
        """Push tangents: the same, with the tangents beside the positions."""
        self._spread(t, at.W, out)

    @rule("W", macs="B*s*C*e*K", additions="B*s*C*(e-1)*K", workspace="i*(B*P + B*Q)*K")
    def vjp(self, at: At, g: Array, out: Array) -> None:
        """Pull cotangents: a convolution."""
        np.matmul(self._weights(at.W), self._columns(as_batch(g)), out=self._by_group(as_batch(out)))

    @rule("x", macs="B*s*C*e*K", additions="B*C*e*(s-1)*K + (B-1)*C*e*K", workspace="i*(B*Q + max(B*P, B*C*e))*K")
    def vjp_W(self, at: At, g: Array, out: Array) -> None:
        """Fill dL/dW: a product for each sample, then their sum."""
        columns = self._columns(as_batch(g)).transpose(0, 1, 3, 2)
        each = np.matmul(self._by_group(at.x), columns.reshape(*g.shape[:2], *columns.shape[1:]))
        np.add.reduce(each, axis=1, out=self._weights(out))

    @rule(additions="B*N*K - n*K")
    def vjp_b(self, at: At, g: Array, out: Array) -> None:
        """Fill dL/db = sum over samples and positions of g."""
        np.add.reduce(g.reshape(*g.shape[:3], -1), axis=(1, 3), out=out)

    @rule("x", macs="B*s*C*e*K", additions="B*s*(c-1)*q*K + B*Q*K + B*N*K", workspace="i*(B*N*K + B*q*s*K + B*P*K)")
    def jvp_W(self, at: At, v: Array, out: Array) -> None:
        """Add the tangent of W."""
        tangents = v.shape[0]
        weights = self._weights(v).transpose(0, 1, 3, 2)
        columns = np.matmul(weights.reshape(tangents, 1, *weights.shape[1:]), self._by_group(at.x))
        kernel = prod(self.parameters["W"][2:])
        by_window = columns.reshape(*columns.shape[:2], self.output[0], kernel, *at.x.shape[2:])
        part = np.empty_like(out, shape=out.shape)
        if self.windows.trivial:
            np.copyto(part, by_window[:, :, :, 0].transpose(1, 2, 3, 4, 0))
        else:
            self.windows.scatter(by_window.transpose(1, 2, 3, 4, 5, 0), part)
        np.add(out, part, out=out)

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
                (into, among), (left, over) = _inside(rows, i), _inside(cols, j)
                part = whole[:, :, :, into, left, :, i, j]
                np.copyto(part, values[:, :, :, among, over])

    @rule("one")
    def birth_b(self, at: At, shape: Shape) -> Array:
        """Return dy[k,p]/db[k] = 1."""
        return np.broadcast_to(at.one, shape)


def _inside(side: Axis, offset: int) -> tuple[slice, slice]:
    """Return where element ``offset`` of the windows falls inside an axis, padding left out, and of which windows."""
    start = offset * side.dilation - side.before
    first = max(0, -(start // side.stride)) if start < 0 else 0
    last = min(side.windows, max(first, -(-(side.size - start) // side.stride)))
    if last <= first:
        return slice(0, 0), slice(0, 0)
    begin = start + first * side.stride
    return slice(begin, begin + (last - first - 1) * side.stride + 1, side.stride), slice(first, last)


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
