"""Losses: a scalar from the network's output and its targets, and its cotangent dL/dy.

The mean is over the batch, and over every element for bce and mse, as deep learning libraries take it.
"""

from __future__ import annotations

from math import prod

from gradcost.graph import At, Draws, Loss, rule
from gradcost.layers.softmax import softmax
from gradcost.numerics import Array, np


class BinaryCrossEntropy(Loss):
    """L = mean of -(t log y + (1 - t) log(1 - y)); dL/dy = (y - t) / (y (1 - y)) / count."""

    name = "bce"

    def target(self, batch: int, draws: Draws) -> Array:
        """Draw zeros and ones."""
        return draws.bits((batch, *self.shape))

    @rule(
        "y",
        "target",
        says="-mean(t log {y} + (1 - t) log(1 - {y}))",
        special="2*B*S*n",
        products="2*B*S*n",
        additions="3*B*S*n + (B*S*n-1) + 1",
        divisions="1",
        workspace="3*i*B*S*n",
    )
    def primal(self, at: At, out: Array) -> None:
        """Fill the loss."""
        yes = np.log(at.y)
        np.multiply(yes, at.target, out=yes)
        no = np.subtract(1.0, at.y)
        np.log(no, out=no)
        rest = np.subtract(1.0, at.target)
        np.multiply(no, rest, out=no)
        np.add(yes, no, out=yes)
        _mean(yes, out, yes.size)
        np.negative(out, out=out)

    @rule(
        "y",
        "target",
        says="({y} - t) / ({y} (1 - {y})) / n",
        products="B*S*n",
        additions="2*B*S*n",
        divisions="2*B*S*n",
        workspace="i*B*S*n",
    )
    def cotangent(self, at: At, out: Array) -> None:
        """Fill dL/dy."""
        variance = np.subtract(1.0, at.y)
        np.multiply(variance, at.y, out=variance)
        np.subtract(at.y, at.target, out=out)
        np.divide(out, variance, out=out)
        np.divide(out, prod(out.shape), out=out)


class DenseSoftmaxCrossEntropy(Loss):
    """L = -sum t log softmax(y) over the last axis, mean over the rest, y logits and t a row of numbers for each.

    dL/dy = (softmax(y) - t) / count, for rows that sum to 1.
    """

    name = "softmax_ce"

    def target(self, batch: int, draws: Draws) -> Array:
        """Draw one-hot classes."""
        return draws.one_hot((batch, *self.shape))

    @rule(
        "y",
        "target",
        says="-sum(t log softmax({y})) / n",
        comparisons="B*S*(n-1)",
        special="B*S*n + B*S",
        products="B*S*n",
        additions="2*B*S*n + B*S*(n-1) + (B*S*n-1) + 1",
        divisions="1",
        workspace="i*(2*B*S*n + B*S)",
    )
    def primal(self, at: At, out: Array) -> None:
        """Fill the loss by log softmax(y) = (y - max) - log sum exp(y - max)."""
        row = np.maximum.reduce(at.y, axis=-1, keepdims=True)
        shifted = np.subtract(at.y, row)
        powers = np.exp(shifted)
        np.add.reduce(powers, axis=-1, keepdims=True, out=row)
        np.log(row, out=row)
        np.subtract(shifted, row, out=shifted)
        np.multiply(shifted, at.target, out=shifted)
        _mean(shifted, out, shifted.size // self.shape[-1])
        np.negative(out, out=out)

    @rule(
        "y",
        "target",
        says="(softmax({y}) - t) / n",
        comparisons="B*S*(n-1)",
        special="B*S*n",
        additions="2*B*S*n + B*S*(n-1)",
        divisions="2*B*S*n",
        workspace="i*B*S",
    )
    def cotangent(self, at: At, out: Array) -> None:
        """Fill dL/dy."""
        delta = out[0]
        softmax(at.y, delta)
        np.subtract(delta, at.target, out=delta)
        np.divide(delta, prod(delta.shape[:-1]), out=delta)


class SoftmaxCrossEntropy(Loss):
    """L = -log softmax(y)[t] over the last axis, mean over the rest, y logits and t classes.

    dL/dy = (softmax(y) - 1[t]) / count, with 1[t] = 1 at the class t, 0 elsewhere.
    """

    name = "softmax_ce"
    of_dense = DenseSoftmaxCrossEntropy

    def target(self, batch: int, draws: Draws) -> Array:
        """Draw classes."""
        return draws.tokens(self.target_shape(batch), self.shape[-1])

    @rule(
        "y",
        "target",
        says="-mean(log softmax({y})[t])",
        comparisons="B*S*(n-1)",
        special="B*S*n + B*S",
        additions="B*S*n + B*S*(n-1) + B*S + (B*S-1) + 1",
        divisions="1",
        workspace="i*(B*S*n + 2*B*S)",
    )
    def primal(self, at: At, out: Array) -> None:
        """Fill the loss by log softmax(y) = (y - max) - log sum exp(y - max), the first term at the classes alone."""
        row = np.maximum.reduce(at.y, axis=-1, keepdims=True)
        shifted = np.subtract(at.y, row)
        chosen = np.take_along_axis(shifted, at.target[..., None], axis=-1)
        np.exp(shifted, out=shifted)
        np.add.reduce(shifted, axis=-1, keepdims=True, out=row)
        np.log(row, out=row)
        np.subtract(chosen, row, out=chosen)
        _mean(chosen, out, chosen.size)
        np.negative(out, out=out)

    @rule(
        "y",
        "target",
        says="(softmax({y}) - 1[t]) / n",
        comparisons="B*S*(n-1)",
        special="B*S*n",
        additions="B*S*n + B*S*(n-1) + B*S",
        divisions="2*B*S*n",
        workspace="i*B*S",
    )
    def cotangent(self, at: At, out: Array) -> None:
        """Fill dL/dy."""
        delta, target = out[0], at.target[..., None]
        softmax(at.y, delta)
        chosen = np.take_along_axis(delta, target, axis=-1)
        np.subtract(chosen, 1.0, out=chosen)
        np.put_along_axis(delta, target, chosen, axis=-1)
        np.divide(delta, prod(delta.shape[:-1]), out=delta)


class MeanSquaredError(Loss):
    """L = mean of (y - t)^2; dL/dy = (y - t) (2 / count)."""

    name = "mse"

    def target(self, batch: int, draws: Draws) -> Array:
        """Draw normal values."""
        return draws.normal((batch, *self.shape))

    @rule(
        "y",
        "target",
        says="mean(({y} - t)^2)",
        products="B*S*n",
        additions="B*S*n + (B*S*n-1)",
        divisions="1",
        workspace="i*B*S*n",
    )
    def primal(self, at: At, out: Array) -> None:
        """Fill the loss."""
        error = np.subtract(at.y, at.target)
        np.multiply(error, error, out=error)
        _mean(error, out, error.size)

    @rule("y", "target", says="2 ({y} - t) / n", products="B*S*n", additions="B*S*n")
    def cotangent(self, at: At, out: Array) -> None:
        """Fill dL/dy."""
        np.subtract(at.y, at.target, out=out)
        np.multiply(out, 2.0 / prod(out.shape), out=out)


class NoLoss(Loss):
    """L = the sum of all outputs: with no loss of its own, a network is differentiated with a cotangent of ones."""

    name = "none"
    needs_target = False

    @rule("y", says="the sum of {y}", additions="B*S*n-1")
    def primal(self, at: At, out: Array) -> None:
        """Fill the sum."""
        np.add.reduce(at.y.reshape(1, -1), axis=1, out=out)

    @rule(says="1")
    def cotangent(self, at: At, out: Array) -> None:
        """Fill ones."""
        out[...] = 1.0


def _mean(values: Array, out: Array, count: int) -> None:
    """Fill out (1,) with the sum of values divided by count."""
    np.add.reduce(values.reshape(1, -1), axis=1, out=out)
    np.divide(out, count, out=out)
