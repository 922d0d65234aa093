"""Plain data: one walk over dataclasses gives their JSON, its inverse, and its schema.

``plain`` turns dataclasses into dicts and tuples into lists; ``build`` is its inverse, by the types of the fields;
``schema`` is the JSON Schema of the same types, with the words that a field may have where its metadata say ``among``
which. A field that is made when it is first asked for (see ``Later``) is made by all three.
"""

from __future__ import annotations

import math
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Self, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


class Later:
    """A frozen dataclass some of whose fields are made when they are first asked for: by ``==`` and pickle too."""

    @classmethod
    def later(cls, make: Mapping[str, Callable[[], Any]], **given: Any) -> Self:
        """Return an object with these fields, and with others that the functions make."""
        self = cls.__new__(cls)
        self.__dict__.update(given)
        self.__dict__["_make"] = dict(make)
        return self

    def __getattr__(self, name: str) -> Any:
        """Make a field that is not there yet."""
        make = self.__dict__.get("_make", {})
        if name not in make:
            raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}")
        value = self.__dict__[name] = make[name]()
        del make[name]
        return value

    def __getstate__(self) -> dict[str, Any]:
        """Return all fields, made."""
        return {name: getattr(self, name) for name in _names(type(self))}


def finite(value: float) -> float | None:
    """Return a number that JSON can hold: None for one that is not finite."""
    return value if math.isfinite(value) else None


def plain(value: Any) -> Any:
    """Return a value as dicts, lists, text and numbers. A class may have a form of its own, by ``to_plain``."""
    if hasattr(value, "to_plain"):
        return value.to_plain()
    if _is_record(type(value)):
        return {name: plain(getattr(value, name)) for name in _names(type(value))}
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return value


def build(kind: Any, value: Any) -> Any:
    """Return what ``plain`` has made of an object of a type.

    Raises:
        KeyError: a field is missing.
        TypeError: a value is of another type.
    """
    if hasattr(kind, "from_plain"):
        return kind.from_plain(value)
    if _is_record(kind):
        _check(isinstance(value, Mapping), kind, value)
        hints = get_type_hints(kind)
        return kind(**{name: build(hints[name], value[name]) for name in _names(kind)})
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in inner:
            return None
        others = [each for each in inner if each is not type(None)]
        fitting = others if len(others) == 1 else [each for each in others if _fits(each, value)]
        _check(bool(fitting), kind, value)
        return build(fitting[0], value)
    if origin is tuple:
        _check(isinstance(value, list), kind, value)
        each = inner[:1] * len(value) if inner[-1] is Ellipsis else inner
        return tuple(build(one, item) for one, item in zip(each, value, strict=True))
    if origin is not None:  # a mapping by names
        _check(isinstance(value, Mapping), kind, value)
        return {key: build(inner[1], item) for key, item in value.items()}
    _check(_fits(kind, value), kind, value)
    return value


def schema(kind: Any) -> dict[str, Any]:
    """Return the JSON Schema of what ``plain`` makes of a type."""
    if hasattr(kind, "plain_schema"):
        found: dict[str, Any] = kind.plain_schema()
        return found
    if _is_record(kind):
        hints = get_type_hints(kind)
        among = {each.name: each.metadata.get("among") for each in fields(kind)}
        return an_object({name: {"enum": [*words]} if words else schema(hints[name]) for name, words in among.items()})
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return {"anyOf": [schema(each) for each in inner]}
    if origin is tuple:
        if inner[-1] is Ellipsis:
            return {"type": "array", "items": schema(inner[0])}
        return {"type": "array", "prefixItems": [schema(each) for each in inner], "items": False}
    if origin is not None:
        return {"type": "object", "additionalProperties": schema(inner[1])}
    return dict(_PRIMITIVES[kind])


def an_object(properties: Mapping[str, Any], *, optional: bool = False) -> dict[str, Any]:
    """Return the schema of an object with these properties and no others; all of them are there, unless optional."""
    required = [] if optional else list(properties)
    return {"type": "object", "properties": dict(properties), "required": required, "additionalProperties": False}


_PRIMITIVES: dict[Any, dict[str, Any]] = {
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    str: {"type": "string"},
    type(None): {"type": "null"},
}


def _is_record(kind: Any) -> bool:
    """Whether a type is a dataclass."""
    return is_dataclass(kind)


def _names(kind: Any) -> Iterator[str]:
    """Yield the names of a dataclass's fields."""
    return (each.name for each in fields(kind))


def _fits(kind: Any, value: Any) -> bool:
    if _is_record(kind) or get_origin(kind) is not None:
        return isinstance(value, Mapping | list)
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def _check(right: bool, kind: Any, value: Any) -> None:
    if not right:
        raise TypeError(f"{value!r} is no {getattr(kind, '__name__', kind)}")
