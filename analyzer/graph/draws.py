"""Random values in the network's dtype, drawn and scaled in place: no array stands beside a wider copy of itself."""

from __future__ import annotations

from collections.abc import Sequence

from gradcost.numerics import Array, np
from gradcost.units import Shape


class Draws:
    """One seeded generator for a network's parameters and data."""

    def __init__(self, seed: int | Sequence[int], dtype: str) -> None:
        """Seed the generator."""
        self._generator = np.random.default_rng(seed)
        self.dtype = np.dtype(dtype)

    def normal(self, shape: Shape, scale: float = 1.0, mean: float = 0.0) -> Array:
        """Draw normal values."""
        values = self._generator.standard_normal(shape, self.dtype.type)
        np.multiply(values, scale, out=values)
        return np.add(values, mean, out=values)

    def mask(self, shape: Shape, rate: float) -> Array:
        """Draw zeros with probability ``rate``, and 1 / (1 - rate) elsewhere."""
        values = self._generator.random(shape, self.dtype.type)
        np.greater_equal(values, rate, out=values)
        return np.divide(values, 1 - rate, out=values)

    def bits(self, shape: Shape) -> Array:
        """Draw zeros and ones."""
        return self._generator.integers(0, 2, shape, np.int8).astype(self.dtype)

    def one_hot(self, shape: Shape) -> Array:
        """Draw a class for each row of the last axis: 1 there, 0 elsewhere."""
        values = np.zeros(shape, self.dtype)
        classes = self._generator.integers(0, shape[-1], (*shape[:-1], 1))
        np.put_along_axis(values, classes, 1.0, axis=-1)
        return values

    def tokens(self, shape: Shape, vocabulary: int) -> Array:
        """Draw whole numbers below ``vocabulary``, as wide as the network's own: every element is of one size."""
        return self._generator.integers(0, vocabulary, shape, np.dtype(f"int{8 * self.dtype.itemsize}"))
