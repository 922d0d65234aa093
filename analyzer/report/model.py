"""What an analysis returns: frozen objects, which become the JSON report key by key."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from heapq import nlargest
from typing import Any

from gradcost.execution.timeline import Timeline, timeline
from gradcost.formula import CATEGORIES, Counts, explain
from gradcost.graph import LayerInfo
from gradcost.schedule.predict import PredictedRow
from gradcost.schedule.program import Buffer, Plan, Step
from gradcost.units import Shape, format_bytes, format_ratio, format_short

SCHEMA_VERSION = "1.0"
LISTED_BIRTHS = 64


@dataclass(frozen=True)
class Predicted(Counts):
    """Predicted figures of a strategy: operations, and bytes at the peak."""

    peak_bytes: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {**self.as_dict(), "peak_bytes": self.peak_bytes}

    def beside(self, base: Predicted) -> tuple[str, ...]:
        """Return multiplies, MACs and peak as tables show them, each with its factor of another's."""
        return (
            format_short(self.multiplies),
            format_ratio(self.multiplies, base.multiplies),
            format_short(self.macs),
            format_ratio(self.macs, base.macs),
            format_bytes(self.peak_bytes),
            format_ratio(self.peak_bytes, base.peak_bytes),
        )


@dataclass(frozen=True)
class Measured(Counts):
    """Measured figures of a strategy.

    Attributes:
        peak_bytes: the largest total of live array buffers.
        tracemalloc_peak_bytes: what Python's allocator saw, interpreter objects included.
        seconds: wall time on plain numpy arrays.
        gradient_max_relative_error: the largest difference from another exact strategy's gradients, as a share of
            the tensor's largest entry, or of the terms that cancel in it; None where no other was measured, or the
            gradients are not finite.
    """

    peak_bytes: int = 0
    tracemalloc_peak_bytes: int = 0
    seconds: float = 0.0
    gradient_max_relative_error: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            **self.as_dict(),
            "peak_bytes": self.peak_bytes,
            "tracemalloc_peak_bytes": self.tracemalloc_peak_bytes,
            "seconds": self.seconds,
            "gradient_max_relative_error": self.gradient_max_relative_error,
        }


@dataclass(frozen=True)
class Tensor:
    """An array that a strategy makes. A view of another has no bytes of its own."""

    name: str
    shape: Shape
    elements: int
    bytes: int

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"name": self.name, "shape": list(self.shape), "elements": self.elements, "bytes": self.bytes}


@dataclass(frozen=True)
class LayerCost:
    """One layer in one phase of a strategy: its operations, their closed forms, the arrays it makes."""

    row: PredictedRow
    item_bytes: int

    @property
    def name(self) -> str:
        """The layer, or ``loss``."""
        return self.row.label

    @property
    def phase(self) -> str:
        """What is done: primal, birth, push, tangent, derivative, cotangent, gradient, contraction, ..."""
        return self.row.phase

    @property
    def counts(self) -> Counts:
        """The operations, over all passes."""
        return self.row.counts

    @cached_property
    def formula(self) -> Mapping[str, str]:
        """The closed form of each category that is not zero, as text: ``B*n2*n1*n0 = 1*1*4*3 = 12``."""
        texts = {category: explain(self.row.terms, category) for category in CATEGORIES}
        return {category: text for category, text in texts.items() if text}

    @cached_property
    def tensors(self) -> tuple[Tensor, ...]:
        """The arrays that come alive here, Jacobian by Jacobian; a stack of over 64 is one entry."""
        return tuple(tensor for step in self.row.makers for tensor in _tensors(step, self.item_bytes))

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "name": self.name,
            "phase": self.phase,
            "counts": self.counts.as_dict(),
            "formula": dict(self.formula),
            "tensors": [tensor.to_dict() for tensor in self.tensors],
        }


def _tensors(step: Step, item_bytes: int) -> Iterator[Tensor]:
    buffer = step.makes
    assert buffer is not None
    item_bytes = 0 if step.view_of is not None else item_bytes
    columns = buffer.columns
    if columns is None:
        yield Tensor(buffer.symbol, buffer.shape, buffer.elements, buffer.elements * item_bytes)
        return
    stem = buffer.symbol.removesuffix("*")
    if len(columns) > LISTED_BIRTHS:
        yield _whole(buffer, item_bytes)
        return
    rows = buffer.elements // columns.width
    for birth, _ in columns:
        elements = rows * birth.width
        yield Tensor(f"{stem}{birth.symbol}", (*buffer.shape[:-1], *birth.shape), elements, elements * item_bytes)


def _whole(buffer: Buffer, item_bytes: int) -> Tensor:
    """Return an array as one entry, a stack of several Jacobians too."""
    return Tensor(buffer.name, buffer.shape, buffer.elements, buffer.elements * item_bytes)


@dataclass(frozen=True)
class StrategyReport:
    """One strategy's figures.

    Attributes:
        exact: whether its gradient is exact.
        skipped: why it was not measured; None where it was.
        predicted: from closed forms.
        measured: from a real run.
        layers: by layer and phase, in the order of the schedule.
        peak_at: the layer and phase of the predicted peak.
        note: what the strategy chose, or is known to be worth, on this network; often empty.
        plan: the schedule.
        item_bytes: of one array element.
    """

    exact: bool
    skipped: str | None
    predicted: Predicted
    measured: Measured | None
    layers: tuple[LayerCost, ...]
    peak_at: tuple[str, str]
    note: str
    plan: Plan
    item_bytes: int

    @cached_property
    def timeline(self) -> Timeline:
        """Which array is alive at which step of a pass."""
        return timeline(self.plan)

    def phase(self, name: str) -> Counts:
        """Return the predicted operations of one phase: primal, push, cotangent, gradient, ..."""
        return sum((layer.counts for layer in self.layers if layer.phase == name), Counts())

    def largest(self, count: int) -> list[tuple[LayerCost, Tensor]]:
        """Return the largest arrays that are made and where, the largest first; a stack of Jacobians is one of them."""
        made = ((layer, step.makes) for layer in self.layers for step in layer.row.makers if step.view_of is None)
        top = nlargest(count, made, key=lambda item: item[1].elements if item[1] else 0)
        return [(layer, _whole(buffer, layer.item_bytes)) for layer, buffer in top if buffer is not None]

    @property
    def recomputed(self) -> Counts:
        """Predicted operations that had been done before, the price of not keeping their results."""
        return self.phase("recompute")

    @property
    def primal_macs(self) -> int:
        """Predicted MACs of the primal alone: what other counters state for a network."""
        return self.phase("primal").macs

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "exact": self.exact,
            "skipped": self.skipped,
            "predicted": self.predicted.to_dict(),
            "measured": None if self.measured is None else self.measured.to_dict(),
            "layers": [layer.to_dict() for layer in self.layers],
        }


@dataclass(frozen=True)
class NetworkReport:
    """The network that was analysed. ``trained`` and ``bias`` count parameters that get gradients."""

    name: str
    dtype: str
    batch: int
    parameters: int
    layers: tuple[LayerInfo, ...]
    trained: int
    bias: int

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "name": self.name,
            "dtype": self.dtype,
            "batch": self.batch,
            "parameters": self.parameters,
            "layers": [
                {
                    "name": layer.name,
                    "type": layer.type,
                    "inputs": list(layer.inputs),
                    "output_shape": list(layer.output_shape),
                    "parameters": layer.parameters,
                }
                for layer in self.layers
            ],
        }


@dataclass(frozen=True)
class Comparison:
    """The strategies side by side.

    Attributes:
        baseline: what the ratios are relative to.
        ratios: multiplies and peak bytes of each strategy over the baseline's; ``inf`` beyond a float's range.
        recommended: the exact strategy with the fewest multiplies among those within the budget.
    """

    baseline: str
    ratios: Mapping[str, Mapping[str, float]]
    recommended: str

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        ratios = {name: dict(values) for name, values in self.ratios.items()}
        return {"baseline": self.baseline, "ratios": ratios, "recommended": self.recommended}


@dataclass(frozen=True)
class Mismatch:
    """A figure that proved wrong: what was measured differs from its prediction, or gradients disagree.

    Attributes:
        strategy: whose.
        layer: where; empty where it is the whole.
        phase: in which phase, or against which gradient.
        category: an operation, ``peak_bytes``, ``gradient``, or ``changed_entries`` (of gradients, by counting).
        predicted: the figure, or the largest error allowed.
        measured: the figure, or the error; None for a gradient that is not finite.
    """

    strategy: str
    layer: str
    phase: str
    category: str
    predicted: int | float
    measured: int | float | None

    def __str__(self) -> str:
        """Name the place and both figures."""
        place = f"{self.strategy}: {self.layer}, {self.phase}" if self.layer else self.strategy
        if self.measured is None:
            return f"{self.strategy}: gradients are not finite, and {self.phase}"
        if self.category == "gradient":
            return f"{place}: gradients differ by {self.measured:.3g}, over the tolerance of {self.predicted:.1g}"
        return f"{place}: {self.category} predicted {self.predicted:,}, measured {self.measured:,}"


@dataclass(frozen=True)
class Target:
    """What is differentiated by what.

    Attributes:
        outputs: ``loss``, or the layer whose output's Jacobian it is.
        wrt: ``params``, ``inputs``, or a name.
        rows: how many numbers are differentiated: 1 for a loss, else all elements of a batch of outputs.
        columns: how many numbers they are differentiated by.
        forward_below: jacfwd (``forward_jvp``) takes fewer multiplies than jacrev (``reverse``) with fewer columns
            than this, at the cost that a column has here; None for a loss, or where these two were not compared.
    """

    outputs: str
    wrt: str
    rows: int
    columns: int
    forward_below: int | None


@dataclass(frozen=True)
class Report:
    """The result of an analysis.

    Attributes:
        gradcost_version: of the program that made it.
        network: what was analysed.
        strategies: by name, in the order of the comparison.
        comparison: ratios and recommendation.
        mismatches: empty where everything that was measured proved right.
        verdict: the comparison in one sentence.
        target: what is differentiated by what.
        notes: warnings of what was measured, in sentences.
    """

    gradcost_version: str
    network: NetworkReport
    strategies: Mapping[str, StrategyReport]
    comparison: Comparison
    mismatches: tuple[Mismatch, ...]
    verdict: str
    target: Target
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain dicts and lists, in the form of ``gradcost schema``."""
        return {
            "schema_version": SCHEMA_VERSION,
            "gradcost_version": self.gradcost_version,
            "network": self.network.to_dict(),
            "strategies": {name: strategy.to_dict() for name, strategy in self.strategies.items()},
            "comparison": self.comparison.to_dict(),
        }

    def to_json(self, indent: int | None = 2) -> str:
        """Return the report as JSON text: integers are exact at any size."""
        return json.dumps(_without_infinity(self.to_dict()), indent=indent, allow_nan=False)


def _without_infinity(value: Any) -> Any:
    """Replace floats that JSON cannot hold by null."""
    if isinstance(value, dict):
        return {key: _without_infinity(item) for key, item in value.items()}
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value
