"""The comparison in one sentence."""

from __future__ import annotations

from collections.abc import Mapping

from gradcost.report.model import StrategyReport, Target
from gradcost.units import format_bytes, format_count, format_ratio

REASONS = {
    "forward_jacobian": (
        "past its birth each da[l]/dW[j] that it carries is n_l x n_j x n_(j-1) numbers per sample, for every "
        "earlier j, where reverse carries one vector of n_l"
    ),
    "forward_factored": (
        "each da[l]/dz[j] that it carries is n_l x n_j numbers per sample, for every earlier j, where reverse "
        "carries one vector of n_l"
    ),
    "reverse_checkpointed": "it runs parts of the forward sweep again instead of keeping their activations",
    "forward_jvp": "it runs the network again for every chunk of parameters, keeping next to nothing in between",
}
NEARLY = 1.25


def recommend(strategies: Mapping[str, StrategyReport], budget: int | None) -> str:
    """Return the exact strategy with the fewest multiplies among those within the budget, else the smallest.

    An estimate wins only where there is nothing else.
    """
    exact = {name: s.predicted for name, s in strategies.items() if s.exact}
    exact = exact or {name: s.predicted for name, s in strategies.items()}
    fitting = {name: p for name, p in exact.items() if budget is None or p.peak_bytes <= budget}
    if not fitting:
        return min(exact, key=lambda name: (exact[name].peak_bytes, exact[name].multiplies))
    return min(fitting, key=lambda name: (fitting[name].multiplies, fitting[name].peak_bytes))


def verdict(strategies: Mapping[str, StrategyReport], recommended: str, budget: int | None, target: Target) -> str:
    """Say which strategy wins, by what factors over which rival, and where those come from."""
    best = strategies[recommended].predicted
    cost = f"{format_count(best.multiplies)} multiplies and {format_bytes(best.peak_bytes)} at the peak"
    if budget is not None and best.peak_bytes > budget:
        cost += f", though that is over the budget of {format_bytes(budget)}"
    rival_name = _rival(strategies, recommended)
    if rival_name is None:
        return f"{recommended} takes {cost}."
    rival = strategies[rival_name].predicted
    factors = (
        f"{format_ratio(rival.multiplies, best.multiplies)} the multiplies "
        f"({format_ratio(rival.macs, best.macs)} the MACs) and "
        f"{format_ratio(rival.peak_bytes, best.peak_bytes)} the memory"
    )
    if target.outputs != "loss":
        return f"{recommended} wins with {cost}; {rival_name} takes {factors}{_break_even(target)}."
    tie = " - nearly a tie in MACs -" if max(rival.macs, best.macs) <= NEARLY * min(rival.macs, best.macs) else ","
    if rival_name in REASONS:
        reason = f"because {REASONS[rival_name]}"
    elif budget is not None and rival.peak_bytes > budget:
        reason = f"over the budget of {format_bytes(budget)}, because it keeps every activation for its walk back"
    else:
        reason = "because so little is carried forward here that no walk back pays"
    return f"{recommended} wins with {cost}; {rival_name} takes {factors}{tie} {reason}."


def _break_even(target: Target) -> str:
    if target.forward_below is None:
        return ""
    fewer = f"fewer than {format_count(target.forward_below)} {'inputs' if target.wrt == 'inputs' else 'parameters'}"
    return (
        f". Break-even: jacfwd (forward_jvp) beats jacrev (reverse) where {fewer} feed the "
        f"{format_count(target.rows)} output{'s' * (target.rows != 1)}; here they are {format_count(target.columns)}"
    )


def _rival(strategies: Mapping[str, StrategyReport], recommended: str) -> str | None:
    """Return what the winner is held against: reverse, or forward accumulation where reverse has won."""
    order = ("reverse", "forward_jacobian", *strategies)
    return next((name for name in order if name in strategies and name != recommended), None)
