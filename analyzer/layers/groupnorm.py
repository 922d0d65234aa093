"""Group normalisation: the channels of a group, at all positions, share a mean and a variance."""

from __future__ import annotations

from math import prod
from typing import Any

from gradcost.graph import Builder, LayerType, Node
from gradcost.layers.standardised import Standardised
from gradcost.spec.fields import Float, Int
from gradcost.units import Shape


class GroupNorm(Standardised):
    """y = gamma[c] xhat + beta[c], xhat standardised in each sample and group of channels (Wu & He 2018, equation 7).

    With one group it is a layer norm over all of a sample, with a group for each channel an instance norm.
    """

    symbol_names = {"N": "N{out}", "n": "c{out}"}
    unit_axis = 0

    def __init__(self, shape: Shape, groups: int, eps: float) -> None:
        """Take the shape of both ends, the groups, and what keeps the root away from zero."""
        super().__init__(shape, (groups, prod(shape) // groups), (2,), eps)


def _build(builder: Builder, sources: tuple[Node, ...], options: dict[str, Any]) -> Node:
    (source,), groups = sources, options["groups"]
    if source.shape[0] % groups:
        raise builder.error(f"groups {groups} must divide the {source.shape[0]} channels (the first axis)")
    return builder.add(GroupNorm(source.shape, groups, options["eps"]), source)


GROUPNORM = LayerType("groupnorm", {"groups": Int(), "eps": Float(1e-5)}, _build)
