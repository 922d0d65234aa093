"""Means over axes: mean, and global_avg_pool over all spatial axes."""

from __future__ import annotations

from math import prod
from typing import Any

from gradcost.graph import At, Builder, LayerType, Linear, Node, rule
from gradcost.numerics import Array, np
from gradcost.spec.fields import Int
from gradcost.units import Shape


class Mean(Linear):
    """y = mean of x over the axes from ``low`` to before ``high``, counted without the batch axis.

    Symbols: N elements of an output sample, a elements in each mean.
    """

    symbol_names = {"N": "N{out}", "a": "a{out}"}

    def __init__(self, shape: Shape, low: int, high: int) -> None:
        """Take the input's shape and the axes that go."""
        super().__init__((shape,), (*shape[:low], *shape[high:]))
        self.low = low
        self.count = prod(shape[low:high])

    @property
    def sizes(self) -> dict[str, int]:
        return {"N": prod(self.output), "a": self.count}

    @rule("x", additions="B*N*(a-1)*K", divisions="B*N*K")
    def primal(self, at: At, out: Array) -> None:
        lead, trail = prod(out.shape[: self.low + 1]), prod(out.shape[self.low + 1 :])
        np.add.reduce(at.x.reshape(lead, self.count, trail), axis=1, out=out.reshape(lead, trail))
        np.divide(out, self.count, out=out)

    @rule(divisions="B*N*K", workspace="i*B*N*K")
    def vjp(self, at: At, g: Array, out: Array) -> None:
        """Pull cotangents: an equal share to each element."""
        share = np.divide(g, self.count)
        lead, trail = prod(g.shape[: self.low + 2]), prod(g.shape[self.low + 2 :])
        np.copyto(out.reshape(lead, self.count, trail), share.reshape(lead, 1, trail))


def _mean(builder: Builder, sources: tuple[Node, ...], options: dict[str, Any]) -> Node:
    (source,) = sources
    rank, axis = len(source.shape), options["axis"]
    axis = axis + rank if axis < 0 else axis
    if rank < 2 or not 0 <= axis < rank:
        raise builder.error(f"mean needs an axis to take and one to leave; {list(source.shape)} has 0 to {rank - 1}")
    return builder.add(Mean(source.shape, axis, axis + 1), source)


def _global(builder: Builder, sources: tuple[Node, ...], options: dict[str, Any]) -> Node:
    (source,) = sources
    if len(source.shape) < 2:
        raise builder.error(f"global_avg_pool reads channels and at least one axis more, not {list(source.shape)}")
    return builder.add(Mean(source.shape, 1, len(source.shape)), source)


MEAN = LayerType("mean", {"axis": Int(minimum=-8, maximum=7)}, _mean)
GLOBAL_AVG_POOL = LayerType("global_avg_pool", {}, _global)
