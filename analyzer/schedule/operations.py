"""Operations that several strategies share: views, sums, and the seeds and rows of a Jacobian."""

from __future__ import annotations

from typing import Any

from gradcost.graph import At, rule
from gradcost.numerics import Array, np
from gradcost.schedule.program import Operation
from gradcost.units import Shape


class Rename(Operation):
    """The same array in another shape."""

    @rule(says="{0}")
    def run(self, at: At, base: Array, shape: Shape) -> Any:
        """Return the view."""
        return base.reshape(shape)


class Zeros(Operation):
    """Zeros."""

    @rule(says="0")
    def run(self, at: At, out: Array) -> None:
        """Write them."""
        out[...] = 0.0


class BySample(Operation):
    """Cotangents (K, B, \\*shape), or (K, 1, \\*shape) that are the same for every sample, as (B, K, \\*shape)."""

    @rule(says="{0}, sample by sample")
    def run(self, at: At, cotangents: Array, shape: Shape) -> Any:
        """Return the view."""
        return np.broadcast_to(cotangents.transpose(1, 0, *range(2, len(shape))), shape)


class Repeat(Operation):
    """What is the same for every sample, once for each."""

    @rule(says="{0} for each sample")
    def run(self, at: At, one: Array, out: Array) -> None:
        """Copy it over the axis of the samples."""
        np.copyto(out, one)


class Accumulate(Operation):
    """The sum of two derivatives of one value or parameter."""

    @rule(says="{0} + {1}", additions="B*N*K")
    def cotangents(self, at: At, held: Array, more: Array, out: Array) -> None:
        """Fill out = held + more, K cotangents of a value of N numbers that several layers read."""
        np.add(held, more, out=out)

    @rule(says="the sum of {0} over the batch", additions="(B-1)*N*K")
    def samples(self, at: At, each: Array, out: Array) -> None:
        """Fill out (K, 1, \\*shape) with the sum of each (K, B, \\*shape) over the batch."""
        np.add.reduce(each, axis=1, keepdims=True, out=out)

    @rule(says="+= {0}", additions="p")
    def gradients(self, at: At, more: Array, out: Array) -> None:
        """Add to out, for a parameter of p numbers that several layers share."""
        np.add(out, more, out=out)


class _Rows(Operation):
    """An operation on some rows of a Jacobian: those from ``first`` on, and as many further ones for each turn.

    Attributes:
        first: the first row of the first turn.
        size: how many rows there are in a turn.
        per_sample: whether each sample has rows of its own.
    """

    def __init__(self, first: int, size: int, *, per_sample: bool) -> None:
        """Take the rows."""
        self.first, self.size, self.per_sample = first, size, per_sample

    def start(self, at: At) -> int:
        """Return the first row of the turn."""
        return self.first + at.turn * self.size


class UnitVectors(_Rows):
    """The unit vectors of some rows, the same in each sample or over the whole batch."""

    @rule(says="the next unit vectors")
    def run(self, at: At, out: Array) -> None:
        """Fill out (K, B, \\*shape): 1 where a row's own entry is, 0 elsewhere."""
        out[...] = 0.0
        flat = out.reshape(*out.shape[:2], -1) if self.per_sample else out.reshape(out.shape[0], 1, -1)
        for row in range(self.size):
            flat[row, :, self.start(at) + row] = 1.0


class StoreRows(_Rows):
    """Rows of a Jacobian, kept."""

    def __init__(self, rows: int, first: int, size: int, *, per_sample: bool) -> None:
        """Take how many rows there are in all, of each sample or of the batch."""
        super().__init__(first, size, per_sample=per_sample)
        self.rows = rows

    @rule(says="row by row {0}")
    def run(self, at: At, rows: Array, out: Array) -> None:
        """Copy rows (B, K, \\*shape), or (K, \\*shape) over the whole batch, into out (B, \\*output, \\*shape)."""
        samples = out.shape[0] if self.per_sample else 1
        start = self.start(at)
        out.reshape(samples, self.rows, -1)[:, start : start + self.size] = rows.reshape(samples, self.size, -1)
