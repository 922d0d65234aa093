"""What installed packages add: layers and strategies, by entry points."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from gradcost.errors import GradcostError

T = TypeVar("T")


def installed(group: str, kind: type[T]) -> Iterator[T]:
    """Yield what the entry points of a group name.

    Raises:
        GradcostError: one of them cannot be loaded, or names something else.
    """
    if not _any(group):
        return
    from importlib.metadata import entry_points

    for point in entry_points(group=group):
        try:
            found = point.load()
        except (ImportError, AttributeError) as error:
            raise GradcostError(f"{group}: {point.name} ({point.value}) cannot be loaded: {error}") from error
        if not isinstance(found, kind):
            raise GradcostError(f"{group}: {point.name} ({point.value}) is no {kind.__name__}")
        yield found


def _any(group: str) -> bool:
    """Whether an installed package has entry points of a group: importing what reads them takes longer than a look."""
    header = f"[{group}]".encode()
    for folder in dict.fromkeys(sys.path):
        for file in Path(folder or ".").glob("*.*-info/entry_points.txt"):
            if header in file.read_bytes():
                return True
    return False
