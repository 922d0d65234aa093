"""The JSON Schema of the report."""

from __future__ import annotations

from typing import Any

from gradcost.formula import CATEGORIES
from gradcost.report.model import SCHEMA_VERSION

_COUNT = {"type": "integer", "minimum": 0}
_TEXT = {"type": "string"}
_SHAPE = {"type": "array", "items": {"type": "integer", "minimum": 1}}
_FIGURES = dict.fromkeys((*CATEGORIES, "flops", "peak_bytes"), _COUNT)
_COUNTS = dict.fromkeys((*CATEGORIES, "flops"), _COUNT)


def _object(properties: dict[str, Any], *, optional: tuple[str, ...] = ()) -> dict[str, Any]:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


_TENSOR = _object({"name": _TEXT, "shape": _SHAPE, "elements": _COUNT, "bytes": _COUNT})
_LAYER_COST = _object(
    {
        "name": _TEXT,
        "phase": _TEXT,
        "counts": _object(_COUNTS),
        "formula": _object(dict.fromkeys(CATEGORIES, _TEXT), optional=CATEGORIES),
        "tensors": {"type": "array", "items": _TENSOR},
    }
)
_MEASURED = _object(
    {
        **_FIGURES,
        "tracemalloc_peak_bytes": _COUNT,
        "seconds": {"type": "number", "minimum": 0},
        "gradient_max_relative_error": _or_null({"type": "number", "minimum": 0}),
    }
)
_STRATEGY = _object(
    {
        "exact": {"type": "boolean"},
        "skipped": _or_null(_TEXT),
        "predicted": _object(_FIGURES),
        "measured": _or_null(_MEASURED),
        "layers": {"type": "array", "items": _LAYER_COST},
    }
)
_LAYER = _object(
    {
        "name": _TEXT,
        "type": _TEXT,
        "inputs": {"type": "array", "items": _TEXT},
        "output_shape": _SHAPE,
        "parameters": _COUNT,
    }
)
_RATIO = {"description": "null: beyond the range of a float", "anyOf": [{"type": "number"}, {"type": "null"}]}

REPORT_SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "gradcost report",
    **_object(
        {
            "schema_version": {"const": SCHEMA_VERSION},
            "gradcost_version": _TEXT,
            "network": _object(
                {
                    "name": _TEXT,
                    "dtype": {"enum": ["float32", "float64"]},
                    "batch": {"type": "integer", "minimum": 1},
                    "parameters": _COUNT,
                    "layers": {"type": "array", "items": _LAYER},
                }
            ),
            "strategies": {"type": "object", "additionalProperties": _STRATEGY},
            "comparison": _object(
                {
                    "baseline": _TEXT,
                    "ratios": {
                        "type": "object",
                        "additionalProperties": _object({"multiplies": _RATIO, "peak_bytes": _RATIO}),
                    },
                    "recommended": _TEXT,
                }
            ),
        }
    ),
}
