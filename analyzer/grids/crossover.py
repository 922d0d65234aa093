"""crossover: where along one value of a spec the verdict flips from one strategy to another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from gradcost.errors import SpecError, UsageError
from gradcost.grids.grid import Axis, at
from gradcost.grids.run import PREDICT, Settings, arguments, read_tree
from gradcost.grids.winners import Winners, least
from gradcost.network import load
from gradcost.report import Report, analyze
from gradcost.report.analyze import Progress, garbage_collection_paused
from gradcost.schedule.predict import predict
from gradcost.schedule.strategy import BY, RANKS
from gradcost.strategies import STRATEGIES, Options, chosen, known

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
    by: str = RANKS[0],
    progress: Progress | None = None,
    **given: Any,
) -> list[Flip]:
    """Find every flip between neighbouring values of an axis, and narrow each down to one step.

    Two flips between neighbouring values of the axis, there and back, are not seen: a finer axis shows them. How few
    values are evaluated, see ``Winners``; strategies that are left out cost nothing, which tells on long unrollings.

    Args:
        source: see ``load``, but for a network that has been built.
        axis: whole numbers.
        settings: what each analysis is told; ``measure`` confirms each flip by runs on both sides of it.
        by: what decides: ``multiplies`` or ``peak_bytes``.
        progress: called with the axis, and how many of its values are settled, of how many.
        given: settings by their names, in place of ``settings`` (see ``Settings``).

    Raises:
        SpecError: the network cannot be used as it stands.
        UsageError: the axis names a place that is not there, or none of its values makes a network to compare.
    """
    settings = Settings.of(given) if given else settings
    BY.check(by)
    settings = replace(settings, options={**settings.options, BY.name: by})
    tree = read_tree(source)
    at(tree, {axis.path: 1})
    problems: dict[int, str] = {}

    def evaluate(value: int) -> Mapping[str, int] | None:
        try:
            return _costs(at(tree, {axis.path: value}), settings, by)
        except SpecError as error:
            problems[value] = str(error)
            return None

    def tell(done: int, total: int) -> None:
        if progress is not None:
            progress(f"along {axis.path}", done, total)

    values = sorted({value for value in axis.values if isinstance(value, int)})
    winners = Winners(evaluate, values, tell)
    usable = winners.along()
    if not usable:
        wrong = next(iter(problems.values()), f"{axis.path}: an axis is whole numbers, rising")
        raise UsageError(f"no value along {axis.path} makes a network: {wrong}")
    flips = []
    for (low, first), (high, second) in pairwise(usable.items()):
        if first == second:
            continue
        while high - low > 1:
            middle = (low + high) // 2
            between = winners.at(middle)
            if between is None:
                break
            low, high = (middle, high) if between == first else (low, middle)
        here, there = (costs for costs in (winners.costs(low), winners.costs(high)) if costs is not None)
        pair = least(here), least(there)
        figures = {name: here[name] for name in pair}, {name: there[name] for name in pair}
        confirmed = _confirm(tree, axis.path, (low, high), pair, settings, by) if settings.measure else None
        flips.append(Flip(axis.path, (low, high), pair, figures, confirmed))
    return flips


@garbage_collection_paused()
def _costs(spec: Mapping[str, Any], settings: Settings, by: str) -> Mapping[str, int]:
    """Return what each exact strategy costs; a mixture of modes is never beaten, so it takes part only where named.

    Raises:
        SpecError: the spec makes no network, or one with nothing to compare.
    """
    graph = load(spec, wrt=settings.wrt, outputs=settings.outputs, across_batch=settings.across_batch)
    options = Options(budget=settings.budget, **known(settings.options))
    named = settings.strategies is not None
    rivals = [
        name for name in chosen(graph, settings.strategies) if STRATEGIES[name].exact and (named or name != "optimal")
    ]
    if not rivals:
        raise SpecError("", "there is no exact strategy to compare, or nothing is trainable")
    return {name: predict(STRATEGIES[name].plan(graph, options)).figures[by] for name in rivals}


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
