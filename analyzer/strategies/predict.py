"""Prediction: closed forms evaluated over the schedule; nothing runs."""

from __future__ import annotations

from dataclasses import dataclass

from gradcost.formula import Counts, Term
from gradcost.strategies.program import Buffer, Plan


@dataclass(slots=True)
class PredictedRow:
    """One layer in one phase.

    Attributes:
        counts: its operations, over all passes.
        terms: their closed forms.
        buffers: the arrays that come alive in it.
    """

    label: str
    phase: str
    counts: Counts
    terms: list[Term]
    buffers: list[Buffer]


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a plan will cost.

    Attributes:
        counts: operations.
        peak_elements: the largest number of array elements alive at once.
        peak_at: the label and phase of the step where that is.
        rows: by layer and phase, in the order of the schedule.
        steps: how many steps will run, over all passes.
    """

    counts: Counts
    peak_elements: int
    peak_at: tuple[str, str]
    rows: dict[tuple[str, str], PredictedRow]
    steps: int


def predict(plan: Plan) -> Prediction:
    """Walk a resolved plan once: counts by closed forms, peak by liveness. Exact Python integers throughout."""
    rows: dict[tuple[str, str], PredictedRow] = {}
    total, peak, peak_at, steps = Counts(), 0, ("", ""), 0
    for segment in plan.segments:
        program, times = segment.program, len(segment.starts)
        live = sum(buffer.elements for buffer in program.initial)
        steps += times * len(program.steps)
        for step in program.steps:
            counts, workspace = step.term.cost.evaluate(step.term.dims)
            term = step.term if times == 1 else Term(step.term.cost, step.term.dims, times)
            counts = counts.times(times) if times != 1 else counts
            allocates = step.allocates
            if live + allocates + workspace > peak:
                peak, peak_at = live + allocates + workspace, (step.label, step.phase)
            live += allocates - step.releases
            total = total + counts
            row = rows.get((step.label, step.phase))
            if row is None:
                row = rows[step.label, step.phase] = PredictedRow(step.label, step.phase, Counts(), [], [])
            row.counts = row.counts + counts
            row.terms.append(term)
            if step.makes is not None and segment is plan.segments[0]:
                row.buffers.append(step.makes)
    return Prediction(total, peak, peak_at, rows, steps)
