"""What a class of layers or losses owes: rules by name, each a method with its closed form in ``@rule``."""

from __future__ import annotations

from collections.abc import Iterable

from gradcost.errors import LayerError
from gradcost.graph.rule import Rule


def has_rule(cls: type, name: str) -> bool:
    """Whether a class has a method of that name, with its closed form."""
    return isinstance(getattr(getattr(cls, name, None), "rule", None), Rule | str)


def refuse_incomplete(kind: str, cls: type, owed: Iterable[str]) -> None:
    """Refuse a class that lacks a rule; ``"birth_W or fill_birth_W"`` is owed where either will do.

    Raises:
        LayerError: it does.
    """
    for names in owed:
        if not any(has_rule(cls, name) for name in names.split(" or ")):
            raise LayerError(
                f"{kind} {cls.__name__} lacks the rule {names}; define it, with @rule and its closed form above"
            )
