"""fit: the largest batch that a memory allows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradcost.graph import Graph
from gradcost.network import load
from gradcost.report import Training
from gradcost.schedule.predict import predict
from gradcost.spec.fields import MAX_SIZE
from gradcost.strategies import STRATEGIES, Options, chosen, known
from gradcost.units import parse_bytes

PLAIN = Training()


@dataclass(frozen=True, slots=True)
class Fit:
    """The largest batch of one strategy.

    Attributes:
        strategy: which.
        batch: the largest whose predicted peak fits; 0 where not even one sample does.
        peak_bytes: its peak, or that of one sample where none fits.
        next_bytes: the peak of one sample more; None at the largest batch that there is.
    """

    strategy: str
    batch: int
    peak_bytes: int
    next_bytes: int | None


def fit(
    source: str | Path | Mapping[str, Any] | Graph,
    memory: int | str,
    *,
    strategies: str | Sequence[str] | None = None,
    training: Training = PLAIN,
    **options: Any,
) -> list[Fit]:
    """Find, for each strategy, the largest batch whose predicted peak fits into a memory.

    The peak never falls when the batch grows, so doubling and halving find it in about two predictions for each bit.

    Args:
        source: see ``load``.
        memory: bytes, or text such as ``16GiB``.
        strategies: a name, or several; None: all that apply.
        training: what an optimizer holds besides, and how the numbers are stored.
        options: of the strategies (see ``study``).

    Raises:
        SpecError: the spec cannot be used.
        UsageError: an unknown strategy or option.
    """
    network = load(source)
    room = parse_bytes(memory) if isinstance(memory, str) else memory
    return [_fit(network, name, room, options, training) for name in chosen(network, strategies)]


def _fit(network: Graph, name: str, memory: int, given: Mapping[str, Any], training: Training) -> Fit:
    stored, held = training.stored(network), training.held_bytes(network)
    options = Options(budget=max(0, memory - held), **known(given))
    peaks: dict[int, int] = {}

    def peak(batch: int) -> int:
        if batch not in peaks:
            peaks[batch] = held + predict(STRATEGIES[name].plan(load(stored, batch=batch), options)).peak_bytes
        return peaks[batch]

    if peak(1) > memory:
        return Fit(name, 0, peak(1), peak(1))
    low, high = 1, 2
    while high <= MAX_SIZE and peak(high) <= memory:
        low, high = high, 2 * high
    high = min(high, MAX_SIZE + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if peak(middle) <= memory else (low, middle)
    return Fit(name, low, peak(low), None if low == MAX_SIZE else peak(low + 1))
