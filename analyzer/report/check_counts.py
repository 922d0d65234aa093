"""Proof of the figures: what was measured against what was predicted, to the last integer."""

from __future__ import annotations

from collections.abc import Iterator

from gradcost.execution.execute import Measurement
from gradcost.formula import CATEGORIES, Counts
from gradcost.report.model import Mismatch
from gradcost.schedule.predict import Prediction


def compare_figures(strategy: str, prediction: Prediction, measurement: Measurement) -> Iterator[Mismatch]:
    """Yield every count, by layer and phase, and the peak, where prediction and measurement differ.

    Counting itself must leave no trace: a gradient that differs in a bit from the one of the plain run is yielded too.
    """
    for key, row in prediction.rows.items():
        predicted, measured = row.counts, measurement.rows.get(key, Counts())
        for category in CATEGORIES:
            one, other = getattr(predicted, category), getattr(measured, category)
            if one != other:
                yield Mismatch(strategy, *key, category, one, other)
    if prediction.peak_bytes != measurement.peak_bytes:
        yield Mismatch(strategy, *prediction.peak_at, "peak_bytes", prediction.peak_bytes, measurement.peak_bytes)
    if measurement.changed_entries:
        yield Mismatch(strategy, "", "", "changed_entries", 0, measurement.changed_entries)
