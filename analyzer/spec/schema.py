"""The JSON Schema of a spec, for editors that complete and check YAML as it is typed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gradcost.spec.fields import EXPRESSION, REQUIRED, TARGETS, Bool, Field, Int, Sizes, Text
from gradcost.spec.training import SETTINGS
from gradcost.spec.unroll import NAME
from gradcost.units import DTYPES

_LAYERS = {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/entry"}}
_NAME = {"type": "string", "pattern": f"^{NAME}$"}
_SOURCE = {"type": "string"}
_FROM = {"anyOf": [_SOURCE, {"type": "array", "minItems": 1, "items": _SOURCE}]}


def spec_schema(types: Mapping[str, Mapping[str, Field]], losses: Iterable[str]) -> dict[str, Any]:
    """Return the schema, given the options of each layer type, and the losses.

    It refuses no spec that can be read, and most of those that cannot: whether names and shapes fit is for the reader.
    """
    data: dict[str, Any] = {
        "type": "object",
        "additionalProperties": False,
        "required": ["shape"],
        "properties": {"shape": Sizes().schema(), "vocabulary": Int().schema()},
    }
    inputs = {"type": "object", "minProperties": 1, "additionalProperties": {"anyOf": [Sizes().schema(), data]}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "gradcost network spec",
        "type": "object",
        "additionalProperties": False,
        "required": ["layers"],
        "oneOf": [{"required": ["input"]}, {"required": ["inputs"]}],
        "properties": {
            "name": Text().schema(),
            "dtype": {"enum": list(DTYPES)},
            "batch": Int().schema(),
            "vars": {"type": "object", "additionalProperties": {"anyOf": [{"type": "integer"}, EXPRESSION]}},
            "input": data,
            "inputs": inputs,
            "blocks": {"type": "object", "additionalProperties": {"$ref": "#/$defs/block"}},
            "layers": _LAYERS,
            "loss": {"enum": [*losses, None]},
            "training": {
                "type": "object",
                "additionalProperties": False,
                "properties": {name: setting.field.schema() for name, setting in SETTINGS.items()},
            },
            "targets": TARGETS.schema(),
        },
        "$defs": {
            "block": {
                "type": "object",
                "additionalProperties": False,
                "required": ["layers"],
                "properties": {"args": {"type": ["object", "array"]}, "layers": _LAYERS},
            },
            "entry": {
                "type": "object",
                "if": {"required": ["repeat"]},
                "then": {"$ref": "#/$defs/repeat"},
                "else": {
                    "if": {"required": ["block"]},
                    "then": {"$ref": "#/$defs/use"},
                    "else": {"$ref": "#/$defs/layer"},
                },
            },
            "repeat": {
                "additionalProperties": False,
                "required": ["layers"],
                "properties": {
                    "repeat": Int().schema(),
                    "index": _NAME,
                    "name": _NAME,
                    "from": _FROM,
                    "layers": _LAYERS,
                },
            },
            "use": {
                "additionalProperties": False,
                "properties": {"block": {"type": "string"}, "with": {"type": "object"}, "name": _NAME, "from": _FROM},
            },
            "layer": {
                "required": ["type"],
                "properties": {"type": {"enum": sorted(types)}},
                "allOf": [
                    {"if": {"properties": {"type": {"const": name}}}, "then": _layer(fields)}
                    for name, fields in sorted(types.items())
                ],
            },
        },
    }


def _layer(fields: Mapping[str, Field]) -> dict[str, Any]:
    common = {
        "name": _NAME,
        "type": True,
        "from": _FROM,
        "trainable": Bool().schema(),
        "share": {"type": "string"},
    }
    return {
        "additionalProperties": False,
        "required": [name for name, field in fields.items() if field.default is REQUIRED],
        "properties": {**common, **{name: field.schema() for name, field in fields.items()}},
    }
