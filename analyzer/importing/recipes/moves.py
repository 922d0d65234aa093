"""Views, parts and joins: what moves elements and computes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradcost.importing.axes import UnsupportedError, Value
from gradcost.importing.draft import Draft
from gradcost.importing.handlers import as_value


def squeeze(x: Any, axes: Sequence[int] | None) -> Value:
    """Take away axes of size 1: those given, or all; the batch stays."""
    value = as_value(x)
    count = len(value.axes)
    places = range(count) if axes is None else [axis % count for axis in axes]
    for axis in sorted(places, reverse=True):
        if value.sizes[axis] == 1 and axis != value.batch_axis:
            value = value.without_axis(axis)
    return value


def unsqueeze(x: Any, axes: Sequence[int]) -> Value:
    """Put in axes of size 1, at their places in the result."""
    value = as_value(x)
    rank = len(value.axes) + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        value = value.with_axis(axis)
    return value


def expand(x: Any, sizes: Sequence[int]) -> Value:
    """Return a tensor that has the sizes already."""
    value = as_value(x)
    if value.sizes != tuple(sizes):
        raise UnsupportedError("it repeats a tensor along an axis")
    return value


def concat(draft: Draft, name: str, parts: Sequence[Any], axis: int) -> Value:
    """Join tensors along an axis."""
    values = [as_value(each) for each in parts]
    return values[0] if len(values) == 1 else draft.concat(name, values, axis)


def take(draft: Draft, name: str, x: Any, axis: int, start: int | None, stop: int | None, step: int = 1) -> Value:
    """Take a part of an axis; ends count from behind where they are negative, and may lie outside."""
    value = as_value(x)
    size = value.sizes[axis]
    if step != 1:
        raise UnsupportedError("it takes every second element, or fewer, or turns an axis round")
    first = 0 if start is None else _within(start, size)
    last = size if stop is None else _within(stop, size)
    return draft.slice(name, value, axis, first, last)


def _within(place: int, size: int) -> int:
    return max(place + size, 0) if place < 0 else min(place, size)


def pick(draft: Draft, name: str, x: Any, axis: int, index: int, *, keep: bool = False) -> Value:
    """Take one place of an axis, which is gone then unless it is to be kept."""
    value = as_value(x)
    axis %= len(value.axes)
    index %= value.sizes[axis]
    part = draft.slice(name, value, axis, index, index + 1)
    return part if keep else part.without_axis(axis)


def split(draft: Draft, name: str, x: Any, axis: int, sizes: Sequence[int]) -> tuple[Value, ...]:
    """Take an axis apart into pieces of the sizes."""
    value = as_value(x)
    axis %= len(value.axes)
    parts, start = [], 0
    for place, size in enumerate(sizes):
        parts.append(draft.slice(f"{name}_{place}", value, axis, start, start + size))
        start += size
    return tuple(parts)
