"""Operations on factors that stand: (B, blocks, m, n), with a B of 1 where all samples, or blocks, have the same."""

from __future__ import annotations

from collections.abc import Iterator

from gradcost.graph import At, rule
from gradcost.numerics import Array, np
from gradcost.schedule.program import Operation
from gradcost.units import Shape


class Multiply(Operation):
    """The product of two factors, block by block: the blocks of one are r parts of each of the other's.

    Symbols: B samples, g blocks of n x k and k x m numbers, the work of the parts included.
    """

    def __init__(self, blocks: tuple[int, int], out: Shape) -> None:
        """Take how many blocks there are on the left and on the right, and the shape (B, g, n, m) of the product."""
        self.blocks, self.out = blocks, out

    @rule(macs="B*g*n*k*m", additions="B*g*n*(k-1)*m")
    def contract(self, at: At, left: Array, right: Array, out: Array) -> None:
        """Fill out with the sums over k."""
        one, other, into = self._parts(left, right, out)
        np.matmul(one, other, out=into)

    @rule(says="{0} * {1}", products="B*g*n*k*m")
    def scale(self, at: At, left: Array, right: Array, out: Array) -> None:
        """Fill out where k is 1, as next to a diagonal: there is no sum."""
        one, other, into = self._parts(left, right, out)
        np.multiply(one, other, out=into)

    def _parts(self, left: Array, right: Array, out: Array) -> tuple[Array, Array, Array]:
        """Return both sides and the product with an axis for the parts: (B, g, r, n, k), (B, g, r, k, m)."""
        (ours, theirs), (_, blocks, rows, columns) = self.blocks, out.shape
        if ours <= theirs:  # the right one's blocks are the parts
            parts = theirs // ours
            k, m = right.shape[2:]
            one = left.reshape(*left.shape[:3], parts, k).transpose(0, 1, 3, 2, 4)
            into = out.reshape(out.shape[0], blocks, rows, parts, m).transpose(0, 1, 3, 2, 4)
            return one, _grouped(right, theirs, parts), into
        parts = ours // theirs
        n, k = left.shape[2:]
        other = right.reshape(*right.shape[:2], parts, k, columns)
        return _grouped(left, ours, parts), other, out.reshape(out.shape[0], blocks, parts, n, columns)


class Sum(Operation):
    """The sum of two factors between the same values. Symbols: J numbers of the second, for each sample."""

    def __init__(self, blocks: tuple[int, int]) -> None:
        """Take how many blocks there are in each."""
        self.blocks = blocks

    @rule(says="{0} + {1}", additions="B*J")
    def run(self, at: At, one: Array, other: Array, out: Array) -> None:
        """Fill out with the first, and add the second where its blocks are."""
        place(out, one, self.blocks[0])
        for entries, values in diagonal(out, other, self.blocks[1]):
            np.add(entries, values, out=entries)


class SumUnit(Operation):
    """The sum of a factor and a multiple of the identity of n numbers."""

    def __init__(self, blocks: int, unit: int) -> None:
        """Take how many blocks the factor has, and how often the identity is added."""
        self.blocks, self.unit = blocks, float(unit)

    @rule(says="{0} + 1", additions="B*n")
    def run(self, at: At, one: Array, out: Array) -> None:
        """Fill out."""
        place(out, one, self.blocks)
        samples, blocks, size, _ = out.shape
        entries = out.reshape(samples, blocks, size * size)[:, :, :: size + 1]
        np.add(entries, self.unit, out=entries)


class Repeat(Operation):
    """A factor that comes by several views at once, u of them, of J numbers for each sample."""

    def __init__(self, unit: int) -> None:
        """Take how many."""
        self.unit = unit

    @rule(says="the sum of several {0}", additions="(u-1)*B*J")
    def run(self, at: At, one: Array, out: Array) -> None:
        """Fill out by additions."""
        np.copyto(out, one)
        for _ in range(self.unit - 1):
            np.add(out, one, out=out)


class Fill(Operation):
    """A factor in fewer blocks, or for each sample, zeros written out."""

    def __init__(self, blocks: int) -> None:
        """Take how many blocks it has."""
        self.blocks = blocks

    @rule(says="{0}, zeros written out")
    def run(self, at: At, one: Array, out: Array) -> None:
        """Fill out."""
        place(out, one, self.blocks)


class Diagonal(Operation):
    """A multiple of the identity, as a matrix."""

    def __init__(self, unit: int) -> None:
        """Take the multiple."""
        self.unit = float(unit)

    @rule(says="1 on the diagonal")
    def run(self, at: At, out: Array) -> None:
        """Fill out."""
        size = out.shape[-1]
        out[...] = 0.0
        out.reshape(out.shape[0], -1)[:, :: size + 1] = self.unit


class ToRows(Operation):
    """A matrix as cotangents: (B, 1, rows, n) as (rows, B, n)."""

    @rule(says="the rows of {0}")
    def run(self, at: At, one: Array, out: Array) -> None:
        """Copy them."""
        samples, _, rows, _ = one.shape
        np.copyto(out.reshape(rows, samples, -1), one[:, 0].transpose(1, 0, 2))


class FromRows(Operation):
    """Cotangents as the rows of a matrix: the other way."""

    @rule(says="{0}, row by row")
    def run(self, at: At, rows: Array, out: Array) -> None:
        """Copy them."""
        samples, _, count, _ = out.shape
        np.copyto(out[:, 0].transpose(1, 0, 2), rows.reshape(count, samples, -1))


class Copy(Operation):
    """A factor of a layer's own, such as the Jacobian of its parameters, kept as numbers side by side."""

    @rule(says="{0}")
    def run(self, at: At, one: Array, out: Array) -> None:
        """Copy it."""
        np.copyto(out, one.reshape(out.shape))


class Spread(Operation):
    """The Jacobian by a batch of inputs, (B, rows, B, n): zero between different samples."""

    @rule(says="{0} for each sample, 0 between them")
    def run(self, at: At, one: Array, out: Array) -> None:
        """Copy each sample's."""
        samples, _, rows, columns = one.shape
        batch = out.shape[0]
        flat = out.reshape(batch, rows, batch, columns)
        flat[...] = 0.0
        for sample in range(batch):
            flat[sample, :, sample] = one[sample % samples, 0]


def place(out: Array, one: Array, blocks: int) -> None:
    """Write a factor of so many blocks into one of fewer, with zeros around."""
    if blocks > out.shape[1]:
        out[...] = 0.0
    for entries, values in diagonal(out, one, blocks):
        np.copyto(entries, values)


def diagonal(out: Array, one: Array, blocks: int) -> Iterator[tuple[Array, Array]]:
    """Yield, part by part, where a factor of more blocks stands in one of fewer, and its values."""
    samples, coarse, rows, columns = out.shape
    parts = blocks // coarse
    wide = out.reshape(samples, coarse, parts, rows // parts, parts, columns // parts)
    narrow = _grouped(one, blocks, parts)
    for part in range(parts):
        yield wide[:, :, part, :, part], narrow[:, :, part % narrow.shape[2]]


def _grouped(factor: Array, blocks: int, parts: int) -> Array:
    """Return a factor (B, blocks, m, n) as (B, g, parts, m, n); of one block for all, the axes stay 1."""
    samples, stored, m, n = factor.shape
    shape = (samples, blocks // parts, parts, m, n) if stored == blocks else (samples, 1, 1, m, n)
    grouped: Array = factor.reshape(shape)
    return grouped
