"""The strategies: each is a file that schedules, and a line here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gradcost.errors import UsageError, nearest
from gradcost.graph import Graph
from gradcost.schedule.program import Plan
from gradcost.strategies import (
    forward_factored,
    forward_gradient,
    forward_jacobian,
    forward_jvp,
    optimal,
    reverse,
    reverse_checkpointed,
)


@dataclass(frozen=True, slots=True)
class Options:
    """What a strategy can be told.

    Attributes:
        chunk: tangents that ``forward_jvp`` pushes in one pass, and ``forward_gradient`` in its only one.
        checkpoints: the schedule of ``reverse_checkpointed``; None: the cheapest within the budget, else ``sqrt``.
        budget: elements that may be alive at once, where a strategy can choose.
    """

    chunk: int = 1
    checkpoints: str | None = None
    budget: int | None = None


@dataclass(frozen=True, slots=True)
class Strategy:
    """A way to get the gradient.

    Attributes:
        name: as the command line knows it.
        carries: what it carries, in a few words.
        exact: whether its gradient is exact, up to rounding.
        plan: makes its schedule for a network.
        jacobians: whether it also differentiates a whole output, and not a loss alone.
    """

    name: str
    carries: str
    exact: bool
    plan: Callable[[Graph, Options], Plan]
    jacobians: bool = False


STRATEGIES: dict[str, Strategy] = {
    strategy.name: strategy
    for strategy in (
        Strategy(
            "reverse",
            "activations kept, then delta = dL/dz walks back",
            True,
            lambda graph, options: reverse.plan(graph),
            jacobians=True,
        ),
        Strategy(
            "reverse_checkpointed",
            "some activations kept, the rest computed again on the way back",
            True,
            lambda graph, options: reverse_checkpointed.plan(graph, options.checkpoints, options.budget),
        ),
        Strategy(
            "forward_jacobian",
            "da[l]/dW[j] for all j <= l, compact at birth, dense after",
            True,
            lambda graph, options: forward_jacobian.plan(graph),
            jacobians=True,
        ),
        Strategy(
            "forward_factored",
            "da[l]/dz[j]; the factor a[j-1] waits",
            True,
            lambda graph, options: forward_factored.plan(graph),
        ),
        Strategy(
            "forward_jvp",
            "one tangent (or a chunk) per parameter, repeated passes",
            True,
            lambda graph, options: forward_jvp.plan(graph, options.chunk),
            jacobians=True,
        ),
        Strategy(
            "forward_gradient",
            "random tangents (--chunk) in one pass: an unbiased estimate",
            False,
            lambda graph, options: forward_gradient.plan(graph, options.chunk),
        ),
        Strategy(
            "optimal",
            "the Jacobian chain bracketed by dynamic programming",
            True,
            lambda graph, options: optimal.plan(graph),
            jacobians=True,
        ),
    )
}


def applying(graph: Graph) -> list[str]:
    """Return the names of the strategies that can differentiate what a network is asked for."""
    return [name for name, strategy in STRATEGIES.items() if strategy.jacobians or not graph.jacobian]


def chosen(graph: Graph, strategies: Sequence[str] | None) -> list[str]:
    """Return the strategies asked for, in their order; None: all that apply. Raises ``UsageError`` for other names."""
    apply = applying(graph)
    if strategies is None:
        return apply
    for name in strategies:
        if name not in STRATEGIES:
            raise UsageError(f"unknown strategy {name!r}{nearest(name, STRATEGIES)}")
        if name not in apply:
            raise UsageError(
                f"{name} differentiates a loss, not the whole output of a layer; leave it or --outputs out"
            )
    if not strategies:
        raise UsageError(f"name at least one strategy{nearest('', STRATEGIES)}")
    return [name for name in STRATEGIES if name in strategies]


__all__ = ["STRATEGIES", "Options", "Plan", "Strategy", "applying", "chosen"]
