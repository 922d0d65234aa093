"""``@rule``: numpy code that runs, and beside it the closed form of what it costs.

The decorator only attaches the closed form to the method. Prediction reads it and never calls the method;
execution calls the method and never reads it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from gradcost.formula import Cost

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Rule:
    """What a method reads (by the names of ``At``) and what it costs."""

    reads: tuple[str, ...]
    cost: Cost


def rule(*reads: str, **formulas: str) -> Callable[[F], F]:
    """Attach to a layer's method the arrays that it reads and the closed forms of its cost (see ``Cost``)."""

    def attach(method: F) -> F:
        method.__dict__["rule"] = Rule(reads, Cost(**formulas))
        return method

    return attach


def rule_of(owner: object, method: str) -> Rule:
    """Return the rule attached to a layer's or loss's method."""
    found: Any = getattr(type(owner), method).rule
    assert isinstance(found, Rule)
    return found
