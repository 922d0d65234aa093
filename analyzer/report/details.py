"""A strategy's layers and phases as the report lists them: made from the prediction when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from heapq import nlargest

from gradcost.formula import CATEGORIES, explain
from gradcost.report.figures import Operations
from gradcost.report.model import LayerCost, Tensor
from gradcost.schedule.predict import PredictedRow, Prediction
from gradcost.schedule.program import Buffer, Step

LISTED_BIRTHS = 64


def layer_costs(prediction: Prediction) -> tuple[LayerCost, ...]:
    """Return a strategy's layers and phases, in the order of its schedule."""
    return tuple(map(_layer_cost, prediction.rows.values()))


def largest(prediction: Prediction, count: int) -> list[tuple[PredictedRow, Buffer]]:
    """Return the largest arrays that are made and where, each name once; a stack of Jacobians is one of them."""
    named: dict[str, tuple[PredictedRow, Buffer]] = {}
    for row in prediction.rows.values():
        for step in row.makers:
            made = step.makes
            if made is None or step.view_of is not None:
                continue
            before = named.get(made.name)
            if before is None or before[1].bytes < made.bytes:
                named[made.name] = row, made
    return nlargest(count, named.values(), key=lambda item: item[1].bytes)


def _layer_cost(row: PredictedRow) -> LayerCost:
    return LayerCost.later(
        {"formula": lambda: _formula(row), "tensors": lambda: tuple(_tensors(row))},
        name=row.label,
        phase=row.phase,
        counts=Operations(row.counts.as_dict()),
    )


def _formula(row: PredictedRow) -> Mapping[str, str]:
    texts = {category: explain(row.terms, category) for category in CATEGORIES}
    return {category: text for category, text in texts.items() if text}


def _tensors(row: PredictedRow) -> Iterator[Tensor]:
    for step in row.makers:
        yield from _made(step)


def _made(step: Step) -> Iterator[Tensor]:
    buffer = step.makes
    assert buffer is not None
    columns = buffer.columns
    own = 0 if step.view_of is not None else buffer.bytes
    if columns is None or len(columns) > LISTED_BIRTHS:
        yield Tensor(buffer.name, buffer.shown, buffer.dtype, buffer.elements, own)
        return
    stem = buffer.symbol.removesuffix("*")
    for birth, _ in columns:
        shape = (*buffer.shape[:-1], *birth.shape)
        elements = buffer.elements // columns.width * birth.width
        yield Tensor(f"{stem}{birth.symbol}", shape, buffer.dtype, elements, own // columns.width * birth.width)
