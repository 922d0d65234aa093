"""Pooling: the largest or the mean element of each window."""

from __future__ import annotations

from itertools import repeat
from math import prod
from typing import Any

from gradcost.graph import At, Builder, Layer, LayerType, Linear, Node, rule
from gradcost.layers.conv import check_windows, spatial
from gradcost.layers.windows import Windows, as_batch
from gradcost.numerics import Array, np
from gradcost.spec.fields import Padding, Pair
from gradcost.units import INDEX, MASK, Shape


class _Pool(Layer, abstract=True):
    """Symbols: N elements of an output sample, k of a window, P of a padded input sample (0: no padding)."""

    symbol_names = {"N": "N{out}", "k": "k{out}"}

    def __init__(self, shape: Shape, windows: Windows) -> None:
        """Take the input's shape (C, H, W) and the windows."""
        super().__init__((shape,), (shape[0], *windows.shape))
        self.windows = windows

    @property
    def sizes(self) -> dict[str, int]:
        kernel = self.windows.rows.kernel * self.windows.cols.kernel
        return {"N": prod(self.output), "k": kernel, "P": self.inputs[0][0] * self.windows.padded_size}


class MaxPool(_Pool):
    """y = the largest element of each window; of equal ones, the first gets the whole derivative.

    Kept for the derivative: index (B, C, \\*windows), where among its channel's H W elements each largest one stands.
    Symbols besides: c channels, A elements of one, Q of a padded one (0: no padding), o whether windows overlap.
    """

    dtypes = {"index": INDEX}

    def __init__(self, shape: Shape, windows: Windows) -> None:
        """Take the input's shape (C, H, W) and the windows."""
        super().__init__(shape, windows)
        self.aux = {"index": self.output}
        self.overlaps = any(side.stride < side.kernel for side in (windows.rows, windows.cols))

    @property
    def sizes(self) -> dict[str, int]:
        channels, height, width = self.inputs[0]
        more = {"c": channels, "A": height * width, "Q": self.windows.padded_size, "o": int(self.overlaps)}
        return {**super().sizes, **more}

    @rule("x", "index", comparisons="B*N*(k-1)", workspace="i*B*P + B*N + 8*(A + Q)")
    def primal(self, at: At, out: Array) -> None:
        """Fill out, and the index: a later element takes a window over where it is larger than all before."""
        plane = np.arange(self.sizes["A"], dtype=INDEX, like=at.index).reshape(1, 1, *self.inputs[0][1:])
        places = self.windows.parts(self.windows.pad(plane))
        parts = self.windows.parts(self.windows.pad(at.x, -np.inf))
        larger = np.empty_like(out, dtype=MASK)
        np.copyto(out, next(parts))
        np.copyto(at.index, next(places))
        for part, place in zip(parts, places, strict=True):
            np.greater(part, out, out=larger)
            np.copyto(out, part, where=larger)
            np.copyto(at.index, place, where=larger)

    @rule("index", workspace="i*B*N*K")
    def jvp(self, at: At, t: Array, out: Array) -> None:
        """Push tangents: those of the largest elements."""
        chosen = np.take_along_axis(_planes(t, 2), _planes(at.index, 2)[..., None], axis=2)
        np.copyto(out, chosen.reshape(out.shape))

    @rule("index", additions="B*N*K*o", workspace="8*B*c*o")
    def vjp(self, at: At, g: Array, out: Array) -> None:
        """Pull cotangents to the largest elements: added up where windows overlap, and else written there."""
        out[...] = 0.0
        index, shares, planes = _planes(at.index, 2), _planes(g, 3), _planes(out, 3)
        if not self.overlaps:
            np.put_along_axis(planes, index[None], shares, axis=3)
            return
        size = index.shape[0] * index.shape[1]
        channels = np.arange(size, dtype=INDEX, like=index).reshape(*index.shape[:2], 1)
        for plane, share in zip(planes, shares, strict=True):
            np.add.at(plane.reshape(size, -1), (channels, index), share)


def _planes(values: Array, axis: int) -> Array:
    """Return the view in which the two spatial axes, which are this one and the next, are one."""
    shape = values.shape
    return values.reshape(*shape[:axis], -1, *shape[axis + 2 :])


class AvgPool(Linear, _Pool):
    """y = the mean of each window, padding included."""

    @rule("x", additions="B*N*(k-1)*K", divisions="B*N*K", workspace="i*B*P*K")
    def primal(self, at: At, out: Array) -> None:
        first, *others = self.windows.parts(self.windows.pad(at.x))
        np.copyto(out, first)
        for part in others:
            np.add(out, part, out=out)
        np.divide(out, self.sizes["k"], out=out)

    @rule(additions="B*N*k*K", divisions="B*N*K", workspace="i*(B*N + B*P)*K")
    def vjp(self, at: At, g: Array, out: Array) -> None:
        """Pull cotangents: an equal share to each element of the window."""
        share = np.divide(g, self.sizes["k"])
        self.windows.add_parts(repeat(as_batch(share), self.sizes["k"]), as_batch(out))


def _build(layer: type[_Pool], what: str) -> Any:
    def build(builder: Builder, sources: tuple[Node, ...], options: dict[str, Any]) -> Node:
        source = spatial(builder, sources, what)
        stride = options["stride"] or options["kernel"]
        windows = Windows.over(source.shape, options["kernel"], stride, (1, 1), options["padding"])
        check_windows(builder, windows, source.shape)
        if max(windows.rows.before, windows.rows.after) >= windows.rows.kernel or (
            max(windows.cols.before, windows.cols.after) >= windows.cols.kernel
        ):
            raise builder.error("padding must be smaller than the kernel, or a window would hold nothing else")
        return builder.add(layer(source.shape, windows), source)

    return build


_FIELDS = {"kernel": Pair(), "stride": Pair(None), "padding": Padding("valid")}
MAX_POOL = LayerType("max_pool", _FIELDS, _build(MaxPool, "max_pool"))
AVG_POOL = LayerType("avg_pool", _FIELDS, _build(AvgPool, "avg_pool"))
