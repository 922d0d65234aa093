"""Windows as columns (im2col, Chellapilla et al. 2006), a block at a time: convolution as matrix products."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, NamedTuple

from gradcost.layers.windows import Axis, Windows
from gradcost.numerics import Array, np, runs


class Block(NamedTuple):
    """Some samples, and of each the windows of some rows."""

    samples: slice
    rows: slice


class Columns:
    """The windows over a value (B, C, H, W, ...) as the columns of a matrix, and the products of that matrix.

    The channels are those of ``groups``, one after the other. The columns of a block alone are there at once: of as
    many samples, or rows of windows of a sample, as have ``limit`` elements, and at least one. So they stay in the
    processor's cache, and neither a larger batch nor a larger picture asks for more.

    Attributes:
        limit: elements of the columns that are there at once.
        windows: where they lie.
        groups: of channels.
        column: elements of a column, all groups together.
        samples: of a block.
        rows: rows of windows of each sample in a block; all, where a window is one element: there nothing is copied.
    """

    limit: ClassVar[int] = 2**19

    def __init__(self, channels: int, windows: Windows, groups: int) -> None:
        """Take the channels of the value, the windows over it, and the groups."""
        height, width = windows.shape
        self.windows, self.groups = windows, groups
        self.column = channels * windows.rows.kernel * windows.cols.kernel
        self.samples = max(1, self.limit // (self.column * height * width))
        self.rows = height if windows.trivial else max(1, min(height, self.limit // (self.column * width)))

    @property
    def sizes(self) -> dict[str, int]:
        """The symbols of closed forms: q elements of a column; of a block, t samples, and p positions of each; u = 1
        where columns are copied, else 0; V elements of a sample's columns that are no padding.
        """
        sides = self.windows.rows, self.windows.cols
        return {
            "q": self.column,
            "t": self.samples,
            "p": self.rows * sides[1].windows,
            "u": int(not self.windows.trivial),
            "V": self.column // (sides[0].kernel * sides[1].kernel) * _inside(sides[0]) * _inside(sides[1]),
        }

    def blocks(self, batch: int) -> Iterator[Block]:
        """Yield the blocks of a batch in turn."""
        for samples in runs(batch, self.samples):
            for rows in runs(self.windows.shape[0], self.rows):
                yield Block(samples, rows)

    def of(self, x: Array, block: Block) -> Array:
        """Return a block's columns of x: (C, kernel elements, b, rows, width, ...); a view where a window is one."""
        source = _channels_first(x, block)
        if self.windows.trivial:
            return source[:, None]
        columns = self.room(x, block)
        if self.windows.pads:
            columns[...] = 0.0
        for element, inside, among in self._elements(block):
            columns[:, element, :, *among] = source[:, :, *inside]
        return columns

    def room(self, x: Array, block: Block) -> Array:
        """Return an array for a block's columns of x, with whatever is in it."""
        sides = self.windows.rows, self.windows.cols
        b, rows = (side.stop - side.start for side in block)
        shape = (x.shape[1], sides[0].kernel * sides[1].kernel, b, rows, sides[1].windows, *x.shape[4:])
        return np.empty_like(x, shape=shape)

    def add(self, columns: Array, out: Array, block: Block) -> None:
        """Add a block's columns to where they come from (col2im): the transpose of ``of``."""
        target = _channels_first(out, block)
        for element, inside, among in self._elements(block):
            part = target[:, :, *inside]
            np.add(part, columns[:, element, :, *among], out=part)

    def matrices(self, columns: Array) -> Array:
        """Return a block's columns as matrices: (b, groups, q/groups, positions)."""
        by_group = columns.reshape(self.groups, self.column // self.groups, columns.shape[2], -1)
        return by_group.transpose(2, 0, 1, 3)

    def outputs(self, y: Array, block: Block) -> Array:
        """Return a block of what has a position for each window, as matrices: (b, groups, channels, positions)."""
        part = y[block.samples, :, block.rows]
        return part.reshape(part.shape[0], self.groups, y.shape[1] // self.groups, -1)

    def contract(self, weights: Array, x: Array, out: Array) -> None:
        """Fill out with weights (groups, d, q/groups) times the columns of x."""
        for block in self.blocks(x.shape[0]):
            np.matmul(weights, self.matrices(self.of(x, block)), out=self.outputs(out, block))

    def spread(self, weights: Array, y: Array, out: Array) -> None:
        """Fill out with the transpose: what weights^T y gives to each window, added up where windows overlap."""
        if not self.windows.trivial:
            out[...] = 0.0
        for block in self.blocks(y.shape[0]):
            self._spread(weights.transpose(0, 2, 1), y, out, block)

    def _spread(self, transposed: Array, y: Array, out: Array, block: Block) -> None:
        if self.windows.trivial:
            columns = self.of(out, block)
            np.matmul(transposed, self.outputs(y, block), out=self.matrices(columns))
            return
        columns = self.room(out, block)
        np.matmul(transposed, self.outputs(y, block), out=self.matrices(columns))
        self.add(columns, out, block)

    def outer(self, y: Array, x: Array, out: Array) -> None:
        """Fill out (K, groups, d, q/groups) with y (K, B, channels, \\*windows) times the columns of x, transposed.

        That is a sum over the positions of all samples. Those of a block stand in one matrix, so that the product adds
        them up, and for more than one sample they are copied for that; the blocks' products are added to the first.
        """
        (first, *others) = self.blocks(x.shape[0])
        part = np.empty_like(out) if others else out
        self._outer(y, x, first, out)
        for block in others:
            self._outer(y, x, block, part)
            np.add(out, part, out=out)

    def _outer(self, y: Array, x: Array, block: Block, out: Array) -> None:
        left = y[:, block.samples, :, block.rows].transpose(0, 2, 1, 3, 4)
        right = self.of(x, block).reshape(self.groups, self.column // self.groups, -1)
        np.matmul(left.reshape(*out.shape[:3], -1), right.transpose(0, 2, 1), out=out)

    def _elements(self, block: Block) -> Iterator[tuple[int, tuple[slice, slice], tuple[slice, slice]]]:
        """Yield each element of a window: its number, where it falls inside the value, and of which windows."""
        sides, rows = (self.windows.rows, self.windows.cols), block.rows
        for i in range(sides[0].kernel):
            above, over = sides[0].inside(i, rows.start, rows.stop)
            for j in range(sides[1].kernel):
                left, across = sides[1].inside(j, 0, sides[1].windows)
                yield i * sides[1].kernel + j, (above, left), (over, across)


def _inside(side: Axis) -> int:
    """Return how many elements of all windows along an axis are no padding."""
    among = (side.inside(offset, 0, side.windows)[1] for offset in range(side.kernel))
    return sum(part.stop - part.start for part in among)


def _channels_first(x: Array, block: Block) -> Array:
    """Return a block's samples with the channels in front of them."""
    return x[block.samples].transpose(1, 0, *range(2, len(x.shape)))
