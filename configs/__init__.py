"""The example networks that come along."""

from __future__ import annotations

from importlib.resources import files

from gradcost.errors import UsageError, nearest


def names() -> list[str]:
    """Return the networks' names, sorted."""
    return sorted(item.name.removesuffix(".yaml") for item in files(__name__).iterdir() if item.name.endswith(".yaml"))


def read(name: str) -> str:
    """Return a network's YAML text. Raises ``UsageError`` for an unknown name."""
    name = name.removesuffix(".yaml")
    if name not in names():
        raise UsageError(f"there is no example network {name!r}{nearest(name, names())}")
    return (files(__name__) / f"{name}.yaml").read_text(encoding="utf-8")


def describe(name: str) -> str:
    """Return the first line of a network's opening comment."""
    return read(name).splitlines()[0].removeprefix("# ")
