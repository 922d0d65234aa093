"""Colours and marks: one for each kind of array, one for each strategy, the same on the page and in plots."""

from __future__ import annotations

from dataclasses import dataclass

from gradcost.schedule.phases import GROUPS
from gradcost.strategies import PRIMAL, STRATEGIES


@dataclass(frozen=True, slots=True)
class Colour:
    """A colour on light paper, which plots have too, and on dark."""

    light: str
    dark: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A point of a curve: as matplotlib calls it, and as an SVG path about the origin."""

    matplotlib: str
    path: str


OF_GROUP = {
    "parameters": Colour("#8c959f", "#6e7681"),
    "data": Colour("#c3cad1", "#484f58"),
    "activations": Colour("#4c8fd6", "#3f7fc4"),
    "recomputed": Colour("#2aa5a0", "#2b9d98"),
    "derivatives": Colour("#9ccbf3", "#79b4e8"),
    "jacobians": Colour("#d9534f", "#d3605a"),
    "cotangents": Colour("#e39a2d", "#d08c2a"),
    "gradients": Colour("#5ba944", "#57a344"),
    "workspace": Colour("#f2d15c", "#c9ab3f"),
    "other": Colour("#a678d1", "#9c72c6"),
}

_LINES = (
    Colour("#0b5fae", "#6cb6ff"),
    Colour("#4a8f1f", "#8fd460"),
    Colour("#b3261e", "#ff8a80"),
    Colour("#b85c00", "#ffb067"),
    Colour("#7d3fb5", "#cfa6ff"),
    Colour("#68707a", "#aab4bf"),
    Colour("#00818a", "#56d4dd"),
    Colour("#b0306f", "#ff9ecb"),
)
_MARKS = (
    Mark("o", "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0"),
    Mark("s", "M-4 -4H4V4H-4Z"),
    Mark("^", "M0 -5L5 4H-5Z"),
    Mark("v", "M0 5L5 -4H-5Z"),
    Mark("D", "M0 -5L5 0L0 5L-5 0Z"),
    Mark("x", "M-4 -4L4 4M4 -4L-4 4"),
    Mark("+", "M-5 0H5M0 -5V5"),
)


@dataclass(frozen=True, slots=True)
class Look:
    """How a strategy's curves are drawn: its colour, that colour's CSS variable, and its mark."""

    colour: Colour
    variable: str
    mark: Mark


def look(strategy: str) -> Look:
    """Return a strategy's look, by its place in the registry: whichever are shown, it stays the same."""
    place = [*STRATEGIES, PRIMAL.name].index(strategy)
    line = place % len(_LINES)
    return Look(_LINES[line], f"--s{line}", _MARKS[place % len(_MARKS)])


def style_sheet() -> str:
    """Return the colours as CSS variables: ``--k-`` and the group of an array, ``--s`` and the number of a line."""
    colours = {f"--k-{group}": OF_GROUP[group] for group in GROUPS}
    colours |= {f"--s{place}": colour for place, colour in enumerate(_LINES)}
    light = " ".join(f"{name}: {colour.light};" for name, colour in colours.items())
    dark = " ".join(f"{name}: {colour.dark};" for name, colour in colours.items())
    return f":root {{ {light} }}\n@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}"
