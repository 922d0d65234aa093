"""The classes of layers that the package has."""

from __future__ import annotations

from collections.abc import Iterator

from gradcost.graph import Layer


def concrete_layers(base: type[Layer] = Layer) -> Iterator[type[Layer]]:
    """Yield every layer class of the package that is no base of others alone."""
    for layer in base.__subclasses__():
        if not layer.abstract and layer.__module__.startswith("gradcost."):
            yield layer
        yield from concrete_layers(layer)
