"""Plain values written as YAML, on one line."""

from __future__ import annotations


def flow(value: object) -> str:
    """Return a value in YAML's flow style: ``{name: out, type: dense, units: 4}``."""
    import yaml

    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10**6, allow_unicode=True)
    return text.removesuffix("...\n").strip()
