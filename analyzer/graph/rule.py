"""``@rule``: numpy code that runs, and beside it the closed form of what it costs.

The decorator only attaches the closed form to the method. Prediction reads it and never calls the method;
execution calls the method and never reads it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

from gradcost.formula import Cost

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Rule:
    """What a method reads (by the names of ``At``), what it costs, and how it is written in an equation."""

    reads: tuple[str, ...]
    cost: Cost
    says: str | None = None


def rule(*reads: str, says: str | None = None, **formulas: str) -> Callable[[F], F]:
    """Attach to a layer's method the arrays that it reads and the closed forms of its cost (see ``Cost``).

    ``says`` is the right side of its equation, with names of what it reads in braces and its argument as ``{g}``; what
    stands in brackets is left out where the layer has no such parameter.
    """

    def attach(method: F) -> F:
        method.__dict__["rule"] = Rule(reads, Cost(**formulas), says)
        return method

    return attach


def priced_as(other: str) -> Callable[[F], F]:
    """Give a method the closed form of another of the same layer, whose arrays are its arguments: it reads none."""

    def attach(method: F) -> F:
        method.__dict__["rule"] = other
        return method

    return attach


def derived(make: Callable[[type], Rule]) -> Callable[[F], F]:
    """Attach to a method of a base class what each of its subclasses makes of its other rules."""

    def attach(method: F) -> F:
        method.__dict__["rule"] = cache(make)
        return method

    return attach


def rule_of(owner: object, method: str) -> Rule:
    """Return the rule attached to a layer's or loss's method."""
    return rule_in(type(owner), method)


def rule_in(cls: type, method: str) -> Rule:
    """Return the rule attached to a method of a class."""
    found: Any = getattr(cls, method).rule
    if isinstance(found, str):
        return Rule((), rule_in(cls, found).cost)
    if not isinstance(found, Rule):
        found = found(cls)
    assert isinstance(found, Rule)
    return found
