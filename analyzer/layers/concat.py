"""Concat: several inputs side by side along one axis."""

from __future__ import annotations

from typing import Any

from gradcost.graph import At, Builder, Join, LayerType, Node, rule
from gradcost.numerics import Array, np
from gradcost.spec.fields import Int
from gradcost.units import Shape


class Concat(Join):
    """y = [x0, x1, ...] along ``axis`` (counted without the batch axis)."""

    clears = True

    def __init__(self, shapes: tuple[Shape, ...], axis: int) -> None:
        """Take shapes that agree on every axis but one."""
        total = sum(shape[axis] for shape in shapes)
        super().__init__(shapes, (*shapes[0][:axis], total, *shapes[0][axis + 1 :]))
        self.axis = axis
        ends = [sum(shape[axis] for shape in shapes[: i + 1]) for i in range(len(shapes))]
        self._spans = [slice(end - shape[axis], end) for end, shape in zip(ends, shapes, strict=True)]

    def _part(self, whole: Array, index: int) -> Array:
        """Return the view of ``whole`` (B, \\*output, ...) that input ``index`` fills."""
        return whole[(slice(None),) * (self.axis + 1) + (self._spans[index],)]

    @rule("x*")
    def primal(self, at: At, out: Array) -> None:
        """Copy the inputs into their places."""
        for index in range(len(self.inputs)):
            np.copyto(self._part(out, index), at[f"x{index}"])

    @rule()
    def jvp_first(self, at: At, index: int, t: Array, out: Array) -> None:
        """Copy the tangents into their place."""
        np.copyto(self._part(out, index), t)

    @rule()
    def jvp_more(self, at: At, index: int, t: Array, out: Array) -> None:
        """Copy the tangents into their place: no two inputs meet."""
        np.copyto(self._part(out, index), t)

    @rule()
    def vjp_i(self, at: At, index: int, g: Array, out: Array) -> None:
        """Copy one input's part of the cotangents."""
        np.copyto(out, g[(slice(None),) * (self.axis + 2) + (self._spans[index],)])


def _build(builder: Builder, sources: tuple[Node, ...], options: dict[str, Any]) -> Node:
    shapes = tuple(source.shape for source in sources)
    rank = len(shapes[0])
    axis = options["axis"] + rank if options["axis"] < 0 else options["axis"]
    if not 0 <= axis < rank:
        raise builder.error(
            f"axis {options['axis']} is not there; inputs of shape {list(shapes[0])} have axes 0 to {rank - 1}"
        )
    if len({(len(s), s[:axis], s[axis + 1 :]) for s in shapes}) > 1:
        shown = ", ".join(f"{source.label} {list(source.shape)}" for source in sources)
        raise builder.error(f"concat needs inputs that agree on every axis but {axis}, not {shown}")
    return builder.add(Concat(shapes, axis), *sources)


CONCAT = LayerType("concat", {"axis": Int(-1, minimum=-8, maximum=7)}, _build, inputs=(2, None))
