"""From located values to a flat list of layer entries: names, references, ``repeat`` blocks."""

from __future__ import annotations

import re
from collections import ChainMap
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from gradcost.errors import SpecError, nearest
from gradcost.spec.fields import Bool, Choice, Int, Sizes, Text, check_keys, read_mapping
from gradcost.spec.located import Located, describe, from_python, from_yaml
from gradcost.units import ITEM_BYTES, Shape

MAX_LAYERS = 200_000
LOSSES = ("bce", "softmax_ce", "mse", "none")
Scope: TypeAlias = ChainMap[str, str]
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
_NETWORK_KEYS = ("name", "dtype", "batch", "input", "inputs", "layers", "loss")
_COMMON_KEYS = ("name", "type", "from", "trainable")
_REPEAT_KEYS = ("repeat", "layers", "name", "from")


@dataclass(frozen=True, slots=True)
class LayerEntry:
    """One layer as the spec states it, with ``repeat`` unrolled and its references resolved to full names."""

    name: str
    type: str
    sources: tuple[str, ...]
    trainable: bool
    options: Located
    type_where: str

    def error(self, problem: str) -> SpecError:
        """Return an error at this layer's place."""
        return self.options.error(f"layer {self.name!r}: {problem}")


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """A network spec whose structure has been checked; layer options are still to be read by their types."""

    name: str
    dtype: str
    batch: int
    inputs: Mapping[str, Shape]
    layers: tuple[LayerEntry, ...]
    loss: str
    where: str

    def overridden(self, *, batch: int | None = None, dtype: str | None = None) -> NetworkSpec:
        """Return the spec with another batch or dtype. Raises ``SpecError`` for one that is not allowed."""
        changed = self
        if batch is not None:
            changed = replace(changed, batch=Int().read(Located(batch, "batch"), "batch"))
        if dtype is not None:
            changed = replace(changed, dtype=_DTYPE.read(Located(dtype, "dtype"), "dtype"))
        return changed


_DTYPE = Choice("float64", tuple(ITEM_BYTES))


def read_spec(source: str | Path | Mapping[str, Any]) -> NetworkSpec:
    """Read a network spec from a YAML file or from a dict of the same form.

    Raises:
        SpecError: the spec cannot be used; the message names the place and the mend.
    """
    if isinstance(source, Mapping):
        return _network(from_python(source), "network")
    return _network(from_yaml(source), Path(source).stem)


def _network(root: Located, default_name: str) -> NetworkSpec:
    check_keys(root, _NETWORK_KEYS, "the network spec")
    present = root.value
    values = read_mapping(
        Located(
            {k: v for k, v in present.items() if k in ("name", "dtype", "batch", "loss")},
            root.where,
            root.keys,
        ),
        {"name": Text(default_name), "dtype": _DTYPE, "batch": Int(1), "loss": Choice("none", LOSSES)},
        "the network spec",
    )
    inputs = _inputs(root)
    if "layers" not in present:
        raise root.error("the network spec needs the key 'layers'")
    unroller = _Unroller(set(inputs))
    previous = next(iter(inputs)) if len(inputs) == 1 else None
    unroller.block(present["layers"], "", previous, ChainMap({name: name for name in inputs}))
    entries = tuple(unroller.entries)
    _refuse_unused(entries, inputs, root)
    return NetworkSpec(inputs=inputs, layers=entries, where=root.where, **values)


def _inputs(root: Located) -> dict[str, Shape]:
    present = root.value
    if ("input" in present) == ("inputs" in present):
        raise root.error("give either `input: {shape: [3]}` or `inputs: {left: [3], right: [4]}`")
    if "input" in present:
        return {"input": read_mapping(present["input"], {"shape": Sizes()}, "input")["shape"]}
    node = present["inputs"]
    if not isinstance(node.value, dict) or not node.value:
        raise node.error("inputs must map names to shapes, as in {left: [3], right: [4]}")
    shapes = {}
    for name, shape in node.value.items():
        _check_name(name, node.keys[name])
        if isinstance(shape.value, dict):
            shapes[name] = read_mapping(shape, {"shape": Sizes()}, f"input {name!r}")["shape"]
        else:
            shapes[name] = Sizes().read(shape, f"the shape of input {name!r}")
    return shapes


def _check_name(name: str, where: str) -> None:
    if not _NAME.fullmatch(name):
        raise SpecError(
            where, f"{name[:70]!r} cannot be a name; use a letter, then letters, digits, _ or - (64 at most)"
        )


def _refuse_unused(entries: tuple[LayerEntry, ...], inputs: Mapping[str, Shape], root: Located) -> None:
    used = {source for entry in entries for source in entry.sources}
    for entry in entries[:-1]:
        if entry.name not in used:
            raise entry.error("its output is never used (the network's output is the last layer); use or remove it")
    for name in inputs:
        if name not in used:
            raise SpecError(root.keys.get("inputs", root.where), f"the input {name!r} is never used; use or remove it")


@dataclass(frozen=True, slots=True)
class _Block:
    """A list of layers: the network's own, or one turn of a ``repeat``.

    Attributes:
        prefix: of its layers' full names.
        scope: the full names of what may be read here.
        later: the place of every name that the block gives, to tell a later layer from an unknown one.
    """

    prefix: str
    scope: Scope
    later: Mapping[str, str]


class _Unroller:
    """Walks the layers, unrolls ``repeat`` blocks and resolves references in their scopes."""

    def __init__(self, names: set[str]) -> None:
        self.entries: list[LayerEntry] = []
        self.names = names
        self.where: dict[str, str] = {}

    def block(self, layers: Located, prefix: str, previous: str | None, scope: Scope) -> str:
        """Add a block's layers; ``scope`` maps the names visible here to full names. Return the last layer's name."""
        if not isinstance(layers.value, list) or not layers.value:
            raise layers.error(f"layers must be a list of at least one layer, not {describe(layers.value or None)}")
        block = _Block(prefix, scope, self._own_names(layers))
        for position, node in enumerate(layers.value, start=1):
            if not isinstance(node.value, dict):
                raise node.error(
                    f"a layer must be a mapping such as {{type: dense, units: 4}}, not {describe(node.value)}"
                )
            if "repeat" in node.value:
                previous = self._repeat(node, position, previous, block)
            else:
                previous = self._layer(node, position, previous, block)
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
            _check_name(short, given.where)
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
        resolved = []
        for reference in references:
            wanted = reference.value
            if not isinstance(wanted, str):
                raise reference.error(f"from must be a layer's name or a list of names, not {describe(wanted)}")
            if wanted not in block.scope:
                if wanted == node.value.get("name", Located(None, "")).value:
                    raise reference.error(f"{wanted!r} cannot read itself: the network would have a cycle")
                if wanted in block.later:
                    raise reference.error(
                        f"{wanted!r} stands further down ({block.later[wanted]}): a layer may only read what is "
                        "above it, so that the network has no cycle; move it up or refer to another layer"
                    )
                raise reference.error(f"from: there is no layer or input {wanted!r}{nearest(wanted, block.scope)}")
            resolved.append(block.scope[wanted])
        return tuple(resolved)

    def _layer(self, node: Located, position: int, previous: str | None, block: _Block) -> str:
        kind = node.value.get("type")
        if kind is None:
            raise node.error("a layer needs the key 'type' (or 'repeat', for a block)")
        if not isinstance(kind.value, str):
            raise kind.error(f"type must be a layer type's name, not {describe(kind.value)}")
        short, full = self._name(node, f"{kind.value}_{position}", block)
        sources = self._sources(node, full, previous, block)
        trainable = Bool().read(node.value["trainable"], "trainable") if "trainable" in node.value else True
        own = {key: value for key, value in node.value.items() if key not in _COMMON_KEYS}
        options = Located(own, node.where, node.keys)
        self.entries.append(LayerEntry(full, kind.value, sources, trainable, options, kind.where))
        if len(self.entries) > MAX_LAYERS:
            raise node.error(f"the network has over {MAX_LAYERS:,} layers")
        block.scope[short] = full
        return full

    def _repeat(self, node: Located, position: int, previous: str | None, block: _Block) -> str:
        check_keys(node, _REPEAT_KEYS, "a repeat block")
        times = Int(minimum=1, maximum=MAX_LAYERS).read(node.value["repeat"], "repeat")
        if "layers" not in node.value:
            raise node.error("a repeat block needs the key 'layers'")
        short, full = self._name(node, f"repeat_{position}", block)
        sources = self._sources(node, full, previous, block)
        if len(sources) != 1:
            raise node.value["from"].error("a repeat block reads exactly one layer")
        last = sources[0]
        for index in range(1, times + 1):
            inner = block.scope.new_child({"input": last})
            last = self.block(node.value["layers"], f"{full}.{index}.", last, inner)
            own = inner.maps[0]
            block.scope.update({f"{short}.{index}.{name}": own[name] for name in own if name != "input"})
        block.scope[short] = last
        return last
