"""Factors: local Jacobians dy/dx by their structure, and what their products cost.

A factor that stands is a matrix of rows x columns whose entries are there already, in ``blocks`` equal blocks on its
diagonal: 1 for a weight matrix, as many as rows for an elementwise layer, one for each position for W (x) I. One that
does not stand, ``Passed``, is known by what it costs to pass columns or rows through it. All prices are in multiplies.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import gcd
from typing import NamedTuple


class Line(NamedTuple):
    """The price of passing columns, or rows: ``fixed`` for the first of them, and ``each``."""

    fixed: int
    each: int

    def of(self, number: int) -> int:
        """Return the price of so many."""
        return self.fixed + self.each * number

    def beside(self, other: Line) -> Line:
        """Return the price of passing them through two factors, each on its own."""
        return Line(self.fixed + other.fixed, self.each + other.each)


@dataclass(frozen=True, slots=True)
class Passed:
    """The prices of a factor that does not stand as a matrix, for one sample.

    Attributes:
        push: of columns that are pushed through it (JVPs).
        pull: of rows that are pulled through it (VJPs).
        stand: of all its entries, where another way than pushing all columns or pulling all rows is cheaper.
    """

    push: Line
    pull: Line
    stand: int | None = None


@dataclass(frozen=True, slots=True)
class Factor:
    """dy/dx between two values, for one sample.

    Attributes:
        rows: elements of y.
        columns: elements of x.
        blocks: equal blocks on its diagonal, outside of which it is zero.
        alike: whether all the blocks are one and the same matrix, as in W (x) I.
        sampled: whether it is another one for each sample; a weight matrix is not.
        unit: whether it is the identity, or a sum of identities, which is passed by additions alone.
        passed: its prices where it does not stand.
    """

    rows: int
    columns: int
    blocks: int = 1
    alike: bool = False
    sampled: bool = False
    unit: bool = False
    passed: Passed | None = None

    @property
    def made(self) -> int:
        """What it costs, for one sample, until it stands: all unit columns are pushed, or all unit rows pulled."""
        if self.passed is None:
            return 0
        ways = self.passed.push.of(self.columns), self.passed.pull.of(self.rows)
        return min(ways if self.passed.stand is None else (*ways, self.passed.stand))

    @property
    def standing(self) -> Factor:
        """The factor once it stands."""
        return replace(self, passed=None)

    def times(self, samples: int) -> int:
        """Return how often its work is done for a batch of so many samples."""
        return samples if self.sampled else 1


def identity(size: int) -> Factor:
    """Return dy/dx of a view."""
    return Factor(size, size, size, alike=True, unit=True)


def product(left: Factor, right: Factor) -> Factor:
    """Return the structure of the product: a diagonal times a diagonal is one, the identity changes nothing.

    Products distribute over sums, so the structure of a sum over paths does not depend on the order of the products.
    """
    if left.unit:
        return right.standing
    if right.unit:
        return left.standing
    alike = left.alike and right.alike and left.blocks == right.blocks
    sampled = left.sampled or right.sampled
    return Factor(left.rows, right.columns, gcd(left.blocks, right.blocks), alike, sampled)


def total(one: Factor, other: Factor) -> Factor:
    """Return the structure of the sum of two factors between the same values: additions alone."""
    if one.unit:
        return other.standing
    if other.unit:
        return one.standing
    alike = one.alike and other.alike and one.blocks == other.blocks
    return Factor(one.rows, one.columns, gcd(one.blocks, other.blocks), alike, one.sampled or other.sampled)


def price(left: Factor, right: Factor, samples: int) -> int:
    """Return the multiplies of the product, of which one factor stands at least.

    Standing ones: each inner element meets the rows of its block on the left and the columns of its block on the
    right, once the blocks of one side are parts of those of the other. Otherwise all columns are pushed, or all rows
    pulled, through the one that does not stand. Each sample has a product of its own where a factor does; a product of
    weights alone is made once.
    """
    often = samples if left.sampled or right.sampled else 1
    if left.passed:
        return often * left.passed.push.of(right.columns)
    if right.passed:
        return often * right.passed.pull.of(left.rows)
    if left.unit or right.unit:
        return 0
    alike = left.alike and right.alike and left.blocks == right.blocks
    inner = left.columns // left.blocks if alike else left.columns
    blocks = right.blocks if nested(left, right) else gcd(left.blocks, right.blocks)
    return often * (left.rows // left.blocks) * inner * (right.columns // blocks)


def nested(left: Factor, right: Factor) -> bool:
    """Whether the blocks of one side are parts of those of the other; the right ones are filled up where not."""
    return gcd(left.blocks, right.blocks) in (left.blocks, right.blocks)
