"""Convolutions, plain and transposed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradcost.importing.axes import UnsupportedError, Value
from gradcost.importing.draft import Draft
from gradcost.importing.handlers import as_value
from gradcost.importing.options import short, unless
from gradcost.importing.weights import Weight, own


def convolution(
    draft: Draft,
    name: str,
    x: Any,
    weight: Any,
    bias: Any,
    sizes: Sequence[int],
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    transposed: bool = False,
    output_padding: Any = 0,
) -> Value:
    """Add a convolution that makes a tensor of the sizes.

    Its weight is [filters, channels, ...], or [channels, filters, ...] where it is transposed.

    Raises:
        UnsupportedError: its weight is computed, or it is over more axes than a spec has.
    """
    if not isinstance(weight, Weight):
        raise UnsupportedError("its weights are computed")
    rank = len(weight.shape) - 2
    if rank > 2 or (transposed and rank != 2):
        raise UnsupportedError(f"a convolution over {rank} axes")
    options = {
        "filters": weight.shape[1] * groups if transposed else weight.shape[0],
        "kernel": short(weight.shape[2:]),
        "stride": unless(short(stride), 1),
        "padding": unless(short(padding), 0),
        "dilation": unless(short(dilation), 1),
        "groups": unless(groups, 1),
        "bias": None if bias is not None else False,
        "output_padding": unless(short(output_padding), 0),
    }
    kind = "conv_transpose2d" if transposed else f"conv{rank}d"
    value = draft.channels_first(as_value(x), rank + 1)
    made = draft.geometry(name, kind, value, sizes, **options)
    own(draft, made.layer, W=weight, b=bias)
    return made
