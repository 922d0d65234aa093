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


class UnitVector(Operation):
    """The unit vector of the loop's turn, of all numbers of a batch or in each sample."""

    def __init__(self, samples: int = 1) -> None:
        """Take the number of samples that have one each."""
        self.samples = samples

    @rule(says="the next unit vector")
    def run(self, at: At, out: Array) -> None:
        """Fill 1 at the turn, 0 elsewhere."""
        flat = out.reshape(self.samples, -1)
        flat[...] = 0.0
        flat[:, at.turn : at.turn + 1] = 1.0


class StoreRow(Operation):
    """A row of a Jacobian, kept; or one for each sample."""

    def __init__(self, rows: int, samples: int = 1) -> None:
        """Take the number of rows, and of samples that have as many each."""
        self.rows, self.samples = rows, samples

    @rule(says="row by row {0}")
    def run(self, at: At, row: Array, out: Array) -> None:
        """Copy it into the row of the turn."""
        out.reshape(self.samples, self.rows, -1)[:, at.turn] = row.reshape(self.samples, -1)
