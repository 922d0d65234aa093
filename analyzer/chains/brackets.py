"""Optimal brackets of a Jacobian chain, by dynamic programming.

A chain of q stages takes x_0 to x_q; J[l] = dx_l/dx_(l-1) is known by what it costs to push columns through it (JVPs)
and to pull rows through it (VJPs), which is where its structure shows: a diagonal stage costs n, a dense one n m.
Wanted is J[q] ... J[1] S for a matrix S of P columns at x_0. The products can be bracketed in any way, and each can be
made by a matrix product, by pushing what stands right of it, or by pulling what stands left of it: the matrix-free
Jacobian chain product of Naumann (2020, "Optimization of generalized Jacobian chain products without memory
constraints"; Griewank & Naumann 2003 for dense factors).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

SEED = -1  # where S starts: before x_0


@dataclass(frozen=True, slots=True)
class Chain:
    """The costs of a chain, in multiplies over a whole batch.

    Attributes:
        sizes: elements per sample of x_0 ... x_q.
        columns: of S.
        batch: samples, each with matrices of its own.
        push: of each stage, the cost of pushing no column, and of each column more.
        pull: of each stage, the cost of pulling one row.
    """

    sizes: tuple[int, ...]
    columns: int
    batch: int
    push: tuple[tuple[int, int], ...]
    pull: tuple[int, ...]

    def width(self, start: int) -> int:
        """Return the columns of a product that starts at x_start, or at S."""
        return self.columns if start == SEED else self.sizes[start]

    def push_cost(self, first: int, last: int, columns: int) -> int:
        """Return the cost of pushing columns from x_first to x_last."""
        return sum(fixed + each * columns for fixed, each in self.push[first:last])

    def pull_cost(self, first: int, last: int, rows: int) -> int:
        """Return the cost of pulling rows from x_last to x_first."""
        return rows * sum(self.pull[first:last])


@dataclass(frozen=True, slots=True)
class Product:
    """dx_stop/dx_start (or that times S), and how it is made.

    Attributes:
        kind: ``seed`` (S itself); ``push`` (columns of its part, or of the identity); ``pull`` (rows of its part, or of
            the identity); ``times`` (the product of two parts).
        start: where its columns stand.
        stop: where its rows stand.
        parts: what it is made of; the left factor first.
        cost: multiplies, those of its parts included.
    """

    kind: str
    start: int
    stop: int
    parts: tuple[Product, ...]
    cost: int

    def __str__(self) -> str:
        """Write the brackets: ``(pull 2..4)(push 0..2)``."""
        if self.kind == "seed":
            return "S"
        if self.kind == "times":
            return f"({self.parts[0]}{self.parts[1]})"
        if not self.parts:
            return f"({self.kind} {self.start}..{self.stop})"
        (part,) = self.parts
        span = f"{part.stop}..{self.stop}" if self.kind == "push" else f"{self.start}..{part.start}"
        return f"({self.kind} {span} of {part})"


def optimal(chain: Chain) -> Product:
    """Return the cheapest way to J[q] ... J[1] S. Of equal ones, the first of ``choices``."""

    @cache
    def best(start: int, stop: int) -> Product:
        if start == SEED and stop == 0:
            return Product("seed", SEED, 0, (), 0)
        return min(choices(start, stop), key=lambda product: product.cost)

    def choices(start: int, stop: int) -> Iterator[Product]:
        columns, rows = chain.width(start), chain.sizes[stop]
        if start != SEED:
            yield Product("push", start, stop, (), chain.push_cost(start, stop, columns))
            yield Product("pull", start, stop, (), chain.pull_cost(start, stop, rows))
        for middle in range(max(start + 1, 0), stop):
            right, left = best(start, middle), best(middle, stop)
            through = right.cost + chain.push_cost(middle, stop, columns)
            yield Product("push", start, stop, (right,), through)
            multiplied = chain.batch * rows * chain.sizes[middle] * columns
            yield Product("times", start, stop, (left, right), left.cost + right.cost + multiplied)
            if start != SEED:
                yield Product("pull", start, stop, (left,), left.cost + chain.pull_cost(start, middle, rows))

    return best(SEED, len(chain.push))
