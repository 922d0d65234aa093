"""The strategies: each is a file that schedules, and a line here; others come from installed packages.

A package adds one by the entry point ``gradcost.strategies``, whose value is a ``Strategy``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gradcost.errors import UsageError, nearest
from gradcost.graph import Graph
from gradcost.plugins import installed
from gradcost.schedule.program import Plan
from gradcost.schedule.strategy import Option, Options, Strategy
from gradcost.strategies import (
    forward_factored,
    forward_gradient,
    forward_jacobian,
    forward_jvp,
    optimal,
    reverse,
    reverse_checkpointed,
)
from gradcost.strategies.primal import PRIMAL

STRATEGIES: dict[str, Strategy] = {
    strategy.name: strategy
    for strategy in (
        reverse.STRATEGY,
        reverse_checkpointed.STRATEGY,
        forward_jacobian.STRATEGY,
        forward_factored.STRATEGY,
        forward_jvp.STRATEGY,
        forward_gradient.STRATEGY,
        optimal.STRATEGY,
        *installed("gradcost.strategies", Strategy),
    )
}
OPTIONS: dict[str, Option] = {option.name: option for s in STRATEGIES.values() for option in s.options}
ALIASES: dict[str, str] = {alias: name for name, s in STRATEGIES.items() for alias in s.aliases}


def applying(graph: Graph) -> list[str]:
    """Return the names of the strategies that can differentiate what a network is asked for."""
    return [name for name, strategy in STRATEGIES.items() if graph.trained and strategy.applies(graph)]


def known(options: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return options of strategies. Raises ``UsageError`` for a name that none has."""
    for name in options:
        if name not in OPTIONS:
            raise UsageError(f"unknown option {name!r}{nearest(name, OPTIONS)}")
    return options


def named(name: str) -> str:
    """Return the name of a strategy from its name or an alias. Raises ``UsageError`` for others."""
    found = ALIASES.get(name, name)
    if found not in STRATEGIES:
        raise UsageError(f"unknown strategy {name!r}{nearest(name, [*STRATEGIES, *ALIASES])}")
    return found


def chosen(graph: Graph, strategies: str | Sequence[str] | None) -> list[str]:
    """Return the strategies asked for, in their order; None: all that apply. Raises ``UsageError`` for other names."""
    apply = applying(graph)
    if strategies is None:
        return apply
    if not graph.trained:
        raise UsageError("no parameter is trainable, so there is no gradient; unfreeze a layer, or name no strategy")
    wanted = {named(name) for name in ([strategies] if isinstance(strategies, str) else strategies)}
    for name in wanted:
        if name not in apply:
            raise UsageError(
                f"{name} differentiates a loss, not the whole output of a layer; leave it or --outputs out"
            )
    if not wanted:
        raise UsageError(f"name at least one strategy{nearest('', STRATEGIES)}")
    return [name for name in STRATEGIES if name in wanted]


__all__ = [
    "ALIASES",
    "OPTIONS",
    "PRIMAL",
    "STRATEGIES",
    "Option",
    "Options",
    "Plan",
    "Strategy",
    "applying",
    "chosen",
    "known",
    "named",
]
