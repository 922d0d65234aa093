"""The optimizers of ``torch.optim``: the state that each keeps, and what its step holds besides.

On ``cuda`` a step works on lists of all parameters at once (foreach, the default there); else in a loop, in which
what the last parameter's turn made lives until the next one's has taken its name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TypeAlias

from gradcost.units import Shape

Elements: TypeAlias = Callable[[Shape], int]
COUNTER = 4  # a float32 of no axes, the number of steps


@dataclass(frozen=True)
class Optimizer:
    """What an optimizer holds, in elements for one parameter of a shape.

    Attributes:
        state: what it keeps from step to step.
        counts: whether it keeps the number of steps for each parameter.
        turn: of a loop's turn, what it makes at most at once.
        left: of that, what stays until the next turn has made its own.
        together: of a step over all parameters at once, what is made for each.
    """

    state: Elements
    counts: bool
    turn: Elements
    left: Elements
    together: Elements


def _nothing(shape: Shape) -> int:
    return 0


def _rows_and_columns(shape: Shape) -> int:
    """Return the elements of a row and a column of the last two axes' variances; of a vector, its own."""
    if len(shape) < 2:
        return prod(shape)
    return prod(shape) // shape[-1] + prod(shape) // shape[-2]


_ADAM = Optimizer(
    state=lambda shape: 2 * prod(shape),  # exp_avg, exp_avg_sq
    counts=True,
    turn=lambda shape: 2 * prod(shape),  # exp_avg_sq.sqrt(), and its quotient
    left=prod,
    together=prod,  # _foreach_sqrt
)

OPTIMIZERS: Mapping[str, Optimizer] = {
    "none": Optimizer(_nothing, False, _nothing, _nothing, _nothing),
    "sgd": Optimizer(_nothing, False, _nothing, _nothing, _nothing),
    "momentum": Optimizer(prod, False, _nothing, _nothing, _nothing),
    "adam": _ADAM,  # Kingma & Ba 2015, algorithm 1
    "adamw": _ADAM,  # Loshchilov & Hutter 2019: the decay is in place
    "adafactor": Optimizer(  # Shazeer & Stern 2018, algorithm 4
        state=_rows_and_columns,
        counts=True,
        turn=lambda shape: prod(shape) + _rows_and_columns(shape),
        left=lambda shape: prod(shape) + _rows_and_columns(shape),
        together=prod,
    ),
}


def transient(optimizer: Optimizer, shapes: Sequence[Shape], *, together: bool) -> int:
    """Return the most elements that a step over parameters of these shapes, in order, holds besides."""
    if together:
        return sum(map(optimizer.together, shapes))
    most = left = 0
    for shape in shapes:
        most = max(most, left + optimizer.turn(shape))
        left = optimizer.left(shape)
    return most
