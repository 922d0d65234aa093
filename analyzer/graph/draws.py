"""Random values in the network's dtype, drawn and scaled in place: no array stands beside a wider copy of itself.

But for float16, which numpy's generators do not draw: those are rounded from float32.
"""

from __future__ import annotations

from collections.abc import Sequence

from gradcost.numerics import Array, np
from gradcost.units import INDEX, Shape


class Draws:
    """One seeded generator for a network's parameters and data."""

    def __init__(self, seed: int | Sequence[int], dtype: str) -> None:
        """Seed the generator."""
        self._generator = np.random.default_rng(seed)
        self.dtype = np.dtype(dtype)
        self._drawn = np.float64 if dtype == "float64" else np.float32

    def normal(self, shape: Shape, scale: float = 1.0, mean: float = 0.0) -> Array:
        """Draw normal values."""
        values: Array = self._generator.standard_normal(shape, self._drawn).astype(self.dtype, copy=False)
        np.multiply(values, scale, out=values)
        np.add(values, mean, out=values)
        return values

    def mask(self, shape: Shape, rate: float) -> Array:
        """Draw True with probability ``rate``."""
        chosen: Array = self._generator.random(shape, self._drawn) < rate
        return chosen

    def bits(self, shape: Shape) -> Array:
        """Draw zeros and ones."""
        return self._generator.integers(0, 2, shape, np.int8).astype(self.dtype)

    def one_hot(self, shape: Shape) -> Array:
        """Draw a class for each row of the last axis: 1 there, 0 elsewhere."""
        values = np.zeros(shape, self.dtype)
        np.put_along_axis(values, self.tokens((*shape[:-1], 1), shape[-1]), 1.0, axis=-1)
        return values

    def tokens(self, shape: Shape, vocabulary: int) -> Array:
        """Draw whole numbers below ``vocabulary``, or classes of so many."""
        return self._generator.integers(0, vocabulary, shape, np.dtype(INDEX))
