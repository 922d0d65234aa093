"""What a framework's own training step holds: its operations, what they keep, and how long (``--memory-of``)."""

from __future__ import annotations

from dataclasses import replace

from gradcost.errors import UsageError
from gradcost.graph import Graph
from gradcost.memory_of.step import Held, forward_pass, training_step
from gradcost.spec.training import Training

FRAMEWORKS = ("numpy", "pytorch")

# The strategies that PyTorch's autograd runs, and what each checkpoints where nothing is said.
CHECKPOINTS = {"reverse": "none", "reverse_checkpointed": "blocks"}


def step_of(graph: Graph, strategy: str, training: Training) -> Held:
    """Predict the peak of a training step by a strategy.

    Raises:
        UsageError: PyTorch does not run that strategy, or what is asked for does not fit the network.
    """
    if strategy not in CHECKPOINTS:
        raise UsageError(
            f"PyTorch's training step is {' or '.join(CHECKPOINTS)}, not {strategy}; leave --memory-of out"
        )
    own = CHECKPOINTS[strategy]
    return training_step(graph, replace(training, checkpoints=own if own == "none" else _blocks(training)))


def _blocks(training: Training) -> str:
    return CHECKPOINTS["reverse_checkpointed"] if training.checkpoints == "none" else training.checkpoints


__all__ = ["CHECKPOINTS", "FRAMEWORKS", "Held", "forward_pass", "step_of", "training_step"]
