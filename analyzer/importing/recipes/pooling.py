"""Pools and means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradcost.importing.axes import UnsupportedError, Value
from gradcost.importing.draft import Draft
from gradcost.importing.handlers import as_value
from gradcost.importing.options import short, unless


def pool(
    draft: Draft,
    name: str,
    kind: str,
    x: Any,
    sizes: Sequence[int],
    *,
    kernel: Any,
    stride: Any,
    padding: Any = 0,
    dilation: Any = 1,
    rounds_up: bool = False,
    counts_padding: bool = True,
) -> Value:
    """Add ``max_pool`` or ``avg_pool``; a mean divides by the kernel's size, padding counted."""
    if short(dilation) != 1 or rounds_up:
        raise UnsupportedError("a dilated window, or sizes rounded up (ceil_mode)")
    padding = short(padding)
    if kind == "avg_pool" and padding != 0 and not counts_padding:
        raise UnsupportedError("a mean that leaves its padding out")
    value = draft.channels_first(as_value(x), 3)
    window = short(kernel)
    options = {"kernel": window, "stride": unless(short(stride), window), "padding": unless(padding, 0)}
    return draft.geometry(name, kind, value, sizes, **options)


def adaptive(draft: Draft, name: str, x: Any, sizes: Sequence[int]) -> Value:
    """Add a pool to the sizes of the output, whatever those of the input; none where they are the same."""
    value = draft.channels_first(as_value(x), 3)
    wanted = tuple(sizes[2:])
    if wanted == (1, 1):
        return draft.geometry(name, "global_avg_pool", value, sizes[:2]).with_axis(2).with_axis(3)
    if wanted == value.own_shape[1:]:
        return value
    return draft.geometry(name, "adaptive_avg_pool", value, sizes, size=short(wanted))


def mean(draft: Draft, name: str, x: Any, axes: Sequence[int] | None, *, keep: bool) -> Value:
    """Take means over axes; None and no axes stand for all, the batch too, which no layer does."""
    if not axes:
        raise UnsupportedError("it takes the mean over the batch too")
    return draft.mean(name, as_value(x), axes, keep=keep)
