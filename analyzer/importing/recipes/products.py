"""Products with weights, and of two tensors of the network."""

from __future__ import annotations

from typing import Any

from gradcost.importing.axes import Value
from gradcost.importing.draft import Draft
from gradcost.importing.handlers import as_value
from gradcost.importing.weights import own


def dense(draft: Draft, name: str, x: Any, weight: Any, bias: Any = None, *, units: int) -> Value:
    """Add a dense layer over the last axis."""
    made = draft.dense(name, as_value(x), units, bias=bias is not None)
    own(draft, made.layer, W=weight, b=bias)
    return made


def matmul(draft: Draft, name: str, a: Any, b: Any) -> Value:
    """Multiply two tensors of the network, sample by sample."""
    return draft.matmul(name, as_value(a), as_value(b))
