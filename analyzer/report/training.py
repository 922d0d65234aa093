"""What training holds: the strategy's own peak, and beside it the optimizer's state and master copy of the weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradcost.errors import UsageError, nearest
from gradcost.graph import Graph
from gradcost.network import load, stored_in
from gradcost.schedule.predict import predict
from gradcost.strategies import STRATEGIES, Options, chosen, known
from gradcost.units import ITEM_BYTES

# Numbers kept for each trained parameter: Robbins & Monro 1951; Polyak 1964; Kingma & Ba 2015, algorithm 1 (m and v).
OPTIMIZERS = {"none": 0, "sgd": 0, "momentum": 1, "adam": 2}
STORED = ("float16", "bfloat16")
MASTER_BYTES = ITEM_BYTES["float32"]


@dataclass(frozen=True, slots=True)
class Training:
    """How training keeps its numbers.

    Attributes:
        optimizer: ``none``, ``sgd``, ``momentum`` or ``adam``.
        precision: ``float16`` or ``bfloat16``: parameters, activations and gradients are stored in it, and the
            optimizer works on a float32 copy of the parameters with a float32 state (Micikevicius et al. 2018);
            None: all is in the network's own dtype.
    """

    optimizer: str = "none"
    precision: str | None = None

    def __post_init__(self) -> None:
        """Refuse what there is not. Raises ``UsageError``."""
        if self.optimizer not in OPTIMIZERS:
            raise UsageError(f"unknown optimizer {self.optimizer!r}{nearest(self.optimizer, OPTIMIZERS)}")
        if self.precision is not None and self.precision not in STORED:
            raise UsageError(f"unknown precision {self.precision!r}{nearest(self.precision, STORED)}")

    def stored(self, network: Graph) -> Graph:
        """Return the network that the strategy handles: its numbers are of the precision, its indices as they are."""
        return network if self.precision is None else stored_in(network, self.precision)

    def master_bytes(self, network: Graph) -> int:
        """Return the bytes of the copy of the trained parameters that the optimizer works on."""
        return 0 if self.precision is None or self.optimizer == "none" else MASTER_BYTES * network.trained_parameters

    def state_bytes(self, network: Graph) -> int:
        """Return the bytes of the optimizer's state."""
        each = network.item_bytes if self.precision is None else MASTER_BYTES
        return OPTIMIZERS[self.optimizer] * each * network.trained_parameters

    def held_bytes(self, network: Graph) -> int:
        """Return the bytes of the optimizer's part, which is there throughout, beside all that a strategy handles."""
        return self.master_bytes(network) + self.state_bytes(network)


@dataclass(frozen=True, slots=True)
class TrainingMemory:
    """What training with one strategy holds at its peak, in bytes.

    Attributes:
        strategy: which.
        parameters: the network's own, frozen ones included.
        master: the float32 copy of the trained ones.
        state: the optimizer's.
        rest: gradients, activations, Jacobians, data and workspace, as much of it as is alive at the peak.
    """

    strategy: str
    parameters: int
    master: int
    state: int
    rest: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.parameters + self.master + self.state + self.rest


def training_memory(
    source: str | Path | Mapping[str, Any] | Graph,
    training: Training,
    *,
    batch: int | None = None,
    strategies: str | Sequence[str] | None = None,
    **options: Any,
) -> list[TrainingMemory]:
    """Predict what training holds with each strategy; ``options`` are those of the strategies (see ``study``).

    Raises:
        SpecError: the spec cannot be used.
        UsageError: an unknown strategy or option.
    """
    network = load(source, batch=batch)
    stored, master, state = training.stored(network), training.master_bytes(network), training.state_bytes(network)
    parameters = stored.parameters * stored.item_bytes
    found = []
    for name in chosen(network, strategies):
        peak = predict(STRATEGIES[name].plan(stored, Options(**known(options)))).peak_bytes
        found.append(TrainingMemory(name, parameters, master, state, peak - parameters))
    return found
