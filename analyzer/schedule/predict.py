"""Prediction: closed forms evaluated over the schedule; nothing runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from gradcost.formula import CATEGORIES, Counts, Term
from gradcost.schedule.program import Plan, Program, Step


@dataclass(slots=True)
class PredictedRow:
    """One layer in one phase.

    Attributes:
        terms: the closed forms of its operations, over all passes.
        makers: the steps of its first pass that make arrays.
        totals: the values of ``CATEGORIES``.
    """

    label: str
    phase: str
    terms: list[Term] = field(default_factory=list)
    makers: list[Step] = field(default_factory=list)
    totals: list[int] = field(default_factory=lambda: [0] * len(CATEGORIES))

    @property
    def counts(self) -> Counts:
        """Its operations."""
        return Counts(*self.totals)


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a plan will cost.

    Attributes:
        counts: operations.
        peak_bytes: the largest total of live buffers, and of the workspace inside a step.
        peak_at: the label and phase of the step where that is.
        rows: by layer and phase, in the order of the schedule.
        steps: how many steps will run, over all passes.
    """

    counts: Counts
    peak_bytes: int
    peak_at: tuple[str, str]
    rows: dict[tuple[str, str], PredictedRow]
    steps: int

    @property
    def figures(self) -> dict[str, int]:
        """The figures of the whole, by key."""
        return {**self.counts.as_dict(), "peak_bytes": self.peak_bytes}


def predict(plan: Plan) -> Prediction:
    """Walk a plan once: counts by closed forms, peak by liveness. Exact Python integers throughout."""
    rows: dict[tuple[str, str], PredictedRow] = {}
    peak, peak_at, steps = 0, ("", ""), 0
    for number, segment in enumerate(plan.segments):
        for step, turns, values, height in walk(segment.program):
            times = segment.passes * turns
            steps += times
            own = times * step.term.times
            term = step.term if times == 1 else Term(step.term.cost, step.term.dims, own)
            if height > peak:
                peak, peak_at = height, (step.label, step.phase)
            row = rows.get((step.label, step.phase))
            if row is None:
                row = rows[step.label, step.phase] = PredictedRow(step.label, step.phase)
            row.totals = [total + value * own for total, value in zip(row.totals, values[:-1], strict=True)]
            row.terms.append(term)
            if step.makes is not None and number == 0:
                row.makers.append(step)
    totals = (sum(row.totals[category] for row in rows.values()) for category in range(len(CATEGORIES)))
    return Prediction(Counts(*totals), peak, peak_at, rows, steps)


def walk(program: Program) -> Iterator[tuple[Step, int, Sequence[int], int]]:
    """Yield each step, how often a pass does it, what one time costs, and the bytes alive there, workspace included."""
    live = sum(buffer.bytes for buffer in program.initial)
    for part, turns in program.parts():
        for step in part:
            values = step.term.cost.evaluate(step.term.dims)
            live += step.allocates
            yield step, turns, values, live + values[-1]
            live -= step.releases
