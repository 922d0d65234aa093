"""Convolution: conv2d, and conv1d as a conv2d of one row. Runs as one matrix product over strided windows."""

from __future__ import annotations

from math import prod, sqrt
from typing import Any

from gradcost.graph import At, Builder, Draws, Layer, LayerType, Node, rule
from gradcost.layers.activations import ACTIVATION_FIELD, activate
from gradcost.layers.views import Reshape
from gradcost.layers.windows import Windows, as_batch
from gradcost.numerics import Array, np
from gradcost.spec.fields import Bool, Int, Padding, Pair
from gradcost.units import Shape


class Conv2d(Layer):
    """y[b,k,p] = sum_i W[k,i] x[b, window p, i] + b[k], for x (B, C, H, W), W (n, C/groups, kh, kw), b (n,).

    Symbols: n output channels, m = C/groups kh kw weights of each, s output positions, d = n/groups, q = C kh kw,
    h = 1 with a bias and 0 without, P elements of a padded sample, Q elements of its columns (0: not copied). Windows
    that reach into the padding are counted whole, as the reference counters do.
    """

    symbol_names = {"n": "c{out}", "m": "m{out}", "s": "s{out}", "d": "d{out}", "q": "q{out}"}
    unit_axis = 0
    parameter_names = ("W", "b")

    def __init__(self, shape: Shape, filters: int, windows: Windows, groups: int, bias: bool) -> None:
        """Take the input's shape (C, H, W), the output channels, the windows, the groups and the bias."""
        super().__init__((shape,), (filters, *windows.shape))
        self.windows = windows
        self.groups = groups
        kernel = (windows.rows.kernel, windows.cols.kernel)
        self.parameters = {"W": (filters, shape[0] // groups, *kernel)} | ({"b": (filters,)} if bias else {})

    @property
    def sizes(self) -> dict[str, int]:
        channels, windows = self.inputs[0][0], self.windows
        n, m, s = self.output[0], prod(self.parameters["W"][1:]), prod(self.output[1:])
        return {
            "n": n,
            "m": m,
            "s": s,
            "d": n // self.groups,
            "q": m * self.groups,
            "h": int("b" in self.parameters),
            "P": channels * windows.padded_size,
            "Q": 0 if windows.trivial else m * self.groups * s,
        }

    def initial(self, name: str, draws: Draws) -> Array:
        """Draw W with variance 1/m and a small bias."""
        shape = self.parameters[name]
        return draws.normal(shape, 1 / sqrt(prod(shape[1:])) if name == "W" else 0.1)

    def _columns(self, x: Array, tangents: int = 1) -> Array:
        """Return the windows as matrices: (B, groups, m, s * tangents)."""
        m, s = prod(self.parameters["W"][1:]), prod(self.output[1:])
        return self.windows.columns(x).reshape(x.shape[0], self.groups, m, s * tangents)

    def _by_group(self, y: Array) -> Array:
        """Return an output as matrices: (B, groups, d, s * tangents)."""
        return y.reshape(y.shape[0], self.groups, self.output[0] // self.groups, -1)

    def _weights(self, W: Array) -> Array:
        """Return W as matrices: (groups, d, m)."""
        return W.reshape(self.groups, self.output[0] // self.groups, -1)

    @rule("x", "W", "b", macs="B*n*s*m", additions="B*n*s*(m-1) + h*B*n*s", workspace="i*(B*P + B*Q)")
    def primal(self, at: At, out: Array) -> None:
        np.matmul(self._weights(at.W), self._columns(at.x), out=self._by_group(out))
        if "b" in self.parameters:
            np.add(out, at.b[:, None, None], out=out)

    @rule("W", macs="B*n*s*m*K", additions="B*n*s*(m-1)*K", workspace="i*(B*P + B*Q)*K")
    def jvp(self, at: At, t: Array, out: Array) -> None:
        """Push tangents: the same convolution, with the tangents beside the positions."""
        np.matmul(self._weights(at.W), self._columns(t, t.shape[-1]), out=self._by_group(out))

    @rule("W", macs="B*n*s*m*K", additions="B*q*s*(d-1)*K + B*Q*K", workspace="i*(B*P + B*Q)*K")
    def vjp(self, at: At, g: Array, out: Array) -> None:
        """Pull cotangents: the columns' cotangents, added up where windows overlap."""
        transposed = self._weights(at.W).transpose(0, 2, 1)
        pulled, by_group = as_batch(out), self._by_group(as_batch(g))
        if self.windows.trivial:
            np.matmul(
                transposed, by_group, out=pulled.reshape(pulled.shape[0], self.groups, -1, prod(pulled.shape[2:]))
            )
            return
        columns = np.matmul(transposed, by_group)
        self.windows.scatter(columns.reshape(*pulled.shape[:2], -1, *self.output[1:]), pulled)

    @rule(
        "x",
        macs="B*n*s*m*K",
        additions="B*n*m*(s-1)*K + (B-1)*n*m*K",
        workspace="i*(B*Q + max(B*P, B*n*m*K))",
    )
    def vjp_W(self, at: At, g: Array, out: Array) -> None:
        """Fill dL/dW: a product for each sample, then their sum."""
        columns = self._columns(at.x)
        by_group = g.reshape(*g.shape[:2], self.groups, self.output[0] // self.groups, -1)
        each = np.matmul(by_group, columns.transpose(0, 1, 3, 2))
        np.add.reduce(each, axis=1, out=out.reshape(out.shape[0], *each.shape[2:]))

    @rule(additions="n*(B*s-1)*K")
    def vjp_b(self, at: At, g: Array, out: Array) -> None:
        """Fill dL/db = sum over samples and positions of g."""
        np.add.reduce(g.reshape(*g.shape[:3], -1), axis=(1, 3), out=out)

    @rule(
        "x",
        macs="B*n*s*m*K",
        additions="B*n*s*(m-1)*K + B*n*s*K",
        workspace="i*(B*Q + max(B*P, B*n*s*K))",
    )
    def jvp_W(self, at: At, v: Array, out: Array) -> None:
        """Add the tangent of W."""
        columns = self._columns(at.x)
        weights = v.reshape(v.shape[0], 1, self.groups, self.output[0] // self.groups, -1)
        part = np.matmul(weights, columns.reshape(1, *columns.shape))
        np.add(out, part.reshape(v.shape[0], *out.shape[:-1]).transpose(1, 2, 3, 4, 0), out=out)

    @rule(additions="B*n*s*K")
    def jvp_b(self, at: At, v: Array, out: Array) -> None:
        """Add the tangent of b."""
        np.add(out, v.T[:, None, None, :], out=out)

    @rule("x", workspace="i*(B*P + B*Q)")
    def fill_birth_W(self, at: At, out: Array) -> None:
        """Fill dy[k,p]/dW[k,i] = x[window p, i], which each channel of a group shares."""
        columns = self._columns(at.x).transpose(0, 1, 3, 2)
        d, m = self.output[0] // self.groups, prod(self.parameters["W"][1:])
        whole = out.reshape(out.shape[0], self.groups, d, -1, m)
        np.copyto(whole, columns[:, :, None])

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
