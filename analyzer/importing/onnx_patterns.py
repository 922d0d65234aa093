"""Operations of ONNX files that are one layer together: a gelu written out by erf, attention with a causal mask."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from gradcost.importing.axes import UnsupportedError, Value
from gradcost.importing.recipes import elementwise
from gradcost.numerics import Array, np

if TYPE_CHECKING:
    from gradcost.importing.onnx_model import Reader

HALF_ROOT = math.sqrt(0.5)
ALONE = "an erf that is not part of a gelu"


@dataclass(frozen=True)
class Gelu:
    """A part of x (1 + erf(x / sqrt 2)) / 2, as files write a gelu that is older than its operation."""

    stage: str
    base: Value


@dataclass(frozen=True)
class Causal:
    """Scores of attention with a mask added that hides what is ahead, and then their softmax."""

    q: Value
    k: Value
    weights: bool = False


def erf(reader: Reader, x: Value) -> Gelu:
    """Return erf(x / sqrt 2), the first part of a gelu."""
    base = _multiple(reader, x, HALF_ROOT)
    if base is None:
        raise UnsupportedError(ALONE)
    return Gelu("erf", base)


def gelu_sum(reader: Reader, part: Gelu, other: Any) -> Gelu:
    """Return 1 + erf(x / sqrt 2)."""
    if part.stage != "erf" or float(reader.constant(other).reshape(())) != 1:
        raise UnsupportedError(ALONE)
    return Gelu("1+erf", part.base)


def gelu_product(reader: Reader, part: Gelu, other: Any) -> Any:
    """Return gelu(x) once x, 1 + erf(x / sqrt 2) and a half have met, in any order."""
    if isinstance(other, Value) and part.stage == "1+erf":
        if other.layer == part.base.layer:
            return Gelu("x (1+erf)", part.base)
        half = _multiple(reader, other, 0.5)
        if half is not None and half.layer == part.base.layer:
            return elementwise.gelu(reader.draft, reader.name, part.base, exact=True)
    elif part.stage == "x (1+erf)" and reader.scalar(other) == 0.5:
        return elementwise.gelu(reader.draft, reader.name, part.base, exact=True)
    raise UnsupportedError(ALONE)


def _multiple(reader: Reader, value: Value, factor: float) -> Value | None:
    """Return what a value is a multiple of; None where it is none, or another."""
    entry = next((entry for entry in reader.draft.entries if entry.name == value.layer), None)
    if entry is None or entry.type != "scale" or not math.isclose(entry.options["factor"], factor, rel_tol=1e-5):
        return None
    return replace(value, layer=entry.sources[0])


def hides_what_is_ahead(mask: Array, sizes: Sequence[int]) -> bool:
    """Whether a mask is 0 up to the diagonal, and minus infinity, or nearly, behind it."""
    if mask.shape[-2:] != tuple(sizes[-2:]) or mask.size != math.prod(sizes[-2:]) or sizes[-1] != sizes[-2]:
        return False
    ahead = np.triu(np.ones(mask.shape[-2:], bool), 1)
    plain = mask.reshape(mask.shape[-2:])
    return bool((plain[~ahead] == 0).all() and (plain[ahead] < -1e4).all())
