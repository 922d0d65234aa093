"""Parameters of one number for each unit, whether units are the features of the last axis or channels in front."""

from __future__ import annotations

from math import prod

from gradcost.graph import Layer
from gradcost.numerics import Array, np
from gradcost.units import Shape


class PerUnit(Layer, abstract=True):
    """A layer whose output has its input's shape, and whose parameters are (n,): one number for each unit.

    ``unit_axis`` says which axis the units are. Symbols: N elements of a sample, n units, S positions of each.
    """

    symbol_names = {"N": "N{out}", "n": "n{out}"}

    def __init__(self, inputs: tuple[Shape, ...], output: Shape) -> None:
        """Fix the per-sample shapes, and those of the parameters."""
        super().__init__(inputs, output)
        self.parameters = dict.fromkeys(self.parameter_names, (output[self.unit_axis],))

    @property
    def sizes(self) -> dict[str, int]:
        size, n = prod(self.output), self.output[self.unit_axis]
        return {"N": size, "n": n, "S": size // n}

    @property
    def _behind(self) -> int:
        """How many axes are behind that of the units."""
        return len(self.output) - 1 - self.unit_axis % len(self.output)

    def wide(self, values: Array) -> Array:
        """Return values (n,) with axes of 1 for the positions behind the units."""
        return values.reshape(-1, *(1,) * self._behind)

    def tangent(self, v: Array) -> Array:
        """Return the tangents (K, n) of a parameter with axes of 1 for those positions: (n, 1.., K)."""
        wide: Array = v.T[(slice(None), *(None,) * self._behind)]
        return wide

    def sum_by_unit(self, g: Array, out: Array) -> None:
        """Fill out (K, n) with the sum of g (K, B, \\*shape) over samples and positions: n (B S - 1) K additions."""
        units, behind = out.shape[1], prod(self.output[len(self.output) - self._behind :])
        np.add.reduce(g.reshape(out.shape[0], -1, units, behind), axis=(1, 3), out=out)
