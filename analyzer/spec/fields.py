"""The kinds of option that a spec entry may have; each reads a located value or says what it should be."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gradcost.errors import nearest
from gradcost.spec import foreign
from gradcost.spec.foreign import Ours, written
from gradcost.spec.located import Located, describe
from gradcost.units import Shape

MAX_SIZE = 10**12


class Required:
    """Stands for a default that does not exist."""


REQUIRED = Required()
EXPRESSION = {"type": "string", "pattern": "^="}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Field(ABC):
    """An option; ``default`` is what it is where it is left out."""

    default: Any = REQUIRED

    @abstractmethod
    def read(self, node: Located, name: str) -> Any:
        """Return the checked value, or raise ``SpecError`` at its place."""

    @abstractmethod
    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of what it reads, for editors."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Int(Field):
    """A whole number from ``minimum`` to ``maximum``."""

    minimum: int = 1
    maximum: int = MAX_SIZE

    def read(self, node: Located, name: str) -> int:
        """Read a whole number."""
        value = node.value
        if isinstance(value, bool) or not isinstance(value, int):
            raise node.error(f"{name} must be a whole number, not {describe(value)}")
        if not self.minimum <= value <= self.maximum:
            raise node.error(f"{name} must be from {self.minimum:,} to {self.maximum:,}, not {describe(value)}")
        return value

    def schema(self) -> dict[str, Any]:
        """See ``Field``."""
        return {"anyOf": [{"type": "integer", "minimum": self.minimum, "maximum": self.maximum}, EXPRESSION]}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Float(Field):
    """A finite number from ``minimum`` to below ``below``."""

    minimum: float = 0.0
    below: float = math.inf

    def read(self, node: Located, name: str) -> float:
        """Read a finite number."""
        value = node.value
        if isinstance(value, str):  # YAML 1.1 reads 1e-5, with no point, as text
            try:
                value = float(value)
            except ValueError:
                value = node.value
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise node.error(f"{name} must be a number, not {describe(value)}")
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not (math.isfinite(number) and self.minimum <= number < self.below):
            upper = f" and below {self.below:g}" if math.isfinite(self.below) else ""
            raise node.error(f"{name} must be a finite number, at least {self.minimum:g}{upper}, not {describe(value)}")
        return number

    def schema(self) -> dict[str, Any]:
        """See ``Field``."""
        ends = {"minimum": self.minimum} if math.isfinite(self.minimum) else {}
        ends |= {"exclusiveMaximum": self.below} if math.isfinite(self.below) else {}
        return {"anyOf": [{"type": "number", **ends}, {"type": "string", "pattern": "[0-9]|^="}]}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Bool(Field):
    """``true`` or ``false``."""

    def read(self, node: Located, name: str) -> bool:
        """Read a truth value."""
        if not isinstance(node.value, bool):
            raise node.error(f"{name} must be true or false, not {describe(node.value)}")
        return node.value

    def schema(self) -> dict[str, Any]:
        """See ``Field``."""
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Text(Field):
    """A line of printable text."""

    def read(self, node: Located, name: str) -> str:
        """Read a short text."""
        if not isinstance(node.value, str):
            raise node.error(f"{name} must be text, not {describe(node.value)}")
        if not node.value.isprintable() or not 1 <= len(node.value) <= 200:
            raise node.error(f"{name} must be 1 to 200 printable characters")
        return node.value

    def schema(self) -> dict[str, Any]:
        """See ``Field``."""
        return {"type": "string", "minLength": 1, "maxLength": 200}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Choice(Field):
    """One of a few names; ``foreign`` are those that others have for them."""

    allowed: tuple[str, ...] = ()
    foreign: tuple[Ours, ...] = ()

    def read(self, node: Located, name: str) -> str:
        """Read one of the allowed names; YAML's null counts as ``none``, where that is allowed."""
        value = "none" if node.value is None and "none" in self.allowed else node.value
        if value not in self.allowed:
            listed = f" (allowed: {', '.join(self.allowed)})"
            if not isinstance(value, str):
                raise node.error(f"{name} cannot be {describe(value)}{listed}")
            meant = written(value, self.foreign)
            tail = meant + listed if meant else nearest(value, self.allowed)
            raise node.error(f"{name} cannot be {describe(value)}{tail}")
        return str(value)

    def schema(self) -> dict[str, Any]:
        """See ``Field``."""
        return {"enum": [*self.allowed, *([None] if "none" in self.allowed else [])]}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Named(Field):
    """One of a few names, some of them with something behind a colon: ``list:A,B`` among them allows any list."""

    allowed: tuple[str, ...] = ()

    def read(self, node: Located, name: str) -> str:
        """Read a name, and what belongs to it."""
        value = node.value
        kind, colon, rest = value.partition(":") if isinstance(value, str) else ("", "", "")
        if any(kind == each.partition(":")[0] and bool(rest) == (":" in each) == bool(colon) for each in self.allowed):
            return str(value)
        raise node.error(f"{name} cannot be {describe(value)} (allowed: {', '.join(self.allowed)})")

    def schema(self) -> dict[str, Any]:
        """See ``Field``."""
        words = [each.partition(":") for each in self.allowed]
        return {"type": "string", "pattern": "|".join(f"^{word}{':.' if colon else '$'}" for word, colon, _ in words)}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Sizes(Field):
    """A shape: a list of sizes, without the batch axis."""

    def read(self, node: Located, name: str) -> Shape:
        """Read a list of one to eight sizes."""
        if not isinstance(node.value, list):
            raise node.error(f"{name} must be a list of sizes such as [3] or [28, 28], not {describe(node.value)}")
        if not 1 <= len(node.value) <= 8:
            raise node.error(f"{name} must have 1 to 8 sizes (the batch axis is left out), not {len(node.value)}")
        return tuple(Int().read(item, f"each size of {name}") for item in node.value)

    def schema(self) -> dict[str, Any]:
        """See ``Field``."""
        return {"type": "array", "minItems": 1, "maxItems": 8, "items": Int().schema()}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Order(Field):
    """Axes in some order."""

    def read(self, node: Located, name: str) -> tuple[int, ...]:
        """Read a list of axes."""
        if not isinstance(node.value, list) or not 1 <= len(node.value) <= 8:
            raise node.error(f"{name} must be a list of axes such as [1, 0, 2], not {describe(node.value)}")
        return tuple(Int(minimum=0, maximum=7).read(item, f"each axis of {name}") for item in node.value)

    def schema(self) -> dict[str, Any]:
        """See ``Field``."""
        return {"type": "array", "minItems": 1, "maxItems": 8, "items": Int(minimum=0, maximum=7).schema()}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Pair(Field):
    """A size for both spatial axes: one whole number, or a list of two."""

    minimum: int = 1

    def read(self, node: Located, name: str) -> tuple[int, int]:
        """Read one number or two."""
        one = Int(minimum=self.minimum)
        if not isinstance(node.value, list):
            value = one.read(node, name)
            return value, value
        if len(node.value) != 2:
            raise node.error(f"{name} must be a number or a list of two, not of {len(node.value)}")
        first, second = (one.read(item, name) for item in node.value)
        return first, second

    def schema(self) -> dict[str, Any]:
        """See ``Field``."""
        one = Int(minimum=self.minimum).schema()
        return {"anyOf": [*one["anyOf"], {"type": "array", "minItems": 2, "maxItems": 2, "items": one}]}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Padding(Field):
    """``same``, ``valid``, one whole number for all sides, or a list of two for the spatial axes."""

    def read(self, node: Located, name: str) -> str | tuple[int, int]:
        """Read a word or sizes."""
        if isinstance(node.value, str):
            return Choice(allowed=("same", "valid")).read(node, name)
        return Pair(minimum=0).read(node, name)

    def schema(self) -> dict[str, Any]:
        """See ``Field``."""
        return {"anyOf": [{"enum": ["same", "valid"]}, *Pair(minimum=0).schema()["anyOf"]]}


TARGETS = Choice(None, ("classes", "dense"), foreign.TARGETS)  # of a loss that may read classes: ids, or a row for each


def read_mapping(node: Located, fields: Mapping[str, Field], what: str) -> dict[str, Any]:
    """Check a mapping's keys against ``fields`` and read each value.

    Raises:
        SpecError: no mapping, an unknown key, a missing one, or a value that its field refuses.
    """
    check_keys(node, fields, what)
    values = {}
    for name, field in fields.items():
        if name in node.value:
            values[name] = field.read(node.value[name], name)
        elif isinstance(field.default, Required):
            raise node.error(f"{what} needs the key {name!r}")
        else:
            values[name] = field.default
    return values


def check_keys(node: Located, allowed: Mapping[str, object] | Sequence[str], what: str) -> None:
    """Refuse anything but a mapping with known keys."""
    check_mapping(node, what)
    for key in node.value:
        if key not in allowed:
            raise Located(key, node.keys[key]).error(f"unknown key {key!r} in {what}{nearest(key, allowed)}")


def check_mapping(node: Located, what: str) -> None:
    """Refuse anything but a mapping."""
    if not isinstance(node.value, dict):
        raise node.error(f"{what} must be a mapping of keys to values, not {describe(node.value)}")
