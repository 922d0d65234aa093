"""Every error that gradcost raises on purpose."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice


class GradcostError(Exception):
    """Base of all errors that gradcost raises on purpose; its text is written for the user."""


class UsageError(GradcostError):
    """A call or command line that asks for something that does not exist or makes no sense."""


class SpecError(GradcostError):
    """A network spec that cannot be used.

    Attributes:
        where: ``file:line:column``, or the path of keys for a spec given as a dict.
        problem: what is wrong and how to mend it.
    """

    def __init__(self, where: str, problem: str) -> None:
        """Join the place and the problem into the message."""
        super().__init__(f"{where}: {problem}" if where else problem)
        self.where = where
        self.problem = problem


class LayerError(GradcostError):
    """A class of layers or losses that lacks what strategies ask of it."""


class BudgetError(GradcostError):
    """A run that was asked for by name would not fit the memory budget."""


class UncountedOperationError(GradcostError):
    """A numpy operation for which the counting array has no rule: never counted as zero."""


def guess(name: str, allowed: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"``, or nothing where no name is close."""
    from difflib import get_close_matches

    spelled = {each.lower(): each for each in allowed}
    close = get_close_matches(name.lower(), spelled, n=1)
    return f"; did you mean {spelled[close[0]]!r}?" if close else ""


def nearest(name: str, allowed: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'? (allowed: ...)"``, a tail for messages about unknown names."""
    names = sorted(islice(allowed, 5000))
    shown = ", ".join(names[:40]) + (", ..." if len(names) > 40 else "")
    return guess(name, names) + (f" (allowed: {shown})" if names else "")
