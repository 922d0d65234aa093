"""How figures grow along the axes of a sweep: fitted exponents, and the order of the closed forms."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gradcost.errors import SpecError
from gradcost.grids.grid import Axis, Value, at
from gradcost.grids.polynomial import POINTS, through
from gradcost.grids.run import Row, Settings, arguments
from gradcost.network import load
from gradcost.numerics import np
from gradcost.report import analyze
from gradcost.report.figures import RANKING
from gradcost.spec.fields import MAX_SIZE
from gradcost.units import exact_ratio

SMALL = 32  # of steps or repeats: a network that is quick to predict, and past what the first few do otherwise
RANKED = tuple(figure.key for figure in RANKING)


@dataclass(frozen=True, slots=True)
class Growth:
    """How one figure of one strategy grows along one axis.

    Attributes:
        strategy: which.
        figure: its key.
        path: the axis.
        exponent: the slope of log figure over log value, fitted by least squares over the grid, all axes together.
        order: the degree of the closed form in that value; where the network's graph changes with it, that of the exact
            polynomial through the figures, and None where there is none.
    """

    strategy: str
    figure: str
    path: str
    exponent: float
    order: int | None


def growth(tree: Mapping[str, Any], axes: Sequence[Axis], rows: Sequence[Row], settings: Settings) -> list[Growth]:
    """Fit the growth along each axis of two or more positive whole numbers."""
    numeric = [axis for axis in axes if len(axis.values) > 1 and all(_positive(value) for value in axis.values)]
    good = [row for row in rows if row.strategies]
    found: list[Growth] = []
    if not numeric or not good:
        return found
    logs = [[1.0, *(math.log(row.set[axis.path]) for axis in numeric)] for row in good]  # type: ignore[arg-type]
    matrix = np.array(logs)
    if np.linalg.matrix_rank(matrix) < matrix.shape[1]:
        return found
    orders = {
        axis.path: _orders(tree, axis, good[-1], settings) or _degrees(tree, axis, good, settings) for axis in numeric
    }
    for strategy in good[0].strategies:
        for figure in RANKED:
            values = [math.log(max(row.strategies[strategy]["predicted"][figure], 1)) for row in good]
            slopes = np.linalg.lstsq(matrix, np.array(values), rcond=None)[0][1:]
            for axis, slope in zip(numeric, slopes, strict=True):
                order = orders[axis.path].get((strategy, figure))
                found.append(Growth(strategy, figure, axis.path, float(slope), order))
    return found


def _positive(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _orders(tree: Mapping[str, Any], axis: Axis, row: Row, settings: Settings) -> dict[tuple[str, str], int]:
    """Return the degree of each closed form: how often it doubles where the value doubles, a million times further out.

    Predictions are exact integers at any size, and that far the leading term is all there is. Where the graph changes
    with the value, as with the steps of a recurrent layer, there is no one closed form, and none is given.
    """
    values = [value for value in axis.values if isinstance(value, int)]
    far = min(max(values) << 20, MAX_SIZE // 2)
    if len({_nodes(tree, axis, row, value) for value in (min(values), max(values))}) > 1:
        return {}
    try:
        networks = [load(at(tree, {**row.set, axis.path: value})) for value in (far, 2 * far)]
    except SpecError:
        return {}  # a size that the spec does not allow so large
    reports = [analyze(network, **arguments(replace(settings, measure=False))) for network in networks]
    first, second = ({name: s.predicted for name, s in report.strategies.items()} for report in reports)
    return {
        (name, figure): round(math.log2(exact_ratio(second[name][figure], first[name][figure])))
        for name in first
        for figure in RANKED
        if (first[name][figure] == 0) == (second[name][figure] == 0)
    }


def _degrees(
    tree: Mapping[str, Any], axis: Axis, rows: Sequence[Row], settings: Settings
) -> dict[tuple[str, str], int]:
    """Return the degree of each figure that is a polynomial along an axis, all else as in the last row.

    It goes through the figures of the rows, and those at a few values from the least on, or from a small one where that
    is large. What a least value alone does otherwise, such as a loop of one step, keeps a figure from being one.
    """
    last = rows[-1]
    others = {path: value for path, value in last.set.items() if path != axis.path}
    figures = {
        value: {name: s["predicted"] for name, s in row.strategies.items()}
        for row in rows
        if isinstance(value := row.set[axis.path], int) and row.set == {**others, axis.path: value}
    }
    least = min(SMALL, *figures)
    for value in range(least, least + POINTS):
        if value not in figures:
            try:
                report = analyze(at(tree, {**others, axis.path: value}), **arguments(replace(settings, measure=False)))
            except SpecError:
                continue
            figures[value] = {name: s.predicted for name, s in report.strategies.items()}
    found = {}
    for name in last.strategies:
        for figure in RANKED:
            curve = through({value: each[name][figure] for value, each in figures.items()})
            if curve is not None:
                found[name, figure] = curve.degree
    return found


def _nodes(tree: Mapping[str, Any], axis: Axis, row: Row, value: Value) -> int:
    return len(load(at(tree, {**row.set, axis.path: value})).nodes)
