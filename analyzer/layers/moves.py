"""Layers that only move elements: permute and slice. They copy, and do no arithmetic."""

from __future__ import annotations

from typing import Any

from gradcost.graph import At, Builder, LayerType, Linear, Node, rule
from gradcost.numerics import Array, np
from gradcost.spec.fields import Int, Order
from gradcost.units import Shape


class Permute(Linear):
    """y = x with its axes in another order, counted without the batch axis: output axis i is input axis order[i]."""

    def __init__(self, shape: Shape, order: tuple[int, ...]) -> None:
        """Take the input's shape and the order."""
        super().__init__((shape,), tuple(shape[axis] for axis in order))
        self.order = order

    @rule("x")
    def primal(self, at: At, out: Array) -> None:
        behind = range(len(self.order) + 1, len(out.shape))
        np.copyto(out, at.x.transpose(0, *(axis + 1 for axis in self.order), *behind))

    @rule()
    def vjp(self, at: At, g: Array, out: Array) -> None:
        """Copy the cotangents back."""
        np.copyto(out, g.transpose(0, 1, *(self.order.index(axis) + 2 for axis in range(len(self.order)))))


class Slice(Linear):
    """y = the part of x from ``start`` to before ``stop`` along an axis, counted without the batch axis."""

    partial = True

    def __init__(self, shape: Shape, axis: int, start: int, stop: int) -> None:
        """Take the input's shape, the axis and the bounds."""
        super().__init__((shape,), (*shape[:axis], stop - start, *shape[axis + 1 :]))
        self.where = (slice(None),) * (axis + 1) + (slice(start, stop),)

    @rule("x")
    def primal(self, at: At, out: Array) -> None:
        """Copy the part."""
        np.copyto(out, at.x[self.where])

    @rule()
    def vjp(self, at: At, g: Array, out: Array) -> None:
        """Put the cotangents in their place, among zeros."""
        out[...] = 0.0
        np.copyto(out[:, *self.where], g)

    @rule(additions="B*N*K")
    def vjp_more(self, at: At, g: Array, out: Array) -> None:
        """Add the cotangents in their place, to those of other parts."""
        part = out[:, *self.where]
        np.add(part, g, out=part)


def _permute(builder: Builder, sources: tuple[Node, ...], options: dict[str, Any]) -> Node:
    (source,) = sources
    order = options["order"]
    if sorted(order) != list(range(len(source.shape))):
        axes = list(range(len(source.shape)))
        raise builder.error(f"order must name each axis of {list(source.shape)} once, so {axes} in some order")
    return builder.add(Permute(source.shape, order), source)


def _slice(builder: Builder, sources: tuple[Node, ...], options: dict[str, Any]) -> Node:
    (source,) = sources
    axis, start = options["axis"], options["start"]
    if not 0 <= axis < len(source.shape):
        raise builder.error(f"axis {axis} is not there; {list(source.shape)} has axes 0 to {len(source.shape) - 1}")
    size = source.shape[axis]
    stop = size if options["stop"] is None else options["stop"]
    if not start < stop <= size:
        raise builder.error(f"start {start} and stop {stop} must be in order and within the axis of {size:,}")
    return builder.add(Slice(source.shape, axis, start, stop), source)


PERMUTE = LayerType("permute", {"order": Order()}, _permute)
SLICE = LayerType("slice", {"axis": Int(0, 0, 7), "start": Int(0, minimum=0), "stop": Int(None)}, _slice)
