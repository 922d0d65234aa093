"""Layer normalisation over the last axis."""

from __future__ import annotations

from typing import Any

from gradcost.graph import Builder, LayerType, Node
from gradcost.layers.standardised import Standardised
from gradcost.spec.fields import Float
from gradcost.units import Shape


class LayerNorm(Standardised):
    """y = gamma xhat + beta, xhat standardised over the last axis of x (B, S.., n) (Ba, Kiros & Hinton 2016)."""

    def __init__(self, shape: Shape, eps: float) -> None:
        """Take the shape of both ends and what keeps the root away from zero."""
        super().__init__(shape, shape, (len(shape),), eps)


def _build(builder: Builder, sources: tuple[Node, ...], options: dict[str, Any]) -> Node:
    return builder.add(LayerNorm(sources[0].shape, options["eps"]), *sources)


LAYERNORM = LayerType("layernorm", {"eps": Float(1e-5)}, _build)
