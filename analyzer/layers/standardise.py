"""Standardisation: xhat = (x - mean) rstd with rstd = 1 / sqrt(var + eps), over some axes, and its derivative.

What layernorm, groupnorm and batchnorm share: they differ in the axes alone, which are named from the front, so that
they also hold for arrays with an axis of tangents behind. Counts, for R means over n elements each, are the callers'.
"""

from __future__ import annotations

from gradcost.numerics import Array, np

Axes = tuple[int, ...]


def standardise(x: Array, xhat: Array, rstd: Array, scratch: Array, axes: Axes, eps: float) -> None:
    """Fill xhat and rstd; rstd holds the mean and the variance in turn."""
    n = x.size // rstd.size
    np.add.reduce(x, axis=axes, keepdims=True, out=rstd)
    np.divide(rstd, n, out=rstd)
    np.subtract(x, rstd, out=xhat)
    np.multiply(xhat, xhat, out=scratch)
    np.add.reduce(scratch, axis=axes, keepdims=True, out=rstd)
    np.divide(rstd, n, out=rstd)
    np.add(rstd, eps, out=rstd)
    np.sqrt(rstd, out=rstd)
    np.divide(1.0, rstd, out=rstd)
    np.multiply(xhat, rstd, out=xhat)


def push(t: Array, xhat: Array, rstd: Array, out: Array, axes: Axes) -> None:
    """Fill out = rstd (t - mean t - xhat mean(xhat t)); ``out`` may be ``t``.

    This Jacobian is its own transpose: pulling a cotangent is the same. For tangents, xhat and rstd have an axis of 1
    behind.
    """
    part = np.multiply(t, xhat)
    along = _mean(part, axes)
    mean = _mean(t, axes)
    np.multiply(xhat, along, out=part)
    np.subtract(t, part, out=out)
    np.subtract(out, mean, out=out)
    np.multiply(out, rstd, out=out)


def _mean(values: Array, axes: Axes) -> Array:
    total = np.add.reduce(values, axis=axes, keepdims=True)
    np.divide(total, values.size // total.size, out=total)
    return total
