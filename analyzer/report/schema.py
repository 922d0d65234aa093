"""The JSON Schema of the report: of its types."""

from __future__ import annotations

from typing import Any

from gradcost.report.model import SCHEMA_VERSION, Report
from gradcost.report.plain import schema


def _schema() -> dict[str, Any]:
    found = schema(Report)
    found["properties"]["schema_version"] = {"const": SCHEMA_VERSION}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "gradcost report", **found}


REPORT_SCHEMA = _schema()
