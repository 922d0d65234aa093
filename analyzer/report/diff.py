"""diff: what changed between two reports, as their JSON has it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradcost.errors import UsageError
from gradcost.formula import CATEGORIES
from gradcost.report.model import SCHEMA_VERSION
from gradcost.units import exact_ratio

FIGURES = (*CATEGORIES, "flops", "peak_bytes")


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


def read_report(path: str | Path) -> dict[str, Any]:
    """Read a JSON report. Raises ``UsageError`` for a file that is none."""
    try:
        found: Any = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{str(path)!r} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise UsageError(f"{str(path)!r} is not JSON; make it with `gradcost analyze net.yaml --json FILE`") from None
    version = found.get("schema_version") if isinstance(found, dict) else None
    if version != SCHEMA_VERSION:
        raise UsageError(f"{str(path)!r} is no report of schema version {SCHEMA_VERSION}; make it anew")
    report: dict[str, Any] = found
    try:
        for strategy in report["strategies"].values():
            if not all(isinstance(strategy["predicted"][figure], int) for figure in FIGURES):
                raise TypeError
    except (KeyError, TypeError, AttributeError):
        raise UsageError(f"{str(path)!r} lacks predicted figures that a report has; make it anew") from None
    return report


def diff(old: Mapping[str, Any], new: Mapping[str, Any], threshold: float = 0.0) -> list[Change]:
    """Return the predicted figures that differ by more than ``threshold``, a share of the old one, up or down."""
    names = dict.fromkeys((*old["strategies"], *new["strategies"]))
    changes = []
    for name in names:
        before, after = (report["strategies"].get(name) for report in (old, new))
        if before is None or after is None:
            flops = [None if side is None else side["predicted"]["flops"] for side in (before, after)]
            changes.append(Change(name, "flops", *flops))
            continue
        for figure in FIGURES:
            change = Change(name, figure, before["predicted"][figure], after["predicted"][figure])
            if change.old != change.new and abs(change.growth) > threshold:
                changes.append(change)
    return changes
