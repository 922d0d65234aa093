"""The grid: which values of a spec are varied, and the specs that come of it."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any, TypeAlias

from gradcost.errors import UsageError, nearest

Value: TypeAlias = int | float | str | bool
MAX_VALUES = 100_000


@dataclass(frozen=True, slots=True)
class Axis:
    """One place in a spec, ``layers.hidden.units``, and the values that it takes in turn."""

    path: str
    values: tuple[Value, ...]


def parse_axis(text: str) -> Axis:
    """Read ``PATH=16,64,256``, ``PATH=1:9:2`` (every second, both ends included) or ``PATH=1:128:x2`` (doubling).

    Raises:
        UsageError: it is neither.
    """
    path, equals, given = text.partition("=")
    if not equals or not path or not given:
        raise UsageError(f"{text!r} names no values; write for example layers.hidden.units=16,64,256 or batch=1:128:x2")
    values = tuple(value for part in given.split(",") for value in _values(part.strip(), text))
    if len(set(values)) < len(values):
        raise UsageError(f"{text!r} names a value twice")
    return Axis(path.strip(), values)


def _values(part: str, text: str) -> Sequence[Value]:
    if ":" not in part:
        return (_value(part),)
    start, stop, *more = part.split(":")
    step = more[0] if more else "1"
    ratio = step.startswith("x")
    try:
        first, last, by = int(start), int(stop), int(step.removeprefix("x"))
    except ValueError:
        raise UsageError(f"{part!r} in {text!r} is no range; write START:STOP:STEP or START:STOP:xRATIO") from None
    if len(more) > 1 or first > last or by < 1 + ratio or (ratio and first < 1):
        raise UsageError(f"{part!r} in {text!r} must rise: from START to STOP by a STEP of at least 1, or xRATIO of 2")
    if not ratio:
        if (last - first) // by >= MAX_VALUES:
            raise UsageError(f"{part!r} in {text!r} is over {MAX_VALUES:,} values")
        return range(first, last + 1, by)
    values = [first]
    while values[-1] * by <= last:
        values.append(values[-1] * by)
    return values


def _value(text: str) -> Value:
    """Read one value as YAML would: a number, true or false, or a word."""
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            continue
    return {"true": True, "false": False}.get(text, text)


def points(axes: Sequence[Axis]) -> Iterator[dict[str, Value]]:
    """Yield every combination, the last axis running fastest."""
    for values in product(*(axis.values for axis in axes)):
        yield dict(zip((axis.path for axis in axes), values, strict=True))


def size(axes: Sequence[Axis]) -> int:
    """Return how many points the grid has."""
    return prod(len(axis.values) for axis in axes)


def at(tree: Mapping[str, Any], point: Mapping[str, Value]) -> dict[str, Any]:
    """Return a copy of a spec with a point's values in their places.

    Raises:
        UsageError: a place is not there.
    """
    changed = copy.deepcopy(dict(tree))
    for path, value in point.items():
        _set(changed, path, value)
    return changed


def value_at(tree: Mapping[str, Any], path: str) -> Any:
    """Return what stands at a place of a spec. Raises ``UsageError`` where there is none."""
    here: Any = tree
    for key in path.split("."):
        here = here[_find(here, key, path)]
    return here


def _set(tree: Any, path: str, value: Value) -> None:
    """Put a value in its place: keys of mappings, names (or positions, from 1) of layers, positions in shapes."""
    outer, _, last = path.rpartition(".")
    here = value_at(tree, outer) if outer else tree
    if isinstance(here, dict):
        here[last] = value  # a key that was left out is added; the spec's own check refuses one that it does not know
    else:
        here[_find(here, last, path)] = value


def _find(here: Any, key: str, path: str) -> str | int:
    if isinstance(here, dict):
        if key in here:
            return key
        raise UsageError(f"{path}: there is no {key!r} in the spec{nearest(key, map(str, here))}")
    if isinstance(here, list):
        names = [item.get("name") if isinstance(item, dict) else None for item in here]
        if key in names:
            return names.index(key)
        if key.isascii() and key.isdigit() and 1 <= int(key) <= len(here):
            return int(key) - 1
        known = [name for name in names if isinstance(name, str)]
        raise UsageError(f"{path}: there is no {key!r} among the {len(here)} entries{nearest(key, known)}")
    raise UsageError(f"{path}: {key!r} leads into {here!r}, which has no parts")
