"""What training holds: a strategy's own peak, and beside it the optimizer's state and a copy of the weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import prod
from pathlib import Path
from typing import Any

from gradcost.errors import UsageError, nearest
from gradcost.graph import Graph
from gradcost.memory_of import CHECKPOINTS, FRAMEWORKS, forward_pass, step_of
from gradcost.memory_of.optimizers import OPTIMIZERS
from gradcost.network import load, stored_in
from gradcost.schedule.predict import Prediction, predict
from gradcost.spec.training import SETTINGS, Training
from gradcost.strategies import OPTIONS, PRIMAL, STRATEGIES, Options, chosen, known
from gradcost.units import ITEM_BYTES

MASTER = "float32"


@dataclass(frozen=True, slots=True)
class TrainingMemory:
    """What training with one strategy holds at its peak, in bytes.

    Attributes:
        strategy: which; ``primal``: a forward pass alone.
        parameters: the network's own, frozen ones included.
        master: the float32 copy of the trained ones.
        state: the optimizer's.
        rest: gradients, activations, Jacobians, data and workspace, as much of it as is alive at the peak.
        at: the layer and the phase of the peak.
        cache: keys and values of earlier tokens.
    """

    strategy: str
    parameters: int
    master: int
    state: int
    rest: int
    at: tuple[str, str] = ("", "")
    cache: int = 0

    @property
    def total(self) -> int:
        """All of it."""
        return self.parameters + self.master + self.state + self.rest + self.cache


def training_of(network: Graph, given: Mapping[str, Any], memory_of: str = "numpy") -> Training:
    """Return the choices of the spec, with what is given in their place; None, or a name that is missing: the spec's.

    Raises:
        UsageError: a choice that there is not, or one that is PyTorch's alone.
    """
    if memory_of not in FRAMEWORKS:
        raise UsageError(f"unknown memory_of {memory_of!r}{nearest(str(memory_of), FRAMEWORKS)}")
    told = {name: value for name, value in given.items() if value is not None}
    for name in told:
        if name not in SETTINGS:
            raise UsageError(f"unknown option {name!r}{nearest(name, [*SETTINGS, *OPTIONS])}")
        if memory_of == "numpy" and not SETTINGS[name].numpy:
            raise UsageError(f"{name} says how PyTorch trains; add --memory-of pytorch, or leave it out")
    return Training(**{**network.spec.training, **told})


NOT_COUNTED = (
    "What cuda does otherwise than the cpu was read in PyTorch's source, not run. Not counted: workspaces of cuDNN and "
    "cuBLAS, the allocator's rounding, the CUDA context."
)


def said(network: Graph, training: Training, memory_of: str) -> tuple[str, list[str]]:
    """Return how a network is trained, in a few words, and notes on where its figures come from."""
    stored = training.precision or network.dtype
    words = [f"with {training.optimizer}" if training.optimizer != "none" else "without an optimizer"]
    words.append(f"under autocast of {network.dtype}" if stored == "autocast" else f"stored in {stored}")
    told = {name: value for name, value in training.told.items() if name not in ("optimizer", "precision", "device")}
    told = {name: value for name, value in told.items() if memory_of != "numpy" or SETTINGS[name].numpy}
    words += [f"{name} {str(value).lower() if isinstance(value, bool) else value}" for name, value in told.items()]
    if memory_of == "numpy":
        return ", ".join(words), []
    return f"{', '.join(words)}, in PyTorch on {training.device}", [NOT_COUNTED] if training.device == "cuda" else []


def split_options(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Part keywords into options of strategies and choices of how to train; some are both."""
    choices = {name: value for name, value in options.items() if name in SETTINGS and name not in OPTIONS}
    return {name: value for name, value in options.items() if name not in choices}, choices


class Memory:
    """Prices what a network holds in training, by numpy's rules or by PyTorch's.

    Attributes:
        memory_of: ``numpy`` or ``pytorch``.
        training: how it is trained.
        options: of the strategies.
    """

    def __init__(self, training: Training, memory_of: str, options: Mapping[str, Any]) -> None:
        """Take the choices. Raises ``UsageError`` for what numpy has not."""
        self.training, self.memory_of, self.options = training, memory_of, dict(known(options))
        if memory_of == "numpy":
            if training.precision == "autocast":
                raise UsageError("autocast is PyTorch's; add --memory-of pytorch, or take --precision bfloat16")
            return
        told = self.options.get("checkpoints")
        self.training = Training(**{**training.told, **({} if told is None else {"checkpoints": told})})
        again = self.training.checkpoints
        self.options["checkpoints"] = CHECKPOINTS["reverse_checkpointed"] if again == "none" else again

    def strategies(self, network: Graph, names: str | Sequence[str] | None) -> list[str]:
        """Return the strategies that are asked for, or all that apply. Raises ``UsageError``."""
        found = chosen(network, names)
        if self.memory_of == "numpy":
            return found
        if names is not None:
            for name in found:
                if name not in CHECKPOINTS:
                    only = " and ".join(CHECKPOINTS)
                    raise UsageError(f"PyTorch trains by {only}, not by {name}; leave --memory-of out")
        return [name for name in found if name in CHECKPOINTS]

    def of(self, network: Graph, strategy: str, budget: int | None = None) -> TrainingMemory:
        """Return what training by a strategy holds; ``budget`` is what a strategy that chooses may take in all."""
        if self.memory_of == "pytorch":
            held = step_of(network, strategy, self.training)
            where = (held.label, held.phase)
            return TrainingMemory(strategy, held.parameters, held.master, held.state, held.rest, where)
        precision = self.training.precision
        stored = network if precision in (None, network.dtype) else stored_in(network, str(precision))
        parameters = stored.parameters * stored.item_bytes
        state, master = self._optimizer(stored)
        room = None if budget is None else max(0, budget - state - master)
        found = predict(STRATEGIES[strategy].plan(stored, Options(budget=room, **self.options)))
        return TrainingMemory(strategy, parameters, master, state, found.peak_bytes - parameters, found.peak_at)

    def repriced(self, network: Graph, strategy: str, prediction: Prediction) -> Prediction:
        """Return a prediction with the peak by the rules that are asked for; ``primal`` is a forward pass alone."""
        if self.memory_of == "numpy":
            return prediction
        primal = strategy == PRIMAL.name
        held = forward_pass(network, self.training) if primal else step_of(network, strategy, self.training)
        return replace(prediction, peak_bytes=held.peak, peak_at=(held.label, held.phase))

    @property
    def settings(self) -> dict[str, Any]:
        """The choices, where they count."""
        return {} if self.memory_of == "numpy" else asdict(self.training) | {"checkpoints": self.options["checkpoints"]}

    def notes(self, network: Graph) -> list[str]:
        """Return what a reader should know of another framework's peaks."""
        if self.memory_of == "numpy":
            return []
        how, notes = said(network, replace(self.training, checkpoints="none"), self.memory_of)
        return [f"The peaks are those of training {how}.", *notes]

    def _optimizer(self, stored: Graph) -> tuple[int, int]:
        """Return the bytes of the optimizer's state, and of the copy that it works on."""
        optimizer, shapes = OPTIMIZERS[self.training.optimizer], list(stored.trained.values())
        own = ITEM_BYTES[MASTER] if self.training.master else stored.item_bytes
        return own * sum(map(optimizer.state, shapes)), ITEM_BYTES[MASTER] * sum(
            map(prod, shapes)
        ) * self.training.master


def training_memory(
    source: str | Path | Mapping[str, Any] | Graph,
    training: Training | None = None,
    *,
    memory_of: str = "numpy",
    batch: int | None = None,
    strategies: str | Sequence[str] | None = None,
    **options: Any,
) -> list[TrainingMemory]:
    """Predict what training holds with each strategy.

    Args:
        source: see ``load``.
        training: how it is trained; None: as the spec's ``training:`` and ``options`` say.
        memory_of: ``numpy``: what runs here; ``pytorch``: the same step there, for reverse and reverse_checkpointed.
        batch: instead of the spec's.
        strategies: a name, or several; None: all that apply.
        options: of the strategies (see ``study``), and choices of how to train (``gradcost.spec.training.SETTINGS``).

    Raises:
        SpecError: the spec cannot be used.
        UsageError: an unknown strategy, option or choice.
    """
    network = load(source, batch=batch)
    own, choices = split_options(options)
    memory = Memory(training or training_of(network, choices, memory_of), memory_of, own)
    return [memory.of(network, name) for name in memory.strategies(network, strategies)]


def inference_memory(
    source: str | Path | Mapping[str, Any] | Graph,
    *,
    batch: int | None = None,
    cache: int = 0,
    **choices: Any,
) -> TrainingMemory:
    """Predict what a forward pass alone holds in PyTorch (``torch.no_grad``).

    Args:
        source: see ``load``.
        batch: instead of the spec's.
        cache: tokens whose keys and values are held, for decoding.
        choices: of precision, attention, projections, inplace and device.

    Raises:
        SpecError: the spec cannot be used.
        UsageError: an unknown choice, or a cache where nothing attends causally.
    """
    network = load(source, batch=batch)
    held = forward_pass(network, training_of(network, choices, "pytorch"), cache=cache)
    return TrainingMemory(PRIMAL.name, held.parameters, 0, 0, held.rest, (held.label, held.phase), held.cache)
