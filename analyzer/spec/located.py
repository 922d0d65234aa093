"""YAML with places: every value keeps its line and column, so that each error can name them.

The tree is built from PyYAML's event stream rather than by its constructor: no tag ever constructs an object,
nesting cannot exhaust the stack, duplicate keys are seen, and an alias costs nothing until its expanded size
is known to be bounded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gradcost.errors import SpecError

MAX_DEPTH = 64
MAX_NODES = 4_000_000
_PLAIN_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float", "str", "timestamp")}


@dataclass(slots=True)
class Located:
    """A value of the spec and its place.

    Attributes:
        value: a scalar, a list of ``Located``, or a dict from key to ``Located``.
        where: ``file:line:column``, or a path of keys.
        keys: the place of each key, where the value is a dict.
        weight: how many values it holds with all aliases expanded.
    """

    value: Any
    where: str
    keys: dict[str, str] = field(default_factory=dict)
    weight: int = 1

    def error(self, problem: str) -> SpecError:
        """Return an error at this place."""
        return SpecError(self.where, problem)


def describe(value: object) -> str:
    """Name a value for an error message: ``a list``, ``the text 'x'``, ``3``."""
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case str():
            return f"the text {value[:40]!r}"
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case int():
            return str(value) if value.bit_length() < 256 else "a number of over 77 digits"
        case _:
            return str(value)[:40]


def from_python(value: object, where: str = "") -> Located:
    """Wrap plain dicts, lists and scalars; the places are paths such as ``layers[0].units``.

    Raises:
        SpecError: a value of another type, a key that is no text, or nesting beyond ``MAX_DEPTH``.
    """
    return _from_python(value, where, 0)


def _from_python(value: object, where: str, depth: int) -> Located:
    if depth > MAX_DEPTH:
        raise SpecError(where, f"nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, Mapping):
        entries: dict[str, Located] = {}
        keys: dict[str, str] = {}
        for key, item in value.items():
            if not isinstance(key, str):
                raise SpecError(where, f"keys must be text, not {describe(key)}")
            keys[key] = f"{where}.{key}" if where else key
            entries[key] = _from_python(item, keys[key], depth + 1)
        return Located(entries, where, keys)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return Located([_from_python(item, f"{where}[{i}]", depth + 1) for i, item in enumerate(value)], where)
    if value is None or isinstance(value, str | bool | int | float):
        return Located(value, where)
    raise SpecError(where, f"a spec holds text, numbers, lists and mappings, not {type(value).__name__}")


def plain(node: Located) -> Any:
    """Return a value without its places: dicts, lists and scalars, none of them shared."""
    if isinstance(node.value, dict):
        return {key: plain(item) for key, item in node.value.items()}
    if isinstance(node.value, list):
        return [plain(item) for item in node.value]
    return node.value


def parse_yaml(text: str, name: str) -> Located:
    """Parse YAML text; ``name`` stands for the file in error messages.

    Raises:
        SpecError: it is no YAML, empty, or holds tags, duplicate keys, several documents, or aliases that expand beyond
            ``MAX_NODES`` values.
    """
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        root = _Builder(name).build(yaml.parse(text, Loader=loader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        if "nesting depth" in (error.problem or ""):  # the parser looks ahead, so its own limit may come first
            raise SpecError(where, f"nested deeper than {MAX_DEPTH} levels") from None
        raise SpecError(where, f"not valid YAML: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise SpecError(_place_in(text, name, error), f"not valid YAML: {_first_line(error)}") from None
    if root is None or root.value is None:
        raise SpecError(name, "is empty; a spec needs at least `input` and `layers`")
    return root


def _first_line(error: Exception) -> str:
    return str(getattr(error, "reason", None) or error).splitlines()[0]


def _place_in(text: str, name: str, error: Exception) -> str:
    """Find line and column for an error that knows only the character's position."""
    position = getattr(error, "position", None)
    if not isinstance(position, int):
        return name
    before = text[:position]
    return f"{name}:{before.count(chr(10)) + 1}:{position - before.rfind(chr(10))}"


class _Builder:
    """Builds the tree from events, without recursion."""

    def __init__(self, name: str) -> None:
        import yaml

        self.name = name
        self.yaml = yaml
        self.resolver: Any = yaml.SafeLoader("")
        self.anchors: dict[str, Located] = {}
        self.root: Located | None = None
        self.stack: list[tuple[Located, str | None]] = []  # open collections, and the anchor of each
        self.pending: list[Located | None] = []  # the key that waits for its value, for each open mapping

    def build(self, events: Any) -> Located | None:
        yaml, documents = self.yaml, 0
        for event in events:
            where = f"{self.name}:{event.start_mark.line + 1}:{event.start_mark.column + 1}"
            if isinstance(event, yaml.ScalarEvent):
                self._add(self._scalar(event, where), event.anchor)
            elif isinstance(event, yaml.AliasEvent):
                if event.anchor not in self.anchors:
                    raise SpecError(where, f"alias *{event.anchor} has no anchor &{event.anchor} above it")
                target = self.anchors[event.anchor]
                if any(open_node is target for open_node, _ in self.stack):
                    raise SpecError(where, f"alias *{event.anchor} contains itself")
                self._add(Located(target.value, where, target.keys, target.weight), None)
            elif isinstance(event, yaml.CollectionStartEvent):
                self._check_tag(event.tag, where)
                if len(self.stack) >= MAX_DEPTH:
                    raise SpecError(where, f"nested deeper than {MAX_DEPTH} levels")
                opened = Located({} if isinstance(event, yaml.MappingStartEvent) else [], where)
                self.stack.append((opened, event.anchor))
                self.pending.append(None)
                if event.anchor:
                    self.anchors[event.anchor] = opened
            elif isinstance(event, yaml.CollectionEndEvent):
                closed, anchor = self.stack.pop()
                self.pending.pop()
                self._add(closed, anchor)
            elif isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise SpecError(where, "a second YAML document; a spec is one document")
        return self.root

    def _add(self, node: Located, anchor: str | None) -> None:
        if anchor:
            self.anchors[anchor] = node
        if not self.stack:
            self.root = node
            return
        parent = self.stack[-1][0]
        parent.weight += node.weight
        if parent.weight > MAX_NODES:
            raise node.error(f"the file expands to over {MAX_NODES:,} values; use `repeat` instead of aliases")
        if isinstance(parent.value, list):
            parent.value.append(node)
            return
        key = self.pending[-1]
        if key is None:
            if not isinstance(node.value, str):
                raise node.error(f"a key must be text, not {describe(node.value)}")
            if node.value in parent.keys:
                first = parent.keys[node.value].removeprefix(f"{self.name}:")
                raise node.error(f"the key {node.value!r} stands twice in this mapping, first at {first}; remove one")
            self.pending[-1] = node
            parent.keys[node.value] = node.where
        else:
            parent.value[key.value] = node
            self.pending[-1] = None

    def _check_tag(self, tag: str | None, where: str) -> None:
        if tag not in (None, "!"):
            raise SpecError(where, f"the YAML tag {str(tag)[:60]!r} is not allowed; write a plain value")

    def _scalar(self, event: Any, where: str) -> Located:
        self._check_tag(event.tag, where)
        if not event.implicit[0]:
            return Located(event.value, where)  # quoted: always text
        yaml = self.yaml
        tag = self.resolver.resolve(yaml.ScalarNode, event.value, (True, False))
        if tag not in _PLAIN_TAGS or tag.endswith((":str", ":timestamp")):
            return Located(event.value, where)
        try:
            value = self.resolver.construct_object(yaml.ScalarNode(tag, event.value))
        except ValueError:  # a number of thousands of digits, or one such as 0b_
            raise SpecError(where, f"{event.value[:40]!r} is not a usable number") from None
        return Located(value, where)
