"""Sliding windows over the last two spatial axes: the geometry that convolution and pooling share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gradcost.numerics import Array, np
from gradcost.units import Shape

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Axis:
    """Windows along one axis.

    Attributes:
        size: of the input.
        kernel: elements in a window.
        stride: between neighbouring windows.
        dilation: between neighbouring elements of a window.
        before: padding in front.
        after: padding behind.
    """

    size: int
    kernel: int
    stride: int
    dilation: int
    before: int
    after: int

    @property
    def padded(self) -> int:
        """The size with padding."""
        return self.size + self.before + self.after

    @property
    def windows(self) -> int:
        """How many windows there are: the output's size (Dumoulin & Visin 2016, relationship 15)."""
        return (self.padded - self.dilation * (self.kernel - 1) - 1) // self.stride + 1

    def take(self, offset: int) -> slice:
        """Return where element ``offset`` of each window stands in the padded input."""
        start = offset * self.dilation
        return slice(start, start + (self.windows - 1) * self.stride + 1, self.stride)

    def inside(self, offset: int, first: int, end: int) -> tuple[slice, slice]:
        """Return where element ``offset`` of the windows from ``first`` on, up to ``end``, falls inside the input,
        padding left out, and of which of these windows.
        """
        start = offset * self.dilation - self.before
        first_in = max(first, -(start // self.stride))
        last_in = min(end, -(-(self.size - start) // self.stride))
        if last_in <= first_in:
            return slice(0, 0), slice(0, 0)
        begin = start + first_in * self.stride
        taken = slice(begin, begin + (last_in - first_in - 1) * self.stride + 1, self.stride)
        return taken, slice(first_in - first, last_in - first)


def axis(size: int, kernel: int, stride: int, dilation: int, padding: str | int) -> Axis:
    """Lay windows along an axis; ``same`` pads to one window for each stride, the odd element behind."""
    if padding == "same":
        reach = (-(-size // stride) - 1) * stride + dilation * (kernel - 1) + 1
        total = max(reach - size, 0)
        return Axis(size, kernel, stride, dilation, total // 2, total - total // 2)
    each = 0 if isinstance(padding, str) else padding
    return Axis(size, kernel, stride, dilation, each, each)


def as_batch(cotangents: Array) -> Array:
    """Return K cotangents (K, B, ...) as one larger batch (K B, ...): a window looks into one sample alone."""
    return cotangents.reshape(-1, *cotangents.shape[2:])


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows over (B, C, H, W, ...): any axes behind W, such as that of the tangents, are carried along."""

    rows: Axis
    cols: Axis

    @classmethod
    def over(cls, shape: Shape, kernel: Pair, stride: Pair, dilation: Pair, padding: str | Pair) -> Windows:
        """Lay windows over the last two axes of a per-sample shape."""
        sides = (padding, padding) if isinstance(padding, str) else padding
        rows, cols = (axis(shape[i - 2], kernel[i], stride[i], dilation[i], sides[i]) for i in (0, 1))
        return cls(rows, cols)

    @property
    def shape(self) -> Pair:
        """The output's spatial shape."""
        return self.rows.windows, self.cols.windows

    @property
    def pads(self) -> bool:
        """Whether there is any padding."""
        return self.rows.padded > self.rows.size or self.cols.padded > self.cols.size

    @property
    def trivial(self) -> bool:
        """Whether each window is one element, and each element has one window."""
        sides = (self.rows, self.cols)
        return not self.pads and all(side.kernel == side.stride == 1 for side in sides)

    @property
    def padded_size(self) -> int:
        """Elements of a padded channel; 0 where there is no padding, and so no copy."""
        return self.rows.padded * self.cols.padded if self.pads else 0

    def pad(self, x: Array, value: float = 0.0) -> Array:
        """Return x with padding around: x itself where there is none."""
        if not self.pads:
            return x
        padded = np.empty_like(x, shape=(*x.shape[:2], self.rows.padded, self.cols.padded, *x.shape[4:]))
        padded[...] = value
        self.inside(padded)[...] = x
        return padded

    def inside(self, padded: Array) -> Array:
        """Return the view of a padded array that is its input."""
        rows, cols = self.rows, self.cols
        inside: Array = padded[:, :, rows.before : rows.before + rows.size, cols.before : cols.before + cols.size]
        return inside

    def parts(self, padded: Array) -> Iterator[Array]:
        """Yield, for each element of a window in turn, the view of it in every window: (B, C, \\*windows, ...)."""
        for i in range(self.rows.kernel):
            for j in range(self.cols.kernel):
                yield padded[:, :, self.rows.take(i), self.cols.take(j)]

    def add_parts(self, values: Iterable[Array], out: Array) -> None:
        """Fill out with the sum of what each element of a window gives to each window: the transpose of ``parts``."""
        out[...] = 0.0
        target = self.pad(out)
        for part, value in zip(self.parts(target), values, strict=True):
            np.add(part, value, out=part)
        if self.pads:
            out[...] = self.inside(target)
