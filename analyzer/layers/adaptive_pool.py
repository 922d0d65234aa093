"""Adaptive average pooling: the output's size is given, and the windows follow from it."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

from gradcost.graph import At, Builder, LayerType, Linear, Node, rule
from gradcost.layers.conv import spatial
from gradcost.layers.pooling import AvgPool
from gradcost.layers.views import Identity
from gradcost.layers.windows import Windows
from gradcost.numerics import Array, np
from gradcost.spec.fields import Pair
from gradcost.units import Shape


class AdaptiveAvgPool(Linear):
    """y[i] = mean of x from floor(i H / size) to before ceil((i + 1) H / size), on both axes (as in PyTorch).

    Such windows differ in size and overlap. Symbols: N elements of an output sample, w windows, A elements in all of
    them, C channels.
    """

    symbol_names = {"N": "N{out}", "C": "c{out}", "A": "A{out}"}

    def __init__(self, shape: Shape, size: tuple[int, int]) -> None:
        """Take the input's shape (C, H, W) and the output's height and width."""
        super().__init__((shape,), (shape[0], *size))
        self.rows, self.cols = (_spans(shape[1 + i], size[i]) for i in (0, 1))

    @property
    def sizes(self) -> dict[str, int]:
        area = sum(map(_length, self.rows)) * sum(map(_length, self.cols))
        return {"N": prod(self.output), "C": self.output[0], "A": area}

    def _windows(self) -> Iterator[tuple[tuple[int, int], tuple[slice, slice], int]]:
        """Yield each window's place in the output and in the input, and its elements."""
        for i, rows in enumerate(self.rows):
            for j, cols in enumerate(self.cols):
                yield (i, j), (rows, cols), _length(rows) * _length(cols)

    @rule("x", additions="B*C*A*K - B*N*K", divisions="B*N*K")
    def primal(self, at: At, out: Array) -> None:
        for (i, j), (rows, cols), size in self._windows():
            mean = out[:, :, i, j]
            np.add.reduce(at.x[:, :, rows, cols], axis=(2, 3), out=mean)
            np.divide(mean, size, out=mean)

    @rule(additions="B*C*A*K", divisions="B*N*K", workspace="i*B*C*K")
    def vjp(self, at: At, g: Array, out: Array) -> None:
        """Pull cotangents: an equal share to each element of the window."""
        out[...] = 0.0
        for (i, j), (rows, cols), size in self._windows():
            share = np.divide(g[..., i, j], size)
            part = out[..., rows, cols]
            np.add(part, share[..., None, None], out=part)
            del share


def _spans(size: int, windows: int) -> list[slice]:
    return [slice(i * size // windows, -(-(i + 1) * size // windows)) for i in range(windows)]


def _length(span: slice) -> int:
    return int(span.stop - span.start)


def _build(builder: Builder, sources: tuple[Node, ...], options: dict[str, Any]) -> Node:
    source = spatial(builder, sources, "adaptive_avg_pool")
    size, (_, *given) = options["size"], source.shape
    if list(size) == given:
        return builder.add(Identity(source.shape), source)
    if any(have % want for have, want in zip(given, size, strict=True)):
        return builder.add(AdaptiveAvgPool(source.shape, size), source)
    kernel = (given[0] // size[0], given[1] // size[1])
    return builder.add(AvgPool(source.shape, Windows.over(source.shape, kernel, kernel, (1, 1), "valid")), source)


ADAPTIVE_AVG_POOL = LayerType("adaptive_avg_pool", {"size": Pair()}, _build)
