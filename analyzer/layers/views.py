"""Layers that only rename axes: identity, flatten, reshape. They cost nothing: views are free."""

from __future__ import annotations

from math import prod
from typing import Any

from gradcost.graph import Builder, LayerType, Node, View
from gradcost.spec.fields import Sizes
from gradcost.units import Shape


class Identity(View):
    """y = x."""

    def __init__(self, shape: Shape) -> None:
        """Take the shape of both ends."""
        super().__init__((shape,), shape)


class Reshape(View):
    """y = x with other axes, in C order."""

    def __init__(self, shape: Shape, output: Shape) -> None:
        """Take the two per-sample shapes."""
        super().__init__((shape,), output)


def _flatten(builder: Builder, sources: tuple[Node, ...], options: dict[str, Any]) -> Node:
    shape = sources[0].shape
    return builder.add(Reshape(shape, (prod(shape),)), *sources)


def _reshape(builder: Builder, sources: tuple[Node, ...], options: dict[str, Any]) -> Node:
    shape, wanted = sources[0].shape, options["shape"]
    if prod(shape) != prod(wanted):
        raise builder.error(
            f"cannot reshape {list(shape)} ({prod(shape):,} elements) to {list(wanted)} ({prod(wanted):,})"
        )
    return builder.add(Reshape(shape, wanted), *sources)


FLATTEN = LayerType("flatten", {}, _flatten)
RESHAPE = LayerType("reshape", {"shape": Sizes()}, _reshape)
