"""crossover: where along one value of a spec the verdict flips from one strategy to another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from gradcost.errors import SpecError, UsageError, nearest
from gradcost.grids.grid import Axis, at
from gradcost.grids.run import PREDICT, Settings, arguments, read_tree
from gradcost.report import Report, analyze
from gradcost.report.figures import RANKING

SIZES = ("units", "filters", "repeat", "head_units", "batch")


@dataclass(frozen=True, slots=True)
class Flip:
    """Two neighbouring values with different winners.

    Attributes:
        path: what is varied.
        values: the last of one winner and the first of the next; further apart than 1 only where the values between
            make no network.
        winners: of each value.
        figures: of each value, what both winners cost there, by predicted multiplies (or peak bytes).
        confirmed: whether measured runs on both sides put the same strategy first; None where they were not made.
    """

    path: str
    values: tuple[int, int]
    winners: tuple[str, str]
    figures: tuple[Mapping[str, int], Mapping[str, int]]
    confirmed: bool | None


def paths(source: str | Path | Mapping[str, Any]) -> list[str]:
    """Return the places of a spec that hold a size: the batch, variables, units, repeats, the inputs' axes."""
    tree = read_tree(source)
    found = ["batch", *(f"vars.{name}" for name, value in tree.get("vars", {}).items() if isinstance(value, int))]
    if isinstance(tree.get("input"), dict):
        found += [f"input.shape.{i}" for i, n in enumerate(tree["input"]["shape"], start=1) if isinstance(n, int)]
    return list(dict.fromkeys([*found, *_sizes(tree["layers"], "layers")]))


def _sizes(layers: list[dict[str, Any]], prefix: str) -> Iterator[str]:
    for position, layer in enumerate(layers, start=1):
        place = f"{prefix}.{layer.get('name', position)}"
        yield from (f"{place}.{key}" for key in SIZES if isinstance(layer.get(key), int))
        if "layers" in layer:
            yield from _sizes(layer["layers"], f"{place}.layers")


def crossover(
    source: str | Path | Mapping[str, Any],
    axis: Axis,
    settings: Settings = PREDICT,
    *,
    by: str = "multiplies",
    **given: Any,
) -> list[Flip]:
    """Find every flip between neighbouring values of an axis, and narrow each down to one step.

    Two flips between neighbouring values of the axis, there and back, are not seen: a finer axis shows them.

    Args:
        source: see ``load``, but for a network that has been built.
        axis: rising whole numbers.
        settings: what each analysis is told; ``measure`` confirms each flip by runs on both sides of it.
        by: what decides: ``multiplies`` or ``peak_bytes``.
        given: settings by their names, in place of ``settings`` (see ``Settings``).

    Raises:
        SpecError: the network cannot be used as it stands.
        UsageError: the axis names a place that is not there.
    """
    settings = Settings.of(given) if given else settings
    if by not in (ranks := [figure.key for figure in RANKING]):
        raise UsageError(f"by cannot be {by!r}{nearest(str(by), ranks)}")
    tree = read_tree(source)
    known: dict[int, Mapping[str, int] | None] = {}
    problems: dict[int, str] = {}

    def figures(value: int) -> Mapping[str, int] | None:
        """Return what each exact strategy costs; None where the value makes no network."""
        if value not in known:
            try:
                report = _report(tree, axis.path, value, replace(settings, measure=False))
                known[value] = {name: report.strategies[name].predicted[by] for name in _rivals(report, settings)}
            except SpecError as error:
                known[value], problems[value] = None, str(error)
        return known[value]

    def winner(value: int) -> str | None:
        found = figures(value)
        return None if found is None else min(found, key=found.__getitem__)

    at(tree, {axis.path: 1})
    usable = [value for value in axis.values if isinstance(value, int) and winner(value) is not None]
    if not usable:
        wrong = next(iter(problems.values()), f"{axis.path}: an axis is whole numbers, rising")
        raise UsageError(f"no value along {axis.path} makes a network: {wrong}")
    flips = []
    for low, high in pairwise(usable):
        if winner(low) == winner(high):
            continue
        while high - low > 1:
            middle = (low + high) // 2
            between = winner(middle)
            if between is None:
                break
            low, high = (middle, high) if between == winner(low) else (low, middle)
        first, second = winner(low), winner(high)
        assert first is not None
        assert second is not None
        here, there = figures(low), figures(high)
        assert here is not None
        assert there is not None
        both = tuple({name: each[name] for name in (first, second)} for each in (here, there))
        confirmed = _confirm(tree, axis.path, (low, high), (first, second), settings, by) if settings.measure else None
        flips.append(Flip(axis.path, (low, high), (first, second), (both[0], both[1]), confirmed))
    return flips


def _rivals(report: Report, settings: Settings) -> list[str]:
    """Return the exact strategies; a mixture of modes is never beaten, so it takes part only where it is named."""
    named = settings.strategies or ()
    return [name for name, s in report.strategies.items() if s.exact and (name != "optimal" or name in named)]


def _report(tree: Mapping[str, Any], path: str, value: int, settings: Settings) -> Report:
    return analyze(at(tree, {path: value}), **arguments(settings))


def _confirm(
    tree: Mapping[str, Any], path: str, values: tuple[int, int], winners: tuple[str, str], settings: Settings, by: str
) -> bool | None:
    """Run both winners on both sides, and see which takes less there; None where they were not run."""
    chosen = replace(settings, strategies=tuple(sorted(set(winners))))
    for value, winner in zip(values, winners, strict=True):
        report = _report(tree, path, value, chosen)
        measured = {name: s.measured for name, s in report.strategies.items()}
        if report.mismatches:
            return False
        costs = {name: figures[by] for name, figures in measured.items() if figures is not None}
        if len(costs) < len(measured):
            return None
        if costs[winner] > min(costs.values()):
            return False
    return True
