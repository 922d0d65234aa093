"""fit: the largest batch that a memory allows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gradcost.errors import SpecError
from gradcost.graph import Graph
from gradcost.network import load
from gradcost.report.training import Memory, split_options, training_of
from gradcost.spec.fields import MAX_SIZE
from gradcost.spec.training import Training
from gradcost.units import parse_bytes

CHANGES: Mapping[str, Sequence[str | None]] = {  # choices that move the batch, and what they are tried with
    "attention": ("eager", "fused"),
    "precision": (None, "autocast", "bfloat16"),
    "optimizer": ("sgd", "adam"),
}


@dataclass(frozen=True, slots=True)
class Fit:
    """The largest batch of one strategy.

    Attributes:
        strategy: which.
        batch: the largest whose predicted peak fits; 0 where not even the smallest that the spec allows does.
        peak_bytes: its peak, or that of the smallest where none fits.
        next_bytes: the peak of one sample more, or of the smallest batch where none fits; None at the largest batch
            that there is.
        change: the one choice that differs from what was asked, as ``precision: autocast``; empty: none does.
    """

    strategy: str
    batch: int
    peak_bytes: int
    next_bytes: int | None
    change: str = ""


def fit(
    source: str | Path | Mapping[str, Any] | Graph,
    memory: int | str,
    *,
    strategies: str | Sequence[str] | None = None,
    training: Training | None = None,
    memory_of: str = "numpy",
    **options: Any,
) -> list[Fit]:
    """Find, for each strategy, the largest batch whose predicted peak fits into a memory.

    The peak never falls when the batch grows, so doubling and halving find it in about two predictions for each bit.

    Args:
        source: see ``load``.
        memory: bytes, or text such as ``16GiB``.
        strategies: a name, or several; None: all that apply.
        training: how it is trained; None: as the spec and ``options`` say.
        memory_of: ``numpy`` or ``pytorch``; see ``training_memory``.
        options: of the strategies (see ``study``), and choices of how to train.

    Raises:
        SpecError: the spec cannot be used.
        UsageError: an unknown strategy, option or choice.
    """
    network = load(source)
    own, choices = split_options(options)
    priced = Memory(training or training_of(network, choices, memory_of), memory_of, own)
    return [_fit(network, name, _bytes(memory), priced) for name in priced.strategies(network, strategies)]


def other_choices(
    source: str | Path | Mapping[str, Any] | Graph, memory: int | str, training: Training
) -> Iterator[Fit]:
    """Yield what each single change of how to train in PyTorch would make of the batch of ``reverse``."""
    network, room = load(source), _bytes(memory)
    plain = _fit(network, "reverse", room, Memory(training, "pytorch", {}))
    for name, values in CHANGES.items():
        for value in values:
            if value == getattr(training, name):
                continue
            changed = Training(**{**training.told, name: value})
            found = _fit(network, "reverse", room, Memory(changed, "pytorch", {}))
            if found.batch != plain.batch:
                yield replace(found, change=f"{name}: {value or network.dtype}")


def _bytes(memory: int | str) -> int:
    return parse_bytes(memory) if isinstance(memory, str) else memory


def _fit(network: Graph, name: str, memory: int, priced: Memory) -> Fit:
    peaks: dict[int, int] = {}

    def peak(batch: int) -> int:
        if batch not in peaks:
            peaks[batch] = priced.of(load(network, batch=batch), name, memory).total
        return peaks[batch]

    low = _smallest(network)
    if peak(low) > memory:
        return Fit(name, 0, peak(low), peak(low))
    high = 2 * low
    while high <= MAX_SIZE and peak(high) <= memory:
        low, high = high, 2 * high
    high = min(high, MAX_SIZE + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if peak(middle) <= memory else (low, middle)
    return Fit(name, low, peak(low), None if low == MAX_SIZE else peak(low + 1))


def _smallest(network: Graph) -> int:
    """Return the smallest batch that the spec allows: statistics of a batch need more than one sample."""
    for batch in (1, 2):
        try:
            load(network, batch=batch)
        except SpecError:
            continue
        return batch
    return network.batch
