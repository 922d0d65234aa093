"""Proof: measured against predicted, and one strategy's gradients against another's."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gradcost.execution.execute import Gradients, Measurement
from gradcost.formula import CATEGORIES, Counts
from gradcost.graph import Graph
from gradcost.numerics import Array, np
from gradcost.report.model import Mismatch
from gradcost.schedule.predict import Prediction


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far gradients of exact strategies may be apart.

    Attributes:
        floor: entries count as at least this share of the network's largest, so that rounding in a tensor that is
            analytically zero is no disagreement.
        relative: the largest difference allowed, as a share of the tensor's largest entry.
    """

    floor: float
    relative: float

    @classmethod
    def of(cls, dtype: str) -> Tolerance:
        """Return the square root of the machine epsilon as floor, and a hundred times that as limit."""
        root = math.sqrt(float(np.finfo(dtype).eps))
        return cls(root, 100 * root)


def compare_figures(strategy: str, prediction: Prediction, measurement: Measurement) -> Iterator[Mismatch]:
    """Yield every count, by layer and phase, and the peak, where prediction and measurement differ."""
    for key, row in prediction.rows.items():
        predicted, measured = row.counts, measurement.rows.get(key, Counts())
        for category in CATEGORIES:
            one, other = getattr(predicted, category), getattr(measured, category)
            if one != other:
                yield Mismatch(strategy, *key, category, one, other)
    if prediction.peak_bytes != measurement.peak_bytes:
        peak = prediction.peak_bytes
        yield Mismatch(strategy, *prediction.peak_at, "peak_bytes", peak, measurement.peak_bytes)


def gradient_errors(graph: Graph, found: Mapping[str, Gradients]) -> Mapping[str, float | None]:
    """Return each strategy's largest relative gradient error against the first, and the first's against all others.

    ``nan`` where gradients are not finite; None where there is nothing to compare with.
    """
    names = list(found)
    errors: dict[str, float | None] = dict.fromkeys(names, None)
    floor = Tolerance.of(graph.dtype).floor
    for name in names:
        if not all(np.isfinite(values).all() for values in found[name].values()):
            errors[name] = math.nan
    reference = names[0] if names else ""
    for name in names[1:]:
        if errors[name] is None and errors[reference] is None:
            errors[name] = max(_tensor_errors(found[reference], found[name], floor).values())
    others = [error for name, error in errors.items() if name != reference and error is not None]
    if names and errors[reference] is None and others:
        errors[reference] = max(others)
    return errors


def worst_tensor(graph: Graph, reference: Gradients, other: Gradients) -> str:
    """Return the parameter whose gradients differ most."""
    errors = _tensor_errors(reference, other, Tolerance.of(graph.dtype).floor)
    return graph.parameter_label(max(errors, key=lambda key: errors[key]))


def _tensor_errors(reference: Gradients, other: Gradients, floor: float) -> dict[tuple[int, str], float]:
    """Return each tensor's largest difference as a share of its largest entry; inf where all of them should be zero."""
    least = floor * max(_size(values) for values in reference.values())
    errors = {}
    for key, values in reference.items():
        difference, scale = _size(other[key] - values), max(_size(values), least)
        errors[key] = difference / scale if scale else math.inf if difference else 0.0
    return errors


def _size(values: Array) -> float:
    return float(np.abs(values).max())
