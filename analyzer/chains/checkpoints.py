"""Checkpointing schedules: which states of a chain of n stages are kept, and which are computed again.

State i is what stage i + 1 starts from; state 0, the inputs, is always there. A schedule is a list of actions: it
advances from a stored state to another, which it stores, or it reverses a run of stages, keeping all that happens
inside for the walk back. ``checkpoints`` counts states that are stored at once for later use: state 0 is left out, and
so is the one that a run of stages is reversed from.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import comb, isqrt


@dataclass(frozen=True, slots=True)
class Action:
    """Stages ``start`` + 1 to ``stop``, run from state ``start``: to state ``stop`` alone, or there and back."""

    start: int
    stop: int
    reverse: bool


def uniform(stages: int, every: int) -> list[Action]:
    """Store every ``every``-th state; reverse the runs in between one by one (Chen et al. 2016, algorithm 1)."""
    bounds = [*range(0, stages, every), stages]
    runs = list(pairwise(bounds))
    return [Action(*run, reverse=False) for run in runs[:-1]] + [Action(*run, reverse=True) for run in runs[::-1]]


def square_root(stages: int) -> list[Action]:
    """Store every sqrt(n)-th state: memory of order sqrt(n) for about one primal more (Chen et al. 2016)."""
    return uniform(stages, max(1, isqrt(stages - 1) + 1))


def binomial(stages: int, checkpoints: int) -> list[Action]:
    """Store at most ``checkpoints`` states at once and recompute as little as that allows, stage by stage.

    The revolve algorithm (Griewank & Walther 2000, algorithm 799); ``fewest_advances`` states what it takes.
    """
    return list(_binomial(stages, checkpoints))


def _binomial(stages: int, checkpoints: int) -> Iterator[Action]:
    todo = [(0, stages, checkpoints + 1)]  # the slots of Griewank & Walther hold state 0 too
    while todo:
        start, stop, slots = todo.pop()
        if stop - start == 1:
            yield Action(start, stop, reverse=True)
        elif slots == 1:
            for last in range(stop - 1, start, -1):
                yield Action(start, last, reverse=False)
                yield Action(last, last + 1, reverse=True)
            yield Action(start, start + 1, reverse=True)
        else:
            middle = start + _split(stop - start, slots)
            yield Action(start, middle, reverse=False)
            todo += [(start, middle, slots), (middle, stop, slots - 1)]


def _split(stages: int, slots: int) -> int:
    """Return how far to advance before the next state is stored.

    Both parts can then do with the repeats that the whole needs: at most beta(s, r - 1) stages before it, at least
    beta(s - 1, r - 1) after it (Griewank & Walther 2000, section 2).
    """
    repeats = _repeats(stages, slots)
    return max(1, min(_reach(slots, repeats - 1), stages - _reach(slots - 1, repeats - 1)))


def fewest_advances(stages: int, checkpoints: int) -> int:
    """Return the fewest stages that are run to advance, those that are reversed left out.

    t(l, s) = r l - beta(s + 1, r - 1), with s = checkpoints + 1 slots and the least r for which l <= beta(s, r), where
    beta(s, r) = (s + r)! / (s! r!) (Griewank & Walther 2000, equations 1 and 2).
    """
    slots = checkpoints + 1
    repeats = _repeats(stages, slots)
    return repeats * stages - _reach(slots + 1, repeats - 1)


def _repeats(stages: int, slots: int) -> int:
    repeats = 0
    while _reach(slots, repeats) < stages:
        repeats += 1
    return repeats


def _reach(slots: int, repeats: int) -> int:
    """Return beta(s, r): the most stages that s slots can reverse if none is advanced over more than r times."""
    return comb(slots + repeats, slots) if slots >= 0 and repeats >= 0 else 0
