"""Recurrent layers over a whole sequence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gradcost.importing.axes import UnsupportedError, Value
from gradcost.importing.draft import Draft
from gradcost.importing.handlers import as_value
from gradcost.importing.weights import own


def recurrent(
    draft: Draft,
    name: str,
    kind: str,
    x: Any,
    weights: Mapping[str, Any],
    *,
    units: int,
    bias: bool,
    batch_axis: int,
    activation: str | None = None,
) -> Value:
    """Add an rnn, lstm or gru, and return its states at every step.

    Frameworks have a bias for the input and another for the state; a gru's two are its own in a spec too.
    """
    value = draft.laid_out(as_value(x))
    if value.batch_axis != batch_axis or len(value.own_shape) != 2:
        raise UnsupportedError("it reads a sequence without a batch")
    options = {
        "units": units,
        "sequence": True,
        "activation": activation,
        "bias": None if bias else False,
        "hidden_bias": True if bias and kind != "gru" else None,
    }
    layer = draft.add(name, kind, [value], **options)
    own(draft, layer, **weights)
    return draft.with_last(value, layer, units)
