"""The example networks that come along: small ones that teach, and the zoo of published architectures."""

from __future__ import annotations

from importlib.resources import files

from gradcost.errors import UsageError, nearest


def names() -> list[str]:
    """Return the networks' names, sorted; those of the zoo start with ``zoo/``."""
    root = files(__name__)
    folders = (("", root), ("zoo/", root / "zoo"))
    found = [prefix + item.name for prefix, folder in folders for item in folder.iterdir()]
    return sorted(name.removesuffix(".yaml") for name in found if name.endswith(".yaml"))


def read(name: str) -> str:
    """Return a network's YAML text. Raises ``UsageError`` for an unknown name."""
    name = name.removesuffix(".yaml")
    if name not in names():
        raise UsageError(f"there is no example network {name!r}{nearest(name, names())}")
    return files(__name__).joinpath(*f"{name}.yaml".split("/")).read_text(encoding="utf-8")


def describe(name: str) -> str:
    """Return the first line of a network's opening comment."""
    return read(name).splitlines()[0].removeprefix("# ")
