"""Compact Jacobians added to others, and written into dense columns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from gradcost.graph import At, rule
from gradcost.numerics import Array, np
from gradcost.schedule.program import Operation

Blocks: TypeAlias = tuple[int, int, int, int]  # see ``Compact.blocks``
Span: TypeAlias = tuple[int, int]


class AddCompact(Operation):
    """Two compact Jacobians of one birth, added."""

    @rule(says="{0} + {1}", additions="B*J")
    def run(self, at: At, one: Array, other: Array, out: Array) -> None:
        """Fill out = one + other, of J numbers a sample."""
        np.add(one, other, out=out)


class AddDiagonal(Operation):
    """A birth added to the columns that carry its parameter already."""

    def __init__(self, start: int, blocks: Blocks) -> None:
        """Take the first of its columns, and its blocks."""
        self.start, self.blocks = start, blocks

    @rule(says="+= {0}", additions="B*J")
    def run(self, at: At, compact: Array, out: Array) -> None:
        """Add to out, where the compact Jacobian of J numbers a sample is not zero."""
        for entries, values in _diagonal(out, self.start, compact, self.blocks):
            np.add(entries, values, out=entries)


class Densify(Operation):
    """Compact Jacobians, and a stack that there is already, as one stack of dense columns."""

    def __init__(self, places: tuple[tuple[int, Blocks], ...], kept: tuple[tuple[Span, Span], ...]) -> None:
        """Take each compact Jacobian's first column and blocks, and where the spans of the stack go and come from."""
        self.places, self.kept = places, kept

    @rule(says="{all}, zeros written out")
    def run(self, at: At, *parts: Array, out: Array) -> None:
        """Fill out from the compact Jacobians; the stack, if there is one, is the last of the parts."""
        out[...] = 0.0
        for here, there in self.kept:
            out[..., slice(*here)] = parts[-1][..., slice(*there)]
        for (start, blocks), compact in zip(self.places, parts, strict=False):
            for entries, values in _diagonal(out, start, compact, blocks):
                np.copyto(entries, values)


def _diagonal(whole: Array, start: int, c: Array, blocks: Blocks) -> Iterator[tuple[Array, Array]]:
    """Yield, unit by unit, where a compact Jacobian stands in dense columns from ``start`` on, and its values."""
    lead, diagonal, trail, rest = blocks
    rows, values = whole.reshape(lead, diagonal, trail, whole.shape[-1]), c.reshape(lead, diagonal, trail, rest)
    for k in range(diagonal):
        column = start + k * rest
        yield rows[:, k, :, column : column + rest], values[:, k]
