"""The comparison in a few sentences, true of the network at hand: its reasons are figures of the table of layers."""

from __future__ import annotations

from collections.abc import Mapping

from gradcost.report.facing import INPUT, folded
from gradcost.report.figures import Predicted
from gradcost.report.model import Facing, StrategyReport, Target
from gradcost.schedule.strategy import RANKS
from gradcost.strategies import STRATEGIES
from gradcost.units import exact_ratio, format_bytes, format_count, format_ratio, format_short

TIE = 1.05  # two figures this close are a tie
BASELINE = "reverse"


def recommend(strategies: Mapping[str, StrategyReport], budget: int | None, by: str = RANKS[0]) -> str | None:
    """Return the exact strategy with the least of ``by`` among those within the budget, else the smallest.

    An estimate wins only where there is nothing else; None where there is nothing at all.
    """
    exact = {name: s.predicted for name, s in strategies.items() if s.exact}
    exact = exact or {name: s.predicted for name, s in strategies.items()}
    fitting = {name: p for name, p in exact.items() if budget is None or p.peak_bytes <= budget}
    if fitting:
        return min(fitting, key=lambda name: (fitting[name][by], *(fitting[name][key] for key in RANKS)))
    return min(exact, key=lambda name: (exact[name].peak_bytes, exact[name].multiplies), default=None)


def verdict(
    strategies: Mapping[str, StrategyReport],
    recommended: str | None,
    primal: StrategyReport,
    budget: int | None,
    target: Target,
    facing: Facing,
) -> str:
    """Say which strategy wins, by what factors over which rival, and where those come from.

    Args:
        strategies: that were compared.
        recommended: the one that wins.
        primal: the forward pass alone.
        budget: bytes that the caller set.
        target: what is differentiated.
        facing: the table of layers of the recommended strategy and its rival, and perhaps others.
    """
    if recommended is None:
        return (
            f"Nothing is trainable here, so no gradient is compared: the forward pass takes {_cost(primal.predicted)}."
        )
    best = strategies[recommended].predicted
    if budget is not None and best.peak_bytes > budget:
        return (
            f"Nothing fits the budget of {format_bytes(budget)}: {recommended} comes nearest, with "
            f"{_cost(best)}{_beside(strategies, recommended)}."
        )
    rival_name = rival(strategies, recommended)
    if rival_name is None:
        return f"{recommended} takes {_cost(best)}."
    other = strategies[rival_name].predicted
    if _tied(other, best):
        factors = f"{recommended} and {rival_name} tie: {_cost(best)} against {_cost(other)}"
    else:
        factors = f"{recommended} wins with {_cost(best)}; {rival_name} takes {_factors(other, best)}"
    level = [name for name, s in strategies.items() if s.exact and s.same_as is None and _tied(s.predicted, best)]
    level = [name for name in level if name not in (recommended, rival_name)]
    if level:
        factors += f" ({' and '.join(level)} {'ties' if len(level) == 1 else 'tie'} with {recommended})"
    if target.outputs != "loss":
        return f"{factors}{_break_even(target)}."
    if budget is not None and other.peak_bytes > budget:
        return f"{factors}, over the budget of {format_bytes(budget)}."
    return f"{factors}{_reason(strategies, recommended, rival_name, facing)}."


def rival(strategies: Mapping[str, StrategyReport], recommended: str) -> str | None:
    """Return what the winner is held against: reverse, or forward accumulation where reverse has won."""
    order = (BASELINE, "forward_jacobian", *strategies)
    return next((name for name in order if name in strategies and name != recommended), None)


def _cost(figures: Predicted) -> str:
    return f"{format_short(figures.multiplies)} multiplies and {format_bytes(figures.peak_bytes)} at the peak"


def _factors(other: Predicted, best: Predicted) -> str:
    memory = f"{format_ratio(other.peak_bytes, best.peak_bytes)} the memory"
    if not best.multiplies:  # no factor leads from nothing to something
        return f"{format_short(other.multiplies)} multiplies and {memory}"
    macs = f"{format_ratio(other.macs, best.macs)} the MACs" if best.macs else f"{format_short(other.macs)} MACs"
    if _near(other.macs, best.macs):
        macs = "a tie in MACs"
    return f"{format_ratio(other.multiplies, best.multiplies)} the multiplies ({macs}) and {memory}"


def _near(one: int, other: int) -> bool:
    return max(one, other) <= TIE * min(one, other)


def _tied(one: Predicted, other: Predicted) -> bool:
    return _near(one.multiplies, other.multiplies) and _near(one.peak_bytes, other.peak_bytes)


def _beside(strategies: Mapping[str, StrategyReport], recommended: str) -> str:
    if BASELINE not in strategies or recommended == BASELINE:
        return ""
    base = strategies[BASELINE].predicted
    return f", beside {format_bytes(base.peak_bytes)} of {BASELINE}"


def _reason(strategies: Mapping[str, StrategyReport], recommended: str, rival_name: str, facing: Facing) -> str:
    """Say where the difference comes from: what runs again, or what is carried at the layer where that is most."""
    for name in (rival_name, recommended):
        again, all_of_it = strategies[name].phase("recompute").multiplies, strategies[name].predicted.multiplies
        if again:
            return f". {name} runs {100 * exact_ratio(again, all_of_it):.3g} % of its multiplies for a second time"
    because = STRATEGIES[rival_name].because
    if because is not None:
        return f", because {because}"
    if not {recommended, rival_name} <= set(facing.strategies) or not facing.rows:
        return ""
    own, others = facing.strategies.index(recommended), facing.strategies.index(rival_name)
    shown = [row for row in folded(facing.rows) if row.shape]  # layers and blocks of the table
    widest = max(shown, key=lambda row: max(side.carried for side in row.sides))
    here, there = widest.sides[own].carried, widest.sides[others].carried
    what, less = (STRATEGIES[name].carried for name in (rival_name, recommended))
    if any(row.type == INPUT for row in facing.rows):
        what, less = (text.replace("dW[1..l]", "dX") for text in (what, less))
    beside = f"{recommended} {format_short(here)} of {less}"
    subject = rival_name if _tied(strategies[rival_name].predicted, strategies[recommended].predicted) else "it"
    return f". At `{widest.name}` {subject} carries {format_short(there)} numbers of {what}, {beside}"


def _break_even(target: Target) -> str:
    if target.forward_below is None:
        return ""
    fewer = f"fewer than {format_count(target.forward_below)} {'inputs' if target.wrt == 'inputs' else 'parameters'}"
    return (
        f". Break-even: jacfwd (forward_jvp) beats jacrev (reverse) where {fewer} feed the "
        f"{format_count(target.rows)} output{'s' * (target.rows != 1)}; here they are {format_count(target.columns)}"
    )
