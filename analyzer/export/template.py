"""Pages from templates: the files in ``page/``, with values in their places."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files


def part(name: str) -> str:
    """Return a file of ``page/``."""
    return (files("gradcost.export") / "page" / name).read_text(encoding="utf-8")


def filled(name: str, values: Mapping[str, str]) -> str:
    """Put each value in the place of its ``{{name}}``, in one pass, so that no value is searched for others."""
    head, *rest = part(name).split("{{")
    return head + "".join(values[name] + tail for name, _, tail in (piece.partition("}}") for piece in rest))
