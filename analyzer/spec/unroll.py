"""From located values to a flat list of layers: names, references, ``repeat``, named blocks and their arguments."""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from gradcost.errors import SpecError, nearest
from gradcost.spec.expressions import substitute
from gradcost.spec.fields import MAX_SIZE, REQUIRED, Bool, Field, Int, Text, check_keys, read_mapping
from gradcost.spec.located import Located, describe

MAX_LAYERS = 200_000
Scope: TypeAlias = ChainMap[str, str]
Variables: TypeAlias = Mapping[str, int]
NAME = r"[A-Za-z_][A-Za-z0-9_-]{0,63}"
MAX_DEPTH = 128  # of blocks in one another; a turn of a `repeat` counts twice
_COMMON_KEYS = ("name", "type", "from", "trainable", "share")
_REPEAT_KEYS = ("repeat", "index", "layers", "name", "from")
_USE_KEYS = ("block", "with", "name", "from")


@dataclass(frozen=True, slots=True)
class LayerEntry:
    """One layer as the spec states it, with ``repeat`` unrolled and its references resolved to full names."""

    name: str
    type: str
    sources: tuple[str, ...]
    trainable: bool
    shares: str | None
    options: Located
    type_where: str

    def error(self, problem: str) -> SpecError:
        """Return an error at this layer's place."""
        return self.options.error(f"layer {self.name!r}: {problem}")


@dataclass(frozen=True, slots=True)
class NamedBlock:
    """A block of the spec's ``blocks``: its arguments, with their defaults, and its layers."""

    arguments: Mapping[str, Field]
    layers: Located


def read_blocks(node: Located | None) -> dict[str, NamedBlock]:
    """Read ``blocks``. Raises ``SpecError`` for one without layers, or arguments that are no numbers."""
    blocks: dict[str, NamedBlock] = {}
    if node is None:
        return blocks
    if not isinstance(node.value, dict):
        raise node.error(f"blocks must map names to {{args: ..., layers: ...}}, not {describe(node.value)}")
    for name, block in node.value.items():
        check_name(name, node.keys[name])
        check_keys(block, ("args", "layers"), f"block {name!r}")
        if "layers" not in block.value:
            raise block.error(f"block {name!r} needs the key 'layers'")
        blocks[name] = NamedBlock(_arguments(block.value.get("args"), name), block.value["layers"])
    return blocks


def _arguments(node: Located | None, block: str) -> dict[str, Field]:
    """Read ``args``: a list of names, or names with defaults."""
    if node is None:
        return {}
    if isinstance(node.value, list):
        given = {Text().read(item, "an argument"): (item, Located(None, item.where)) for item in node.value}
    elif isinstance(node.value, dict):
        given = {name: (Located(name, node.keys[name]), item) for name, item in node.value.items()}
    else:
        raise node.error(f"args of block {block!r} must be a list of names, or names with defaults")
    fields: dict[str, Field] = {}
    for name, (key, default) in given.items():
        check_name(name, key.where)
        any_number = Int(minimum=-MAX_SIZE)
        value = REQUIRED if default.value is None else any_number.read(default, name)
        fields[name] = Int(value, minimum=-MAX_SIZE)
    return fields


def unroll(
    layers: Located, blocks: Mapping[str, NamedBlock], inputs: Iterable[str], variables: Variables
) -> tuple[LayerEntry, ...]:
    """Return every layer in order, its references resolved and its expressions evaluated. Raises ``SpecError``."""
    names = list(inputs)
    unroller = _Unroller(names, blocks, variables)
    scope: Scope = ChainMap({name: name for name in names})
    unroller.block(layers, "", names[0] if len(names) == 1 else None, scope, variables)
    return tuple(unroller.entries)


def check_name(name: str, where: str) -> None:
    """Refuse what cannot be the name of a layer, input, block or variable. Raises ``SpecError``."""
    if not re.fullmatch(NAME, name):
        raise SpecError(
            where, f"{name[:70]!r} cannot be a name; use a letter, then letters, digits, _ or - (64 at most)"
        )


@dataclass(frozen=True, slots=True)
class _Block:
    """A list of layers: the network's own, one turn of a ``repeat``, or one use of a named block.

    Attributes:
        prefix: of its layers' full names.
        scope: the full names of what may be read here.
        later: the place of every name that the block gives, to tell a later layer from an unknown one.
        variables: the values of what expressions may read here.
    """

    prefix: str
    scope: Scope
    later: Mapping[str, str]
    variables: Variables

    def publish(self, name: str, inner: Scope) -> None:
        """Let what an inner block names be read from here, under the block's own name."""
        own = inner.maps[0]
        self.scope.update({f"{name}.{each}": own[each] for each in own if each != "input"})


class _Unroller:
    """Walks the layers, unrolls ``repeat`` blocks and resolves references in their scopes."""

    def __init__(self, names: Iterable[str], blocks: Mapping[str, NamedBlock], variables: Variables) -> None:
        self.entries: list[LayerEntry] = []
        self.names = set(names)
        self.where: dict[str, str] = {}
        self.blocks = blocks
        self.variables = variables
        self.open: list[str] = []  # the named blocks that are being unrolled

    def block(self, layers: Located, prefix: str, previous: str | None, scope: Scope, variables: Variables) -> str:
        """Add a block's layers; ``scope`` maps the names visible here to full names. Return the last layer's name."""
        if not isinstance(layers.value, list) or not layers.value:
            raise layers.error(f"layers must be a list of at least one layer, not {describe(layers.value or None)}")
        if prefix.count(".") > MAX_DEPTH:
            raise layers.error(f"blocks stand more than {MAX_DEPTH} deep in one another; write some out")
        block = _Block(prefix, scope, self._own_names(layers), variables)
        for position, node in enumerate(layers.value, start=1):
            if not isinstance(node.value, dict):
                raise node.error(
                    f"a layer must be a mapping such as {{type: dense, units: 4}}, not {describe(node.value)}"
                )
            unroll_one = next((way for key, way in self._ways.items() if key in node.value), _Unroller._layer)
            previous = unroll_one(self, node, position, previous, block)
        assert previous is not None
        return previous

    def _own_names(self, layers: Located) -> dict[str, str]:
        """Return the place of every name that this block gives: to tell a later layer from an unknown one."""
        places: dict[str, str] = {}
        for node in layers.value:
            given = node.value.get("name") if isinstance(node.value, dict) else None
            if given is not None and isinstance(given.value, str):
                places.setdefault(given.value, given.where)
        return places

    def _name(self, node: Located, fallback: str, block: _Block) -> tuple[str, str]:
        given = node.value.get("name")
        short = fallback
        if given is not None:
            short = Text().read(given, "name")
            check_name(short, given.where)
        full = block.prefix + short
        if full in self.names or (not block.prefix and short in block.scope):
            first = self.where.get(full, "the inputs")
            raise (given or node).error(f"the name {full!r} is taken already (by {first}); names must differ")
        self.names.add(full)
        self.where[full] = (given or node).where
        return short, full

    def _sources(self, node: Located, name: str, previous: str | None, block: _Block) -> tuple[str, ...]:
        given = node.value.get("from")
        if given is None:
            if previous is None:
                raise node.error(f"layer {name!r} comes first after several inputs: say which with `from: [A, B]`")
            return (previous,)
        references = given.value if isinstance(given.value, list) else [given]
        if not references:
            raise given.error("from needs at least one name")
        return tuple(self._resolve(reference, node, block) for reference in references)

    def _resolve(self, reference: Located, node: Located, block: _Block) -> str:
        """Return the full name of what a layer refers to."""
        wanted = reference.value
        if not isinstance(wanted, str):
            raise reference.error(f"a reference must be a layer's name, not {describe(wanted)}")
        if wanted in block.scope:
            return block.scope[wanted]
        if wanted == node.value.get("name", Located(None, "")).value:
            raise reference.error(f"{wanted!r} cannot refer to itself: the network would have a cycle")
        if wanted in block.later:
            raise reference.error(
                f"{wanted!r} stands further down ({block.later[wanted]}): a layer may only read what is "
                "above it, so that the network has no cycle; move it up or refer to another layer"
            )
        raise reference.error(f"there is no layer or input {wanted!r} here{nearest(wanted, block.scope)}")

    def _layer(self, node: Located, position: int, previous: str | None, block: _Block) -> str:
        kind = node.value.get("type")
        if kind is None:
            raise node.error("a layer needs the key 'type' (or 'repeat' or 'block', for several)")
        if not isinstance(kind.value, str):
            raise kind.error(f"type must be a layer type's name, not {describe(kind.value)}")
        stem = kind.value if re.fullmatch(NAME, kind.value) else "layer"  # what is no type may be any text
        short, full = self._name(node, f"{stem}_{position}", block)
        sources = self._sources(node, full, previous, block)
        trainable = Bool().read(node.value["trainable"], "trainable") if "trainable" in node.value else True
        own = {key: value for key, value in node.value.items() if key not in _COMMON_KEYS}
        options = substitute(Located(own, node.where, node.keys), block.variables)
        shares = self._resolve(node.value["share"], node, block) if "share" in node.value else None
        self.entries.append(LayerEntry(full, kind.value, sources, trainable, shares, options, kind.where))
        if len(self.entries) > MAX_LAYERS:
            raise node.error(f"the network has over {MAX_LAYERS:,} layers")
        block.scope[short] = full
        return full

    def _repeat(self, node: Located, position: int, previous: str | None, block: _Block) -> str:
        check_keys(node, _REPEAT_KEYS, "a repeat block")
        times = Int(maximum=MAX_LAYERS).read(substitute(node.value["repeat"], block.variables), "repeat")
        if "layers" not in node.value:
            raise node.error("a repeat block needs the key 'layers'")
        counter = None
        if "index" in node.value:
            counter = Text().read(node.value["index"], "index")
            check_name(counter, node.value["index"].where)
        short, full = self._name(node, f"repeat_{position}", block)
        last = self._only_source(node, full, previous, block)
        for index in range(1, times + 1):
            inner = block.scope.new_child({"input": last})
            variables = block.variables if counter is None else {**block.variables, counter: index}
            last = self.block(node.value["layers"], f"{full}.{index}.", last, inner, variables)
            block.publish(f"{short}.{index}", inner)
        block.scope[short] = last
        return last

    def _use(self, node: Located, position: int, previous: str | None, block: _Block) -> str:
        check_keys(node, _USE_KEYS, "the use of a block")
        wanted = Text().read(node.value["block"], "block")
        named = self.blocks.get(wanted)
        if named is None:
            raise node.value["block"].error(f"there is no block {wanted!r}{nearest(wanted, self.blocks)}")
        if wanted in self.open:
            raise node.value["block"].error(f"block {wanted!r} contains itself")
        given = substitute(node.value.get("with", Located({}, node.where)), block.variables)
        arguments = read_mapping(given, named.arguments, f"the arguments of block {wanted!r}")
        short, full = self._name(node, f"{wanted}_{position}", block)
        inner: Scope = ChainMap({"input": self._only_source(node, full, previous, block)})
        self.open.append(wanted)
        last = self.block(named.layers, f"{full}.", inner["input"], inner, {**self.variables, **arguments})
        self.open.pop()
        block.publish(short, inner)
        block.scope[short] = last
        return last

    def _only_source(self, node: Located, name: str, previous: str | None, block: _Block) -> str:
        sources = self._sources(node, name, previous, block)
        if len(sources) != 1:
            raise node.value["from"].error("a block reads exactly one layer")
        return sources[0]

    _ways: ClassVar[dict[str, Callable[[_Unroller, Located, int, str | None, _Block], str]]] = {
        "repeat": _repeat,
        "block": _use,
    }
