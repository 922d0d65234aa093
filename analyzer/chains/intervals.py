"""The least order of elimination of a chain, by dynamic programming over its intervals.

The factors of a chain F[q] ... F[1] can be bracketed in any way; the last product of dx_j/dx_i is made at some k:
cost[i, j] = min over i < k < j of cost[i, k] + cost[k, j] + price. That is matrix-chain multiplication (Godbole 1973;
Griewank & Naumann 2003 for Jacobians), with factors that are passed as in the matrix-free product of Naumann (2020).

Intervals of one length are done at once. What is known of dx_(i+m)/dx_i stands twice, from [i, m] and to [i + m, m]:
then all right factors of a length l are the block from[:, 1:l], all left ones the block to[l:, l-1:0:-1].
"""

from __future__ import annotations

from collections.abc import Sequence

from gradcost.chains.factors import Factor, Line, Passed
from gradcost.numerics import Array, np

NEVER = Line(0, -1)  # of a factor that stands
LARGEST = 2**62  # what is proven to stay below is done in int64, the rest in Python's integers


class _Table:
    """A number for each interval."""

    def __init__(self, count: int, kind: str) -> None:
        """Start with zeros."""
        self.start = np.zeros((count + 1, count + 1), kind)
        self.stop = np.zeros((count + 1, count + 1), kind)
        self.count = count

    def set(self, length: int, values: Array) -> None:
        """Take the numbers of all intervals of a length, by where they start."""
        self.start[: self.count - length + 1, length] = values
        self.stop[length:, length] = values

    def of(self, length: int) -> Array:
        """Return the numbers of all intervals of a length."""
        found: Array = self.start[: self.count - length + 1, length]
        return found

    def right(self, length: int) -> Array:
        """Return those of the right factors: for each interval of a length, and each place in it."""
        found: Array = self.start[: self.count - length + 1, 1:length]
        return found

    def left(self, length: int) -> Array:
        """Return those of the left factors."""
        found: Array = self.stop[length:, length - 1 : 0 : -1]
        return found


def least_order(factors: Sequence[Factor], samples: int) -> tuple[int, tuple[int, ...]]:
    """Return the cost of dx_q/dx_0, and the places 1 ... q - 1 in an order of elimination of that cost."""
    cost, order, _ = least(factors, samples)
    return cost, order


def least(factors: Sequence[Factor], samples: int) -> tuple[int, tuple[int, ...], dict[int, bool]]:
    """Return the least cost, an order of that cost, and which factors are passed: True where pushed by.

    Args:
        factors: dx_1/dx_0, dx_2/dx_1, ..., without identities.
        samples: of the batch.
    """
    count = len(factors)
    kind = "int64" if bound(factors, samples) < LARGEST else "object"
    sizes = np.array([factors[0].columns, *(factor.rows for factor in factors)], kind)
    passed = [factor.passed or Passed(NEVER, NEVER) for factor in factors]
    push = np.array([each.push for each in passed], kind).T
    pull = np.array([each.pull for each in passed], kind).T
    cost, rows, inner, often, alike, parts = (_Table(count, kind) for _ in range(6))
    at = np.zeros((count + 1, count + 1), np.int64)
    passes = np.zeros((count + 1, count + 1), np.int8)  # 1: the right factor is pulled through, 2: the left one pushed

    blocks = np.array([factor.blocks for factor in factors], kind)
    same = np.array([factor.blocks if factor.alike else 0 for factor in factors], kind)
    each = np.array([factor.times(samples) for factor in factors], kind)
    cost.set(1, np.array([factor.made * factor.times(samples) for factor in factors], kind))
    block, equal, sampled = blocks, same, each
    for length in range(1, count + 1):
        places = count - length + 1
        if length > 1:
            block = np.gcd(block[:places], blocks[length - 1 :])
            equal = np.where(equal[:places] == same[length - 1 :], equal[:places], 0)
            sampled = np.maximum(sampled[:places], each[length - 1 :])
        rows.set(length, sizes[length:] // block)
        inner.set(length, sizes[:places] // block * sizes[length:])
        often.set(length, sampled)
        alike.set(length, equal)
        parts.set(length, block)
        if length == 1:
            continue
        found = rows.left(length) * inner.right(length)
        if samples > 1:
            found = found * np.maximum(often.left(length), often.right(length))
        if (blocks > 1).any():  # right blocks that are not nested with the left ones are filled up
            one, other = parts.left(length), parts.right(length)
            common = np.gcd(one, other)
            found = found * np.where((common == one) | (common == other), 1, other // common)
        if same.any():
            shared = alike.right(length)
            found = found // np.where((shared > 0) & (shared == alike.left(length)), shared, 1)
        found = found + cost.left(length) + cost.right(length)
        pulled = cost.stop[length:, length - 1] + sampled * (pull[0, :places] + pull[1, :places] * sizes[length:])
        pushed = cost.of(length - 1)[:places] + sampled * (
            push[0, length - 1 :] + push[1, length - 1 :] * sizes[:places]
        )
        pulls = (pull[1, :places] >= 0) & (pulled < found[:, 0])
        found[:, 0] = np.where(pulls, pulled, found[:, 0])
        pushes = (push[1, length - 1 :] >= 0) & (pushed < found[:, -1])
        found[:, -1] = np.where(pushes, pushed, found[:, -1])
        best, here = found.argmin(axis=1), np.arange(places)
        at[here, here + length] = here + 1 + best
        last = pushes & (best == length - 2)
        passes[here, here + length] = np.where(last, 2, pulls & (best == 0))
        cost.set(length, found[here, best])
    return int(cost.of(count)[0]), *_order(at, passes, count)


def bound(factors: Sequence[Factor], samples: int) -> int:
    """Return what no cost of an interval, nor anything that is added up on the way there, exceeds."""
    size = max(max(factor.rows, factor.columns) for factor in factors)
    passed = [factor.passed for factor in factors if factor.passed]
    through = max((max(each.push.of(size), each.pull.of(size)) for each in passed), default=0)
    return 2 * len(factors) * samples * (size**3 + 2 * through)


def _order(at: Array, passes: Array, count: int) -> tuple[tuple[int, ...], dict[int, bool]]:
    """Return the places of the table's products, those of their factors first, and which factors are passed."""
    found, passed, waiting = [], {}, [(0, count)]
    while waiting:
        start, stop = waiting.pop()
        if stop - start > 1:
            middle = int(at[start, stop])
            found.append(middle)
            if passes[start, stop]:
                pushed = passes[start, stop] == 2
                passed[stop - 1 if pushed else start] = pushed
            waiting += [(start, middle), (middle, stop)]
    return tuple(reversed(found)), passed
