"""A loss or a gradient that is not finite: where that begins, and why."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from gradcost.execution.execute import Data, Gradients, Measurement, run_plain
from gradcost.graph import Graph
from gradcost.layers.activations import Sigmoid
from gradcost.layers.losses import BinaryCrossEntropy
from gradcost.numerics import Array, np
from gradcost.schedule.program import Arrays, Plan, Step


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a run is not finite.

    Attributes:
        text: in a few words.
        excused: whether the network itself, or the range of its numbers, is to blame, and no rule of a strategy.
    """

    text: str
    excused: bool


class NotFiniteError(Exception):
    """Ends a run at the first array that is not finite."""

    def __init__(self, cause: Cause) -> None:
        """Say why it is not."""
        super().__init__(cause.text)
        self.cause = cause


def all_finite(gradients: Gradients) -> bool:
    """Whether every entry is finite."""
    return all(bool(np.isfinite(values).all()) for values in gradients.values())


def causes(
    graph: Graph, plans: Mapping[str, Plan], found: Mapping[str, Measurement], data: Data
) -> Mapping[str, Cause]:
    """Return why the loss or a gradient is not finite, for each strategy where one is not; runs those again."""
    return {
        name: _cause(graph, plans[name], data)
        for name, measurement in found.items()
        if not (_finite_loss(measurement) and all_finite(measurement.gradients))
    }


def warnings(found: Mapping[str, Measurement], why: Mapping[str, Cause]) -> list[str]:
    """Return a sentence for each cause, and for which strategies it holds where it does not for all."""
    alike: dict[tuple[str, str], list[str]] = {}
    for name, cause in why.items():
        loss, gradients = not _finite_loss(found[name]), not all_finite(found[name].gradients)
        what = "loss and gradients are" if loss and gradients else "loss is" if loss else "gradients are"
        alike.setdefault((what, cause.text), []).append(name)
    said = []
    for (what, text), names in alike.items():
        where = "" if len(names) == len(found) else f" in {', '.join(names)}"
        said.append(f"{what.capitalize()} not finite{where}: {text}.")
    return said


def _finite_loss(measurement: Measurement) -> bool:
    return measurement.loss is None or math.isfinite(measurement.loss)


def _cause(graph: Graph, plan: Plan, data: Data) -> Cause:
    """Run a plan up to the first array that is not finite."""

    def watch(step: Step, arrays: Arrays) -> None:
        filled = step.fills
        if filled is None or step.idle:
            return
        values = arrays[filled] if step.columns is None else arrays[filled][..., slice(*step.columns)]
        if not np.isfinite(values).all():
            raise NotFiniteError(_explain(graph, step, arrays, values))

    try:
        run_plain(plan, data, watch=watch)
    except NotFiniteError as found:
        return found.cause
    return Cause("counting makes them so, and a plain run does not", False)


def _explain(graph: Graph, step: Step, arrays: Arrays, values: Array) -> Cause:
    """Say what is wrong with a step that is not finite where all before it are."""
    if isinstance(step.owner, BinaryCrossEntropy):
        outputs = arrays[step.reads["y"]]
        last = graph.output
        if bool(((outputs < 0) | (outputs > 1)).any()):
            text = f"bce needs outputs between 0 and 1, and `{last.label}` is not squashed: end with a sigmoid"
            return Cause(text, True)
        for end in (0, 1):
            if bool((outputs == end).any()):
                made = "sigmoid" if isinstance(last.layer, Sigmoid) else "output"
                text = f"the {made} of layer `{last.label}` is exactly {end} in {graph.dtype}: bce takes the log of 0"
                return Cause(text, True)
    place = "the loss" if step.owner is graph.loss else f"layer `{step.label}` ({step.phase})"
    read = [arrays[buffer] for buffer in step.touches if buffer in arrays and buffer is not step.fills]
    most = float(np.finfo(values.dtype).max)
    counts = step.owner is graph.loss and max(array.size for array in read) > most  # a mean divides by it
    if counts or bool(np.isinf(values).any()) or max(map(_size, read), default=0.0) > math.sqrt(most):
        return Cause(f"{place} goes beyond the range of {graph.dtype}", True)
    return Cause(f"{place} is not a number, though all that it reads are finite", step.owner is graph.loss)


def _size(values: Array) -> float:
    return float(np.abs(values).max())
