"""diff: what changed between two reports, as their JSON has it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradcost.errors import UsageError
from gradcost.report.figures import PREDICTED
from gradcost.report.model import SCHEMA_VERSION
from gradcost.units import exact_ratio

READABLE = ("1.0", SCHEMA_VERSION)


@dataclass(frozen=True)
class Change:
    """One predicted figure of one strategy, before and after; None where a report does not have the strategy."""

    strategy: str
    figure: str
    old: int | None
    new: int | None

    @property
    def growth(self) -> float:
        """By what share it grew: 0.05 for 5 %; ``inf`` from zero, or where the strategy is gone."""
        if self.old is None or self.new is None:
            return 0.0 if self.old is None else float("inf")
        return exact_ratio(self.new - self.old, self.old)


@dataclass(frozen=True)
class Saved:
    """What ``diff`` takes from a saved report.

    Attributes:
        settings: what the figures are of: network, dtype, batch, and what is differentiated by what; None where the
            report does not say, as those of schema version 1.0 do not of the last.
        figures: the predicted figures of each strategy.
    """

    settings: Mapping[str, str | int | None]
    figures: Mapping[str, Mapping[str, int]]


def read_report(path: str | Path) -> Saved:
    """Read a JSON report. Raises ``UsageError`` for a file that is none."""
    try:
        found: Any = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{str(path)!r} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise UsageError(f"{str(path)!r} is not JSON; make it with `gradcost analyze net.yaml --json FILE`") from None
    version = found.get("schema_version") if isinstance(found, dict) else None
    if version not in READABLE:
        raise UsageError(f"{str(path)!r} is no report of schema version {' or '.join(READABLE)}; make it anew")
    try:
        return saved(found)
    except (KeyError, TypeError, AttributeError):
        raise UsageError(f"{str(path)!r} lacks predicted figures that a report has; make it anew") from None


def saved(report: Mapping[str, Any]) -> Saved:
    """Return what ``diff`` takes from a report's JSON form. Raises ``KeyError`` or ``TypeError`` for what is none."""
    figures = {
        name: {
            figure.key: strategy["predicted"][figure.key] for figure in PREDICTED if figure.key in strategy["predicted"]
        }
        for name, strategy in report["strategies"].items()
    }
    if not all("flops" in each for each in figures.values()):
        raise KeyError("flops")
    if not all(isinstance(value, int) for each in figures.values() for value in each.values()):
        raise TypeError("a predicted figure is no whole number")
    network, target = report["network"], report.get("target", {})
    settings = {key: network[key] for key in ("name", "dtype", "batch")}
    return Saved(settings | {key: target.get(key) for key in ("outputs", "wrt")}, figures)


def differences(old: Saved, new: Saved) -> tuple[list[str], list[str]]:
    """Return in what the reports are not of the same, and what else a reader should know, each as a sentence."""
    known: list[str] = []
    notes: list[str] = []
    for key, was in old.settings.items():
        now = new.settings[key]
        if was == now:
            continue
        if was is None or now is None:
            notes.append(f"whether the {key} are the same is not known: a report of schema version 1.0 does not say")
        else:
            (notes if key == "name" else known).append(f"the {key} differs: {str(was)[:80]} and {str(now)[:80]}")
    return known, notes


def diff(old: Saved, new: Saved, threshold: float = 0.0) -> list[Change]:
    """Return the predicted figures that differ by more than ``threshold``, a share of the old one, up or down."""
    changes = []
    for name in dict.fromkeys((*old.figures, *new.figures)):
        before, after = old.figures.get(name), new.figures.get(name)
        if before is None or after is None:
            flops = [None if side is None else side["flops"] for side in (before, after)]
            changes.append(Change(name, "flops", *flops))
            continue
        for figure in PREDICTED:
            if figure.key not in before or figure.key not in after:
                continue  # a figure that one of the versions does not have
            change = Change(name, figure.key, before[figure.key], after[figure.key])
            if change.old != change.new and abs(change.growth) > threshold:
                changes.append(change)
    return changes
