"""Activations, sums and products, element by element."""

from __future__ import annotations

from typing import Any

from gradcost.importing.axes import UnsupportedError, Value
from gradcost.importing.draft import Draft
from gradcost.importing.handlers import as_value
from gradcost.importing.options import unless


def activation(draft: Draft, name: str, x: Any, kind: str, **options: Any) -> Value:
    """Add an activation."""
    return draft.elementwise(name, "activation", as_value(x), activation=kind, **options)


def gelu(draft: Draft, name: str, x: Any, *, exact: bool) -> Value:
    """Add a gelu; of the approximation by tanh, a note is made."""
    if not exact:
        draft.note("Its gelu is the tanh approximation; here it is the exact one, which counts erf for tanh.")
    return activation(draft, name, x, "gelu")


def leaky_relu(draft: Draft, name: str, x: Any, slope: float) -> Value:
    """Add a leaky_relu."""
    return activation(draft, name, x, "leaky_relu", negative_slope=unless(slope, 0.01))


def clamp(low: float | None, high: float | None) -> str:
    """Return the activation that keeps values within two ends."""
    if (low, high) == (0, 6):
        return "relu6"
    if (low, high) == (0, None):
        return "relu"
    raise UnsupportedError(f"it clamps to {low} and {high}; a spec has relu6, 0 and 6")


def softmax(draft: Draft, name: str, x: Any, axis: int) -> Value:
    """Add a softmax."""
    return draft.over_last(name, "activation", along_last(x, axis), activation="softmax")


def log_softmax(draft: Draft, x: Any, *, read: bool) -> Value:
    """Leave out a log_softmax at the end, which is a part of the loss; ``read`` says whether anything reads it."""
    if read:
        raise UnsupportedError("a log_softmax that is not the last operation")
    draft.note("Its last log_softmax is part of the loss softmax_ce, which takes logits.")
    return as_value(x)


def along_last(x: Any, axis: int) -> Value:
    """Return what a softmax reads, if it is along the last axis."""
    value = as_value(x)
    if axis % len(value.axes) != len(value.axes) - 1:
        raise UnsupportedError("a softmax that is not over the last axis")
    return value


def scale(draft: Draft, name: str, x: Any, factor: float) -> Value:
    """Multiply by a number."""
    return draft.elementwise(name, "scale", as_value(x), factor=factor)


def multiply(draft: Draft, name: str, a: Any, b: Any, factor: float | None) -> Value:
    """Multiply by a number, where b is one, or by a tensor."""
    if factor is not None:
        return scale(draft, name, a, factor)
    return draft.join(name, "multiply", [as_value(a), as_value(b)])


def divide(draft: Draft, name: str, a: Any, divisor: float | None) -> Value:
    """Divide by a number; None stands for a tensor."""
    if divisor is None:
        raise UnsupportedError("it divides by a tensor")
    return scale(draft, name, a, 1 / divisor)


def subtract(draft: Draft, name: str, a: Any, b: Any) -> Value:
    """Add -b."""
    less = scale(draft, f"{name}_minus", b, -1.0)
    return draft.join(name, "add", [as_value(a), less])
