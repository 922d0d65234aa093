"""Running a grid, here or on any ``concurrent.futures.Executor``."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from dataclasses import asdict, dataclass, field, fields
from itertools import islice
from pathlib import Path
from typing import Any

from gradcost.errors import GradcostError, SpecError
from gradcost.graph.build import check_names
from gradcost.grids.grid import Axis, Value, at, points
from gradcost.layers import LAYER_TYPES, LOSSES
from gradcost.report import Report, analyze
from gradcost.report.plain import plain
from gradcost.spec import read_source, read_spec
from gradcost.version import __version__

TOGETHER = 32  # predictions that make one task, so that passing it on costs little beside it
IN_FLIGHT = 64  # tasks that are handed out at once: a grid of millions is never a list
ATTEMPTS = 3  # of a task whose worker died


@dataclass(frozen=True, slots=True)
class Settings:
    """What each analysis of a sweep is told; see ``study``.

    Attributes:
        options: of the strategies, by name.
    """

    strategies: tuple[str, ...] | None = None
    measure: bool = False
    budget: int | None = None
    wrt: str | None = None
    outputs: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Settings:
        """Return settings from keywords; those that are no settings of every analysis are options of strategies."""
        own = {each.name for each in fields(cls)}
        options = {name: value for name, value in given.items() if name not in own}
        return cls(**{name: given[name] for name in given if name in own}, options=options)


PREDICT = Settings()


@dataclass(frozen=True, slots=True)
class Row:
    """One point of the grid.

    Attributes:
        index: its place in the grid, from 0.
        set: what was set.
        network: name, dtype, batch and parameters; empty where the spec could not be used.
        strategies: of each, ``predicted``, ``measured`` (or null) and ``skipped``, as in the report.
        recommended: the winner; empty where there was an error.
        error: why there are no figures; None where all is well. Measured figures that prove wrong are errors too.
    """

    index: int
    set: Mapping[str, Value]
    network: Mapping[str, Any]
    strategies: Mapping[str, Mapping[str, Any]]
    recommended: str
    error: str | None

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)


def read_tree(source: str | Path | Mapping[str, Any]) -> dict[str, Any]:
    """Return a spec as plain dicts and lists, checked. Raises ``SpecError``."""
    read = read_source(source)
    check_names(read_spec(read), LAYER_TYPES, LOSSES)
    return {"name": read.name, **read}


def fingerprint(tree: Mapping[str, Any], settings: Settings) -> str:
    """Return what tells one sweep's rows from those of another network, other settings or another version."""
    text = json.dumps([tree, arguments(settings), __version__], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def sweep(
    source: str | Path | Mapping[str, Any],
    axes: Sequence[Axis],
    settings: Settings = PREDICT,
    *,
    executor: Executor | None = None,
    skip: Collection[int] = (),
    **given: Any,
) -> Iterator[Row]:
    """Analyse every point of a grid, and yield each row when it is done.

    Args:
        source: see ``load``, but for a network that has been built.
        axes: what varies.
        settings: what each analysis is told.
        executor: where the work is done: a process pool, a Dask cluster's, any other; None: here, in order.
        skip: indices of points that are done already.
        given: settings by their names, in place of ``settings``.

    Raises:
        SpecError: the network cannot be used as it stands.
        UsageError: an axis names a place that is not there, or an option makes no sense.
        GradcostError: workers died again and again.
    """
    settings = Settings.of(given) if given else settings
    tree = read_tree(source)
    for axis in axes:
        at(tree, {axis.path: axis.values[0]})
    todo = ((index, point) for index, point in enumerate(points(axes)) if index not in skip)
    if executor is None:
        for index, point in todo:
            yield _row(tree, index, point, settings)
        return
    tasks = iter(lambda: list(islice(todo, 1 if settings.measure else TOGETHER)), [])
    yield from _spread(executor, tree, tasks, settings)


def _spread(
    executor: Executor, tree: Mapping[str, Any], tasks: Iterator[list[tuple[int, dict[str, Value]]]], settings: Settings
) -> Iterator[Row]:
    running: dict[Future[list[Row]], tuple[list[tuple[int, dict[str, Value]]], int]] = {}

    def hand_out(task: list[tuple[int, dict[str, Value]]], attempt: int) -> None:
        try:
            running[executor.submit(_rows, tree, task, settings)] = task, attempt
        except BrokenExecutor:
            raise GradcostError(
                "the pool of workers broke: one was killed, perhaps for lack of memory; use fewer (--jobs) and --resume"
            ) from None

    try:
        for task in islice(tasks, IN_FLIGHT):
            hand_out(task, 1)
        while running:
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                task, attempt = running.pop(future)
                failure = future.exception()
                if failure is None:
                    yield from future.result()
                    for more in islice(tasks, 1):
                        hand_out(more, 1)
                elif isinstance(failure, GradcostError):
                    raise failure
                elif attempt == ATTEMPTS:
                    where = f"point {task[0][0]} ({task[0][1]})"
                    raise GradcostError(f"workers died {ATTEMPTS} times from {where} on: {failure!r}") from failure
                else:
                    hand_out(task, attempt + 1)
    finally:
        for future in running:
            future.cancel()


def _rows(tree: Mapping[str, Any], task: Sequence[tuple[int, dict[str, Value]]], settings: Settings) -> list[Row]:
    return [_row(tree, index, point, settings) for index, point in task]


def _row(tree: Mapping[str, Any], index: int, point: Mapping[str, Value], settings: Settings) -> Row:
    """Analyse one point; a spec that a value makes unusable is a row too, and the others go on."""
    try:
        report = analyze(at(tree, point), **arguments(settings))
    except SpecError as error:
        return Row(index, point, {}, {}, "", str(error))
    except MemoryError:
        return Row(index, point, {}, {}, "", "out of memory in spite of the budget")
    network = report.network
    described = {
        "name": network.name,
        "dtype": network.dtype,
        "batch": network.batch,
        "parameters": network.parameters,
    }
    recommended = report.comparison.recommended or ""
    wrong = "; ".join(map(str, report.mismatches)) or None
    return Row(index, point, described, _figures(report), recommended, wrong)


def arguments(settings: Settings) -> dict[str, Any]:
    """Return the keyword arguments of ``analyze``."""
    given = {each.name: getattr(settings, each.name) for each in fields(settings) if each.name != "options"}
    return {**given, **settings.options, "measure": None if settings.measure else False}


def _figures(report: Report) -> dict[str, dict[str, Any]]:
    keys = ("predicted", "measured", "skipped")
    return {name: {key: plain(getattr(s, key)) for key in keys} for name, s in report.strategies.items()}
