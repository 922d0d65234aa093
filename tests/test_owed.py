"""A class of layers or losses that lacks a rule is refused when it is defined, by the rule's name."""

from __future__ import annotations

from typing import Any

import pytest

import gradcost
from gradcost.errors import LayerError
from gradcost.graph import Builder, Layer, LayerType, Node
from gradcost.layers import LAYER_TYPES, LOSSES
from gradcost.layers.dense import Dense
from gradcost.layers.scale import Scale
from gradcost.units import Shape
from layer_classes import concrete_layers

OWED = sorted(
    {
        (layer.__name__, layer, rule)
        for layer in concrete_layers()
        for rule in (
            *layer.owes(),
            *(f"{kind}_{name}" for kind in ("vjp", "jvp") for name in layer.parameter_names),
        )
    },
    key=str,
)


@pytest.mark.parametrize(("name", "layer", "rule"), OWED)
def test_a_missing_rule_is_named(name: str, layer: type[Layer], rule: str) -> None:
    with pytest.raises(LayerError, match=rf"^layer Broken{name} lacks the rule {rule}; define it, with @rule"):
        type(f"Broken{name}", (layer,), {rule: None})


@pytest.mark.parametrize("layer", [layer for layer in concrete_layers() if layer.parameter_names])
def test_a_birth_is_owed_in_either_form(layer: type[Layer]) -> None:
    name = layer.parameter_names[0]
    with pytest.raises(LayerError, match=f"lacks the rule birth_{name} or fill_birth_{name}; "):
        type("Broken", (layer,), {f"birth_{name}": None, f"fill_birth_{name}": None})


def test_a_method_without_a_closed_form_is_no_rule() -> None:
    with pytest.raises(LayerError, match="layer Broken lacks the rule jvp; "):
        type("Broken", (Dense,), {"jvp": lambda self, at, t, out: None})


def test_a_part_of_the_input_owes_a_pull_that_adds() -> None:
    with pytest.raises(LayerError, match="layer Broken lacks the rule vjp_more; "):
        type("Broken", (Dense,), {"partial": True})


@pytest.mark.parametrize("rule", ["primal", "cotangent"])
@pytest.mark.parametrize("loss", LOSSES.values())
def test_losses_owe_rules_too(loss: Any, rule: str) -> None:
    with pytest.raises(LayerError, match=f"loss Broken lacks the rule {rule}; "):
        type("Broken", (loss,), {rule: None})


def test_a_parameter_that_is_not_declared_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Undeclared(Scale):
        def __init__(self, shape: Shape) -> None:
            super().__init__(shape, 2.0)
            self.parameters = {"b": shape}

    def build(builder: Builder, sources: tuple[Node, ...], options: dict[str, Any]) -> Node:
        return builder.add(Undeclared(sources[0].shape), *sources)

    monkeypatch.setitem(LAYER_TYPES, "undeclared", LayerType("undeclared", {}, build))
    with pytest.raises(LayerError, match=r"layer Undeclared has the parameter b; name it in Undeclared\.parameter"):
        gradcost.load({"input": {"shape": [3]}, "layers": [{"type": "undeclared"}]})
