"""Which of several whole-number figures is the least along a range, from few evaluations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from math import isqrt

from gradcost.grids.polynomial import POINTS, Polynomial, through

FAR = 4  # times the lesser of two gaps: by more than that, one that is no polynomial may not change between two points

Costs = Mapping[str, int]


def least(costs: Costs) -> str:
    """Return the first name of the least."""
    return min(costs, key=costs.__getitem__)


class Winners:
    """The least along rising values, by evaluating few of them.

    A stretch of values is sampled at ``POINTS`` of them, closer together at its low end, where networks are small.
    What each costs more than the winner at its low end is a gap. A gap is a polynomial of low degree, exactly, unless a
    cheaper-of-two or a larger-of-two switches in the stretch; then its value is known everywhere. A gap that is none,
    but rises (or falls) from point to point, up to a few steps back that are small beside it, is won at no point, and
    is not near to a flip, is taken to be won at none between them. Otherwise, and where the two values at a flip,
    evaluated themselves, do not show it, the stretch is cut into two; one of few values is evaluated throughout.
    So flips there and back are found in what is piecewise polynomial; of a gap with teeth some may hide beside a flip.
    """

    def __init__(
        self,
        evaluate: Callable[[int], Costs | None],
        values: Sequence[int],
        tell: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        """Take what evaluates a value (None: it makes no network), rising values, and what to tell how far it is."""
        self._evaluate = evaluate
        self._values = values
        self._tell = tell
        self._known: dict[int, Costs | None] = {}
        self._found: dict[int, str] = {}
        self._settled = 0

    def costs(self, value: int) -> Costs | None:
        """Return what each costs at a value; None where it makes no network."""
        if value not in self._known:
            self._known[value] = self._evaluate(value)
            self._tell(self._settled, len(self._values))
        return self._known[value]

    def at(self, value: int) -> str | None:
        """Return the winner at a value, evaluated; None where it makes no network."""
        costs = self.costs(value)
        return None if costs is None else least(costs)

    def along(self) -> Mapping[int, str]:
        """Return the winner at each value, but for those that were seen to make no network."""
        if self._values:
            self._settle(0, len(self._values) - 1)
        return self._found

    def _settle(self, first: int, last: int) -> None:
        """Find the winners from one position to another, both included."""
        if last - first < POINTS:
            found = {value: self.at(value) for value in self._values[first : last + 1]}
        else:
            stretch = self._stretch(first, last)
            if stretch is None:
                middle = isqrt((first + 1) * (last + 1)) - 1
                self._settle(first, middle)
                self._settle(middle, last)
                return
            found = dict(zip(self._values[first : last + 1], stretch, strict=True))
        self._found |= {value: winner for value, winner in found.items() if winner is not None}
        self._settled = last + 1
        self._tell(self._settled, len(self._values))

    def _stretch(self, first: int, last: int) -> list[str] | None:
        """Return the winners from one position to another; None where few values do not tell."""
        sampled: dict[int, Costs] = {}
        for position in _spread(first, last):
            costs = self.costs(self._values[position])
            if costs is None:
                return None
            sampled[self._values[position]] = costs
        names = list(next(iter(sampled.values())))
        if any(list(costs) != names for costs in sampled.values()):
            return None
        ahead = least(next(iter(sampled.values())))
        curves: dict[str, Polynomial] = {}
        for name in names:
            gaps = {value: costs[name] - costs[ahead] for value, costs in sampled.items()}
            curve = through(gaps)
            if curve is not None:
                curves[name] = curve
            elif not _behind(list(gaps.values()), names.index(name) > names.index(ahead)):
                return None
        values = self._values[first : last + 1]
        winners = [min(curves, key=lambda name: curves[name](value)) for value in values]
        for (low, one), (high, other) in pairwise(zip(values, winners, strict=True)):
            if one != other and (self.at(low), self.at(high)) != (one, other):
                return None
        return winners


def _behind(gaps: Sequence[int], after: bool) -> bool:
    """Whether no gap is won, nor would be if it went back once more by all that it goes back from point to point.

    What rises, or falls, throughout goes back by 0; near to a flip, where a gap is small beside its change to the next
    point, that is not enough. At a gap of 0 the earlier of two names wins.
    """
    if any(abs(high - low) > FAR * min(low, high) for low, high in pairwise(gaps)):
        return False
    steps = [high - low for low, high in pairwise(gaps)]
    back = min(sum(max(step, 0) for step in steps), sum(max(-step, 0) for step in steps))
    return min(gaps) >= back + (0 if after else 1)


def _spread(first: int, last: int) -> list[int]:
    """Return ``POINTS`` positions from one to another, ever further apart, so that no period hides between them."""
    ratio = (last + 1) / (first + 1)
    found = [first]
    for k in range(1, POINTS):
        share = k / (POINTS - 1)
        place = round((first + 1) * ratio ** (share * (1 + share) / 2)) - 1
        found.append(max(place, found[-1] + 1))
    return found
