"""How people train: the choices that a training step's memory depends on, declared once.

The spec's ``training:``, the command line and Python read them here; ``memory_of`` says what each costs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from gradcost.errors import SpecError, UsageError
from gradcost.spec.fields import Bool, Choice, Field, Int, Named, read_mapping
from gradcost.spec.located import Located


@dataclass(frozen=True, slots=True)
class Setting:
    """A choice of how to train.

    Attributes:
        field: reads it; its default is that of a plain loop.
        about: what it is, in a sentence.
        numpy: whether it also says something of gradcost's own runs, and not of PyTorch's alone.
    """

    field: Field
    about: str
    numpy: bool = False

    @property
    def written(self) -> str | None:
        """Its values, as a command's help lists them; None where it is a flag."""
        if isinstance(self.field, Bool):
            return None
        return "|".join(self.field.allowed) if isinstance(self.field, Choice | Named) else "N"


SETTINGS: Mapping[str, Setting] = {
    "optimizer": Setting(
        Choice("none", ("none", "sgd", "momentum", "adam", "adamw", "adafactor")),
        "The optimizer, whose state and step are counted.",
        numpy=True,
    ),
    "precision": Setting(
        Choice(None, ("float32", "float16", "bfloat16", "autocast")),
        "What numbers are stored in; autocast: float32, with products in bfloat16. Default: the network's own dtype.",
        numpy=True,
    ),
    "master": Setting(
        Bool(False),
        "Whether the optimizer works on a float32 copy of parameters in 16 bits.",
        numpy=True,
    ),
    "zero_grad": Setting(
        Choice("none", ("none", "zero")), "Before a step, gradients are set to None, or to zero and stay allocated."
    ),
    "accumulate": Setting(Int(1), "Micro-batches, each of the network's batch, between two steps of the optimizer."),
    "checkpoints": Setting(
        Named("none", ("none", "blocks", "list:A,B")),
        "What is run again on the way back: nothing, each block of the spec, or the blocks and layers of a list.",
    ),
    "attention": Setting(
        Choice("fused", ("fused", "grouped", "eager")),
        "Attention as one operation, on keys that are repeated for each head or not, or as its products.",
    ),
    "projections": Setting(
        Choice("separate", ("separate", "packed", "module")),
        "Queries, keys and values: three layers, one that is split, or as nn.MultiheadAttention makes them.",
    ),
    "inplace": Setting(Bool(True), "Whether relu and leaky_relu write over their operand."),
    "cross_entropy": Setting(
        Named("whole", ("whole", "chunked:N")),
        "Logits and their loss for all positions at once, or in N parts that are run again on the way back.",
    ),
    "keep_outputs": Setting(Bool(False), "Whether a step's output and loss are held while the next one's are made."),
    "onednn": Setting(Bool(True), "On a cpu, whether an lstm runs as one kernel of oneDNN, or step by step."),
    "device": Setting(
        Choice("cuda", ("cuda", "cpu")),
        "Which settles the kernels, autocast's lists, and whether optimizers work on all.",
    ),
}


@dataclass(frozen=True, slots=True)
class Training:
    """A training step's choices (see ``SETTINGS``); the defaults are those of a plain loop."""

    optimizer: str = "none"
    precision: str | None = None
    master: bool = False
    zero_grad: str = "none"
    accumulate: int = 1
    checkpoints: str = "none"
    attention: str = "fused"
    projections: str = "separate"
    inplace: bool = True
    cross_entropy: str = "whole"
    keep_outputs: bool = False
    onednn: bool = True
    device: str = "cuda"

    def __post_init__(self) -> None:
        """Refuse what there is not. Raises ``UsageError``."""
        for name, setting in SETTINGS.items():
            value = getattr(self, name)
            if value == setting.field.default:
                continue
            try:
                setting.field.read(Located(value, name), name)
            except SpecError as error:
                raise UsageError(error.problem) from None

    @property
    def told(self) -> dict[str, Any]:
        """What is other than in a plain loop."""
        return {
            each.name: getattr(self, each.name) for each in fields(self) if getattr(self, each.name) != each.default
        }


def read_training(node: Located) -> Mapping[str, Any]:
    """Read ``training:``: the choices that are made there. Raises ``SpecError``."""
    read = read_mapping(node, {name: setting.field for name, setting in SETTINGS.items()}, "training")
    return {name: read[name] for name in node.value}
