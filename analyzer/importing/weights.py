"""Parameters of a framework, on their way into layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gradcost.importing.axes import UnsupportedError
from gradcost.importing.draft import Draft
from gradcost.units import Shape


@dataclass(frozen=True, eq=False, slots=True)
class Weight:
    """A parameter where an operation expects one. A view of it has another shape and the same key.

    Attributes:
        shape: as it is seen.
        key: what identifies it in the framework: layers with one key share it.
        trainable: whether it is to be trained.
        tensor: where it is stored, for those that may be constants too.
    """

    shape: Shape
    key: object
    trainable: bool = True
    tensor: Any = None


def own(draft: Draft, layer: str, **weights: object) -> None:
    """Note the parameters of the layer just added, by their names there; those that are None it does not have.

    Raises:
        UnsupportedError: one is computed, or some are frozen and others are not.
    """
    given = {name: each for name, each in weights.items() if each is not None}
    found = {name: each for name, each in given.items() if isinstance(each, Weight)}
    if len(found) < len(given):
        raise UnsupportedError("its weights are computed, or no parameters")
    trainable = {each.trainable for each in found.values()}
    if len(trainable) > 1:
        raise UnsupportedError("some of its parameters are frozen and others are not")
    draft.own(layer, {name: each.key for name, each in found.items()}, trainable != {False})
