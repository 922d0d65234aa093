"""How options of frameworks are written in a spec."""

from __future__ import annotations

from typing import Any


def short(sizes: Any) -> Any:
    """Return one number for sizes that are all the same; a number or a word is short already."""
    if isinstance(sizes, int | str):
        return sizes
    listed = [int(size) for size in sizes]
    return listed[0] if len(set(listed)) == 1 else listed


def unless(value: Any, default: Any) -> Any:
    """Return None, which is left out of the spec, for the default."""
    return None if value == default else value
