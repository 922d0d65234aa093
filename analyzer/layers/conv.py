"""Convolution: conv2d, and conv1d as a conv2d of one row. Runs as matrix products over columns."""

from __future__ import annotations

from math import prod, sqrt
from typing import Any

from gradcost.graph import At, Builder, Draws, Layer, LayerType, Node, rule
from gradcost.layers.activations import ACTIVATION_FIELD, activate
from gradcost.layers.columns import Block, Columns
from gradcost.layers.views import Reshape
from gradcost.layers.windows import Windows, as_batch
from gradcost.numerics import Array, np
from gradcost.spec.fields import Bool, Int, Padding, Pair
from gradcost.units import Shape


class Conv2d(Layer):
    """y[b,k,p] = sum_i W[k,i] x[b, window p, i] + b[k], for x (B, C, H, W), W (n, C/groups, kh, kw), b (n,).

    Symbols: n output channels, m = C/groups kh kw weights of each, s output positions, d = n/groups, q = C kh kw,
    h = 1 with a bias and 0 without; t, p, u and V are those of ``Columns``. Multiplies of windows that reach into the
    padding are counted whole, as the reference counters do.
    """

    symbol_names = {"n": "c{out}", "m": "m{out}", "s": "s{out}", "d": "d{out}", "q": "q{out}"}
    unit_axis = 0
    parameter_names = ("W", "b")

    def __init__(self, shape: Shape, filters: int, windows: Windows, groups: int, bias: bool) -> None:
        """Take the input's shape (C, H, W), the output channels, the windows, the groups and the bias."""
        super().__init__((shape,), (filters, *windows.shape))
        self.windows = windows
        self.columns = Columns(shape[0], windows, groups)
        self.groups = groups
        kernel = (windows.rows.kernel, windows.cols.kernel)
        self.parameters = {"W": (filters, shape[0] // groups, *kernel)} | ({"b": (filters,)} if bias else {})

    @property
    def sizes(self) -> dict[str, int]:
        n, m, s = self.output[0], prod(self.parameters["W"][1:]), prod(self.output[1:])
        return {"n": n, "m": m, "s": s, "d": n // self.groups, "h": int("b" in self.parameters), **self.columns.sizes}

    def initial(self, name: str, draws: Draws) -> Array:
        """Draw W with variance 1/m and a small bias."""
        shape = self.parameters[name]
        return draws.normal(shape, 1 / sqrt(prod(shape[1:])) if name == "W" else 0.1)

    def _weights(self, W: Array) -> Array:
        """Return W, or several, as matrices: (.., groups, d, m)."""
        return W.reshape(*W.shape[:-4], self.groups, self.output[0] // self.groups, -1)

    @rule("x", "W", "b", macs="B*n*s*m", additions="B*n*s*(m-1) + h*B*n*s", workspace="i*u*min(B, t)*q*p")
    def primal(self, at: At, out: Array) -> None:
        self.columns.contract(self._weights(at.W), at.x, out)
        if "b" in self.parameters:
            np.add(out, at.b[:, None, None], out=out)

    @rule("W", macs="B*n*s*m*K", additions="B*n*s*(m-1)*K", workspace="i*u*min(B, t)*q*p*K")
    def jvp(self, at: At, t: Array, out: Array) -> None:
        """Push tangents: the same convolution, with the tangents beside the positions."""
        self.columns.contract(self._weights(at.W), t, out)

    @rule("W", macs="B*n*s*m*K", additions="B*q*s*(d-1)*K + u*B*V*K", workspace="i*u*min(B*K, t)*q*p")
    def vjp(self, at: At, g: Array, out: Array) -> None:
        """Pull cotangents: the columns' cotangents, added up where windows overlap."""
        self.columns.spread(self._weights(at.W), as_batch(g), as_batch(out))

    @rule(
        "x",
        macs="B*n*s*m*K",
        additions="n*m*(B*s-1)*K",
        workspace="i*min(B, t)*(max(u, min(B, t, q, s, 2) - 1)*q*p + (min(B, t, n, s, 2) - 1)*n*s*K)"
        " + i*min(1, max(B - t, s - p, 0))*n*m*K",
    )
    def vjp_W(self, at: At, g: Array, out: Array) -> None:
        """Fill dL/dW: g times the transposed columns. What a block adds to the sum is made first, where it is not the
        only one; the positions of several samples become one axis by a copy.
        """
        self.columns.outer(g, at.x, self._weights(out))

    @rule(additions="n*(B*s-1)*K")
    def vjp_b(self, at: At, g: Array, out: Array) -> None:
        """Fill dL/db = sum over samples and positions of g."""
        np.add.reduce(g.reshape(*g.shape[:3], -1), axis=(1, 3), out=out)

    @rule(
        "x",
        macs="B*n*s*m*K",
        additions="B*n*s*(m-1)*K + B*n*s*K",
        workspace="i*min(B, t)*(u*q*p + n*p*K)",
    )
    def jvp_W(self, at: At, v: Array, out: Array) -> None:
        """Add the tangent of W."""
        weights = self._weights(v)[:, None]
        for block in self.columns.blocks(at.x.shape[0]):
            self._add_tangent(weights, at.x, out[block.samples, :, block.rows], block)

    def _add_tangent(self, weights: Array, x: Array, out: Array, block: Block) -> None:
        """Add a block of tangents (K, 1, groups, d, m) of W times the columns of x."""
        part = np.matmul(weights, self.columns.matrices(self.columns.of(x, block)))
        np.add(out, part.reshape(-1, *out.shape[:4]).transpose(1, 2, 3, 4, 0), out=out)

    @rule(additions="B*n*s*K")
    def jvp_b(self, at: At, v: Array, out: Array) -> None:
        """Add the tangent of b."""
        np.add(out, v.T[:, None, None, :], out=out)

    @rule("x", workspace="i*u*min(B, t)*q*p")
    def fill_birth_W(self, at: At, out: Array) -> None:
        """Fill dy[k,p]/dW[k,i] = x[window p, i], which each channel of a group shares."""
        whole = out.reshape(out.shape[0], self.groups, self.output[0] // self.groups, *self.output[1:], -1)
        for block in self.columns.blocks(at.x.shape[0]):
            part = whole[block.samples, :, :, block.rows]
            columns = self.columns.matrices(self.columns.of(at.x, block)).transpose(0, 1, 3, 2)
            np.copyto(part, columns.reshape(*part.shape[:2], 1, *part.shape[3:]))
            del columns

    @rule("one")
    def birth_b(self, at: At, shape: Shape) -> Array:
        """Return dy[k,p]/db[k] = 1."""
        return np.broadcast_to(at.one, shape)


def _convolve(builder: Builder, source: Node, options: dict[str, Any], letter: str) -> Node:
    """Add a conv2d to (C, H, W), or refuse what does not fit."""
    shape, groups, filters = source.shape, options["groups"], options["filters"]
    if shape[0] % groups or filters % groups:
        raise builder.error(f"groups {groups} must divide both the {shape[0]} input channels and the {filters} filters")
    windows = Windows.over(shape, options["kernel"], options["stride"], options["dilation"], options["padding"])
    check_windows(builder, windows, shape)
    return builder.add(Conv2d(shape, filters, windows, groups, options["bias"]), source, letter=letter)


def check_windows(builder: Builder, windows: Windows, shape: Shape) -> None:
    """Refuse windows that do not fit into the input. Raises ``SpecError``."""
    if min(windows.shape) < 1:
        kernel = [windows.rows.kernel, windows.cols.kernel]
        raise builder.error(f"kernel {kernel} does not fit into {list(shape[-2:])}; make it smaller, or add padding")


def spatial(builder: Builder, sources: tuple[Node, ...], what: str, rank: int = 3) -> Node:
    """Return the one source, of shape (C, H, W), or (C, T) for rank 2. Raises ``SpecError`` for another rank."""
    (source,) = sources
    if len(source.shape) != rank:
        axes = "[channels, height, width]" if rank == 3 else "[channels, steps]"
        raise builder.error(f"{what} reads {axes}, not {list(source.shape)}; put a reshape before it")
    return source


def _letter(options: dict[str, Any]) -> str:
    return "a" if options["activation"] == "identity" else "z"


def _conv2d(builder: Builder, sources: tuple[Node, ...], options: dict[str, Any]) -> Node:
    source = spatial(builder, sources, "conv2d")
    return activate(builder, _convolve(builder, source, options, _letter(options)), options["activation"])


def _conv1d(builder: Builder, sources: tuple[Node, ...], options: dict[str, Any]) -> Node:
    source = spatial(builder, sources, "conv1d", rank=2)
    options["kernel"] = (1, options["kernel"])
    options["stride"] = (1, options["stride"])
    options["dilation"] = (1, options["dilation"])
    if not isinstance(options["padding"], str):
        options["padding"] = (0, options["padding"][1])
    row = builder.add(Reshape(source.shape, (source.shape[0], 1, source.shape[1])), source, letter="s")
    node = _convolve(builder, row, options, "s")
    flat = builder.add(Reshape(node.shape, (node.shape[0], node.shape[2])), node, letter=_letter(options))
    return activate(builder, flat, options["activation"])


_COMMON = {
    "filters": Int(),
    "padding": Padding("valid"),
    "groups": Int(1),
    "bias": Bool(True),
    "activation": ACTIVATION_FIELD,
}
CONV2D = LayerType("conv2d", {"kernel": Pair(), "stride": Pair((1, 1)), "dilation": Pair((1, 1)), **_COMMON}, _conv2d)
CONV1D = LayerType("conv1d", {"kernel": Int(), "stride": Int(1), "dilation": Int(1), **_COMMON}, _conv1d)
