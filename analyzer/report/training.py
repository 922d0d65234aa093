"""What training holds: the strategy's own peak, and beside it the optimizer's state and master copy of the weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradcost.errors import UsageError, nearest
from gradcost.graph import Graph
from gradcost.network import load
from gradcost.schedule.predict import predict
from gradcost.strategies import STRATEGIES, Options, chosen, known

# Numbers kept for each trained parameter: Robbins & Monro 1951; Polyak 1964; Kingma & Ba 2015, algorithm 1 (m and v).
OPTIMIZERS = {"none": 0, "sgd": 0, "momentum": 1, "adam": 2}
STORED_BYTES = {"float16": 2, "bfloat16": 2}
MASTER_BYTES = 4


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
        if self.precision is not None and self.precision not in STORED_BYTES:
            raise UsageError(f"unknown precision {self.precision!r}{nearest(self.precision, STORED_BYTES)}")

    def item_bytes(self, network: Graph) -> int:
        """Return the bytes of one number that the strategy handles."""
        return network.item_bytes if self.precision is None else STORED_BYTES[self.precision]

    def master_bytes(self, network: Graph) -> int:
        """Return the bytes of the copy of the trained parameters that the optimizer works on."""
        return 0 if self.precision is None or self.optimizer == "none" else MASTER_BYTES * network.trained_parameters

    def state_bytes(self, network: Graph) -> int:
        """Return the bytes of the optimizer's state."""
        each = network.item_bytes if self.precision is None else MASTER_BYTES
        return OPTIMIZERS[self.optimizer] * each * network.trained_parameters

    def total_bytes(self, network: Graph, peak_bytes: int) -> int:
        """Return all that is held at a strategy's peak; the optimizer's part is there throughout."""
        held = self.master_bytes(network) + self.state_bytes(network)
        return peak_bytes // network.item_bytes * self.item_bytes(network) + held


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
    found = []
    for name in chosen(network, strategies):
        peak = predict(STRATEGIES[name].plan(network, Options(**known(options)))).peak_bytes
        parameters = network.parameters * training.item_bytes(network)
        master, state = training.master_bytes(network), training.state_bytes(network)
        rest = training.total_bytes(network, peak) - parameters - master - state
        found.append(TrainingMemory(name, parameters, master, state, rest))
    return found
