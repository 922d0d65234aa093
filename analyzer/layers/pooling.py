"""Pooling: the largest or the mean element of each window."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat
from math import prod
from typing import Any

from gradcost.graph import At, Builder, Layer, LayerType, Linear, Node, rule
from gradcost.layers.conv import check_windows, spatial
from gradcost.layers.windows import Windows, as_batch
from gradcost.numerics import Array, np
from gradcost.spec.fields import Padding, Pair
from gradcost.units import Shape


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
    """y = the largest element of each window; of equal ones, the first gets the whole derivative."""

    @rule("x", comparisons="B*N*(k-1)", workspace="i*B*P")
    def primal(self, at: At, out: Array) -> None:
        first, *others = self.windows.parts(self.windows.pad(at.x, -np.inf))
        np.copyto(out, first)
        for part in others:
            np.maximum(out, part, out=out)

    @rule(
        "x",
        "y",
        comparisons="B*N*k",
        products="B*N*k + B*N*k*K",
        additions="B*N*k + B*N*k*K",
        workspace="i*(2*B*N + B*P + B*P*K + B*N*K)",
    )
    def jvp(self, at: At, t: Array, out: Array) -> None:
        """Push tangents: those of the largest elements."""
        out[...] = 0.0
        parts = self.windows.parts(self.windows.pad(t))
        chosen = np.empty_like(out)
        free, mask = np.empty_like(at.y), np.empty_like(at.y)
        free[...] = 1.0
        for element, part in zip(self.windows.parts(self.windows.pad(at.x, -np.inf)), parts, strict=True):
            self._claim(element, at.y, free, mask)
            np.multiply(part, mask[..., None], out=chosen)
            np.add(out, chosen, out=out)

    @rule(
        "x",
        "y",
        comparisons="B*N*k*K",
        products="2*B*N*k*K",
        additions="2*B*N*k*K",
        workspace="i*(2*B*N + 2*B*P)",
    )
    def vjp(self, at: At, g: Array, out: Array) -> None:
        """Pull cotangents, one after the other: to the largest elements."""
        for cotangent, pulled in zip(g, out, strict=True):
            self._pull(at, cotangent, pulled)

    def _pull(self, at: At, g: Array, out: Array) -> None:
        free, mask = np.empty_like(at.y), np.empty_like(at.y)
        free[...] = 1.0

        def shares() -> Iterator[Array]:
            for element in self.windows.parts(self.windows.pad(at.x, -np.inf)):
                self._claim(element, at.y, free, mask)
                np.multiply(mask, g, out=mask)
                yield mask

        self.windows.add_parts(shares(), out)

    @staticmethod
    def _claim(element: Array, y: Array, free: Array, mask: Array) -> None:
        """Fill the mask with where this element is the largest and no earlier one was; those are free no more."""
        np.equal(element, y, out=mask)
        np.multiply(mask, free, out=mask)
        np.subtract(free, mask, out=free)


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
