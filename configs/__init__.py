"""The example networks that come along: small ones that teach, and the zoo of published architectures."""

from __future__ import annotations

from contextlib import AbstractContextManager
from importlib.resources import as_file, files
from importlib.resources.abc import Traversable
from pathlib import Path

from gradcost.errors import UsageError, nearest


def names() -> list[str]:
    """Return the networks' names, sorted; those of the zoo start with ``zoo/``."""
    root = files(__name__)
    folders = (("", root), ("zoo/", root / "zoo"))
    found = [prefix + item.name for prefix, folder in folders for item in folder.iterdir()]
    return sorted(name.removesuffix(".yaml") for name in found if name.endswith(".yaml"))


def find(name: str) -> str | None:
    """Return a network's full name, in which the zoo's may be left out; None for an unknown one."""
    return next((each for each in (name, f"zoo/{name}") if each in names()), None)


def read(name: str) -> str:
    """Return a network's YAML text. Raises ``UsageError`` for an unknown name."""
    return _resource(name).read_text(encoding="utf-8")


def path(name: str) -> AbstractContextManager[Path]:
    """Return a context in which a network's YAML is a file. Raises ``UsageError`` for an unknown name."""
    return as_file(_resource(name))


def _resource(name: str) -> Traversable:
    name = name.removesuffix(".yaml")
    found = find(name)
    if found is None:
        raise UsageError(f"there is no example network {name!r}{nearest(name, names())}")
    return files(__name__).joinpath(*f"{found}.yaml".split("/"))


def describe(name: str) -> str:
    """Return the first line of a network's opening comment."""
    return read(name).splitlines()[0].removeprefix("# ")
