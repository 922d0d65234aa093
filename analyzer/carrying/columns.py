"""Which Jacobian columns a stack holds: births side by side, as the bits of one integer.

A birth is one parameter tensor (or one pre-activation): the columns that start to be carried at its layer. Stacks hold
births in the order in which they were born, so a set of births is a layout. Python's integers make unions and
comparisons of sets of thousands of births cheap, and the width of a set is known without walking it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gradcost.units import Shape


@dataclass(frozen=True, slots=True)
class Birth:
    """What one block of columns differentiates with respect to.

    Attributes:
        symbol: ``W[1]`` or ``z[1]``.
        shape: the shape of its columns: (n1, n0) for W[1].
        start: the number of columns born before it.
        width: its own number of columns.
    """

    symbol: str
    shape: Shape
    start: int
    width: int


@dataclass(frozen=True, slots=True)
class Run:
    """A block of neighbouring columns that the same inputs of a join hold.

    Attributes:
        columns: its span in the union.
        holders: the inputs that hold it, each with the block's span in that input's own stack.
    """

    columns: tuple[int, int]
    holders: tuple[tuple[int, tuple[int, int]], ...]


@dataclass(frozen=True, slots=True)
class Columns:
    """A set of births.

    Attributes:
        births: all births of the schedule so far, shared and growing.
        bits: which of them are in the set.
        width: the number of columns in the set.
    """

    births: list[Birth]
    bits: int
    width: int

    def with_birth(self, index: int) -> Columns:
        """Return the set and one birth, if it is another."""
        if self.holds(index):
            return self
        return Columns(self.births, self.bits | 1 << index, self.width + self.births[index].width)

    def holds(self, index: int) -> bool:
        """Whether a birth is in the set."""
        return bool(self.bits >> index & 1)

    def place(self, index: int) -> tuple[int, int]:
        """Return the span of one birth's columns in the stack."""
        older = self.bits & ((1 << index) - 1)
        birth = self.births[index]
        if older == (1 << index) - 1:  # all of them, as at the output
            return birth.start, birth.start + birth.width
        start = sum(each.width for each, _ in Columns(self.births, older, 0))
        return start, start + birth.width

    def __iter__(self) -> Iterator[tuple[Birth, tuple[int, int]]]:
        """Yield each birth and its span in the stack."""
        bits, column = self.bits, 0
        while bits:
            low = bits & -bits
            birth = self.births[low.bit_length() - 1]
            yield birth, (column, column + birth.width)
            column += birth.width
            bits ^= low

    def __len__(self) -> int:
        """Return the number of births in the set."""
        return self.bits.bit_count()


def union(parts: Sequence[Columns]) -> tuple[Columns, list[Run]]:
    """Merge the inputs' columns, and cut the union into runs that the same inputs hold.

    The cost grows with the number of runs, not of births: runs are found by carries of whole integers.
    """
    births = parts[0].births
    bits = 0
    for part in parts:
        bits |= part.bits
    runs: list[Run] = []
    offsets = [0] * len(parts)
    column, rest, shift = 0, bits, 0
    rests = [part.bits for part in parts]
    while rest:
        skip = (rest & -rest).bit_length() - 1
        rest >>= skip
        rests = [r >> skip for r in rests]
        shift += skip
        length = _ones(rest)
        holders = [i for i, r in enumerate(rests) if r & 1]
        for i, r in enumerate(rests):
            length = min(length, _ones(r) if i in holders else _zeros(r, length))
        first, last = births[shift], births[shift + length - 1]
        width = last.start + last.width - first.start
        runs.append(Run((column, column + width), tuple((i, (offsets[i], offsets[i] + width)) for i in holders)))
        for i in holders:
            offsets[i] += width
        column += width
        rest >>= length
        rests = [r >> length for r in rests]
        shift += length
    return Columns(births, bits, column), runs


def _ones(bits: int) -> int:
    """Return the number of ones at the low end."""
    return (~bits & (bits + 1)).bit_length() - 1


def _zeros(bits: int, limit: int) -> int:
    """Return the number of zeros at the low end, ``limit`` at most."""
    return (bits & -bits).bit_length() - 1 if bits else limit
