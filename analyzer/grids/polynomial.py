"""Whole-number functions that are polynomials of low degree: found from a few values, and checked at further ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import lcm

DEGREE = 5  # the highest that is looked for; the widest of closed forms, columns of W pushed through W, has 4
CHECKS = 3  # values beyond those that settle a polynomial, at which it has to be right
POINTS = DEGREE + 1 + CHECKS


@dataclass(frozen=True, slots=True)
class Polynomial:
    """A polynomial in Newton's form, sum_k c_k (x - x_0) ... (x - x_{k-1}) / ``scale``.

    Attributes:
        coefficients: the c_k, whole numbers; the last is not 0, unless it is the only one.
        places: the x_k.
        scale: the common denominator.
    """

    coefficients: tuple[int, ...]
    places: tuple[int, ...]
    scale: int

    @property
    def degree(self) -> int:
        """Its degree; that of 0 is 0."""
        return len(self.coefficients) - 1

    def __call__(self, x: int) -> Fraction:
        """Return its value at a place."""
        value = 0
        for coefficient, place in zip(reversed(self.coefficients), reversed(self.places), strict=True):
            value = value * (x - place) + coefficient
        return Fraction(value, self.scale)


def through(values: Mapping[int, int]) -> Polynomial | None:
    """Return the polynomial of degree up to ``DEGREE`` through all of the values; None where there is none, or too few.

    The c_k are Newton's divided differences: c_k = f[x_0 .. x_k], with f[a .. b] = (f[.. b] - f[a ..]) / (b - a). All
    after the degree are 0, and ``CHECKS`` of them at least have been looked at.
    """
    places = sorted(values)
    differences = [Fraction(values[place]) for place in places]
    newton = differences[:1]
    for order in range(1, len(places)):
        differences = [
            (differences[i + 1] - differences[i]) / (places[i + order] - places[i]) for i in range(len(differences) - 1)
        ]
        newton.append(differences[0])
    while len(newton) > 1 and not newton[-1]:
        newton.pop()
    if len(newton) > DEGREE + 1 or len(places) - len(newton) < CHECKS:
        return None
    scale = lcm(*(c.denominator for c in newton))
    return Polynomial(tuple(int(c * scale) for c in newton), tuple(places[: len(newton)]), scale)
