"""Where a chain is cut: behind a node that few values cross, or one alone."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby


def crossing(ends: Sequence[int | None]) -> list[int]:
    """Return, for the place behind each node, how many values nodes further on still read.

    Args:
        ends: the last node that reads each node's value, by position; None for a value that does not count, such as an
            input, which is there throughout.
    """
    closing = [0] * (len(ends) + 1)
    counts, alive = [], 0
    for index, end in enumerate(ends):
        if end is not None:
            alive += 1
            closing[end] += 1
        alive -= closing[index]
        counts.append(alive)
    return counts


def cuts(crossing: Sequence[int], together: Sequence[bool]) -> list[int]:
    """Return the nodes behind which a chain is cut: where one value crosses, or fewer than on both sides.

    Args:
        crossing: how many values cross the place behind each node.
        together: whether the next node is not to be parted from this one.
    """
    found = []
    runs = [[index for index, _ in run] for _, run in groupby(enumerate(crossing), key=lambda item: item[1])]
    for before, run, after in zip([None, *runs], runs, [*runs[1:], None], strict=False):
        here = crossing[run[0]]
        if here == 1:
            found += [index for index in run if index + 1 < len(crossing) and not together[index]]
        elif before and after and here < min(crossing[before[0]], crossing[after[0]]):
            found.append(run[-1])
    return found
