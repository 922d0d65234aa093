"""What an analysis returns: plain data, numbers and text alone, which becomes the JSON report key by key."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gradcost.errors import UsageError
from gradcost.graph import LayerInfo
from gradcost.report.figures import Measured, Operations, Predicted
from gradcost.report.plain import Later, build, plain
from gradcost.schedule.program import Tradeoff
from gradcost.strategies import PRIMAL
from gradcost.units import DTYPES, ITEM_BYTES, Shape, format_count, format_short

SCHEMA_VERSION = "2.0"
WARNING = "Warning: "  # what a note begins with that says what may be wrong with the network
REPR_LENGTH = 300  # of a text that a repr quotes


@dataclass(frozen=True)
class Tensor:
    """An array that a strategy makes. A view of another has no bytes of its own."""

    name: str
    shape: Shape
    dtype: str = field(metadata={"among": ITEM_BYTES})
    elements: int
    bytes: int


@dataclass(frozen=True, repr=False)
class LayerCost(Later):
    """One layer in one phase of a strategy.

    Attributes:
        name: the layer, or ``loss``.
        phase: what is done (see ``gradcost.schedule.phases``).
        counts: the predicted operations, over all passes.
        formula: the closed form of each category that is not zero, as text: ``B*n2*n1*n0 = 1*1*4*3 = 12``.
        tensors: the arrays that come alive here, Jacobian by Jacobian; a stack of over 64 is one entry.
    """

    name: str
    phase: str
    counts: Operations
    formula: Mapping[str, str]
    tensors: tuple[Tensor, ...]

    def __repr__(self) -> str:
        """Name the place and the multiplies."""
        return f"LayerCost({self.name}, {self.phase}: {format_short(self.counts.multiplies)} multiplies)"


@dataclass(frozen=True)
class Place:
    """A layer, or ``loss``, and a phase."""

    layer: str
    phase: str


@dataclass(frozen=True, repr=False)
class StrategyReport(Later):
    """One strategy's figures.

    Attributes:
        exact: whether its gradient is exact.
        carries: what it carries, in a few words.
        skipped: why it was not measured; None where it was.
        predicted: from closed forms.
        measured: from a real run.
        peak_at: where the predicted peak is.
        schedule: what it chose for this network, in a word or a formula; empty where there is no choice.
        note: the same, or what it is known to be worth, in a sentence.
        same_as: another strategy that does the very same on this network; None: there is none.
        front: multiplies against peak, where ``peak_bytes`` decides: the schedules that no other beats in both.
        phases: predicted operations by phase.
        layers: by layer and phase, in the order of the schedule.
    """

    exact: bool
    carries: str
    skipped: str | None
    predicted: Predicted
    measured: Measured | None
    peak_at: Place
    schedule: str
    note: str
    same_as: str | None
    front: tuple[Tradeoff, ...]
    phases: Mapping[str, Operations]
    layers: tuple[LayerCost, ...]

    def phase(self, name: str) -> Operations:
        """Return the predicted operations of one phase: zero for one that the strategy does not have."""
        zero = Operations({figure.key: 0 for figure in Operations.declared})
        return self.phases.get(name, zero)

    def __repr__(self) -> str:
        """Name the predicted figures."""
        return f"StrategyReport({self.predicted!r}, {'not measured' if self.measured is None else 'measured'})"


@dataclass(frozen=True, repr=False)
class NetworkReport:
    """The network that was analysed.

    Attributes:
        name: of the network.
        dtype: of its numbers.
        batch: its batch size.
        parameters: how many there are, frozen ones included.
        trained: how many of them get gradients.
        biases: how many of those are additive (biases and betas).
        layers: the layers of the spec.
    """

    name: str
    dtype: str = field(metadata={"among": DTYPES})
    batch: int
    parameters: int
    trained: int
    biases: int
    layers: tuple[LayerInfo, ...]

    def __str__(self) -> str:
        """Describe it in a line."""
        return f"{self.name[:REPR_LENGTH]}: {self.facts}"

    @property
    def facts(self) -> str:
        """Its size in a few words."""
        layers = f"{len(self.layers):,} layer{'s' * (len(self.layers) != 1)}"
        return f"{layers}, {format_count(self.parameters)} parameters, batch {self.batch:,}, {self.dtype}"

    def __repr__(self) -> str:
        """Describe it in a line."""
        return f"NetworkReport({self})"


@dataclass(frozen=True)
class Side:
    """What one strategy does at a layer.

    Attributes:
        carried: elements of the derivatives that are carried at the layer's last node: its cotangent, or the Jacobians
            of its value.
        multiplies: of all its phases but primal and loss.
    """

    carried: int
    multiplies: int


@dataclass(frozen=True)
class LayerRow:
    """One layer, and what strategies that face each other do there.

    Attributes:
        name: the layer, or ``loss``.
        type: as the spec has it; empty for the loss.
        shape: of its output, without the batch axis.
        parameters: its own.
        macs: of its primal.
        sides: one for each of the strategies that face each other.
    """

    name: str
    type: str
    shape: Shape
    parameters: int
    macs: int
    sides: tuple[Side, ...]


@dataclass(frozen=True, repr=False)
class Facing:
    """Strategies face to face, layer by layer: a side's multiplies, the primal and the loss sum to its strategy's.

    Attributes:
        strategies: whose sides they are.
        rows: the layers, and the loss.
    """

    strategies: tuple[str, ...]
    rows: tuple[LayerRow, ...]

    def __repr__(self) -> str:
        """Name the sides."""
        return f"Facing({' | '.join(self.strategies)}, {len(self.rows):,} rows)"


@dataclass(frozen=True)
class Comparison:
    """The strategies side by side.

    Attributes:
        baseline: what the ratios are relative to; ``primal`` where nothing is trainable.
        ratios: what strategies are ranked by, of each over the baseline's; None beyond a float's range.
        recommended: the exact strategy with the fewest multiplies, or the least peak where that decides, among those
            within the budget; None where nothing is trainable.
    """

    baseline: str
    ratios: Mapping[str, Mapping[str, float | None]]
    recommended: str | None


@dataclass(frozen=True)
class Mismatch:
    """A figure that proved wrong: what was measured differs from its prediction, or gradients disagree.

    Attributes:
        strategy: whose.
        layer: where; empty for the whole strategy.
        phase: in which phase, or against which gradient.
        category: a figure's key, ``gradient``, or ``changed_entries`` (of gradients, by counting).
        predicted: the figure, or the largest error allowed.
        measured: the figure, or the error; None for a gradient that is not finite.
    """

    strategy: str
    layer: str
    phase: str
    category: str
    predicted: float
    measured: float | None

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
        per_sample: whether each sample has a Jacobian of its own.
        rows: how many numbers are differentiated: 1 for a loss, else an output's elements, of a sample or the batch.
        columns: how many numbers they are differentiated by.
        forward_below: jacfwd (``forward_jvp``) takes fewer multiplies than jacrev (``reverse``) with fewer columns
            than this, at the cost that a column has here; None for a loss, or where these two were not compared.
    """

    outputs: str
    wrt: str
    per_sample: bool
    rows: int
    columns: int
    forward_below: int | None

    @property
    def usual(self) -> bool:
        """Whether it is the loss by all parameters."""
        return (self.outputs, self.wrt) == ("loss", "params")

    def __str__(self) -> str:
        """Write it as a derivative, with its size."""
        return f"d {self.outputs} / d {self.wrt}: {format_count(self.rows)} x {format_count(self.columns)} numbers"

    def of(self, batch: int) -> str:
        """Write it for a batch: a Jacobian for each sample, or one for all."""
        return f"{self} for each of {batch:,} samples" if self.per_sample and batch > 1 else str(self)


@dataclass(frozen=True, repr=False)
class Report:
    """The result of an analysis.

    Attributes:
        schema_version: of its JSON form.
        gradcost_version: of the program that made it.
        network: what was analysed.
        target: what is differentiated by what.
        verdict: the comparison in a few sentences.
        primal: the forward pass alone; never a candidate.
        strategies: by name, in the order of the comparison; empty where nothing is trainable.
        comparison: ratios and recommendation.
        facing: reverse beside forward accumulation, layer by layer.
        notes: what a reader should know besides, in sentences.
        mismatches: empty where everything that was measured proved right.
        settings: what the analysis was told, and the versions of what it ran on.
    """

    schema_version: str
    gradcost_version: str
    network: NetworkReport
    target: Target
    verdict: str
    primal: StrategyReport
    strategies: Mapping[str, StrategyReport]
    comparison: Comparison
    facing: Facing
    notes: tuple[str, ...]
    mismatches: tuple[Mismatch, ...]
    settings: Mapping[str, str | int | bool | None]

    @property
    def all(self) -> Mapping[str, StrategyReport]:
        """The primal and the strategies, by name."""
        return {PRIMAL.name: self.primal, **self.strategies}

    @property
    def warnings(self) -> tuple[str, ...]:
        """The notes that say what may be wrong with the network."""
        return tuple(note.removeprefix(WARNING) for note in self.notes if note.startswith(WARNING))

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain dicts and lists, in the form of ``gradcost schema``."""
        found: dict[str, Any] = plain(self)
        return found

    def to_json(self, indent: int | None = 2) -> str:
        """Return the report as JSON text: integers are exact at any size."""
        return json.dumps(self.to_dict(), indent=indent, allow_nan=False)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Report:
        """Return a report from the form that ``to_dict`` gives. Raises ``UsageError`` for anything else."""
        version = values.get("schema_version") if isinstance(values, Mapping) else None
        if version != SCHEMA_VERSION:
            raise UsageError(f"this is no report of schema version {SCHEMA_VERSION}, but {str(version)[:40]!r}")
        try:
            report: Report = build(cls, values)
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError(f"this is no whole report: {str(error)[:200]}; make it anew") from None
        return report

    @classmethod
    def from_json(cls, text: str) -> Report:
        """Return a report from its JSON text. Raises ``UsageError`` for anything else."""
        try:
            values = json.loads(text)
        except (ValueError, RecursionError):
            raise UsageError("this is not JSON; `gradcost analyze net.yaml --json FILE` writes reports") from None
        return cls.from_dict(values)

    def __repr__(self) -> str:
        """Name the network and the verdict."""
        return f"Report({self.network}; {self.verdict[:REPR_LENGTH]})"

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the verdict and the table of strategies."""
        from html import escape

        from gradcost.report.tables import strategies_table

        table = strategies_table(self).to_html()
        return f"<p><b>{escape(str(self.network))}</b></p><p>{escape(self.verdict)}</p>{table}"
