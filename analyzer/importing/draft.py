"""A spec in the making: layers are added one after the other, as the operations of a framework are read."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

from gradcost.importing.axes import Atom, UnsupportedError, Value, fresh
from gradcost.units import Shape


@dataclass(slots=True)
class Entry:
    """One layer of the spec: its name, type, sources by name, and options."""

    name: str
    type: str
    sources: list[str]
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Draft:
    """The spec so far.

    Attributes:
        name: of the network.
        dtype: one of ``DTYPES``.
        batch: the atom of the batch axis.
        inputs: shapes, without the batch axis.
        vocabularies: of inputs that hold tokens.
        entries: the layers.
        notes: what the spec says a little differently.
        parameters: of each layer, what identifies them in the framework, by name.
    """

    name: str
    dtype: str
    batch: Atom
    inputs: dict[str, Shape] = field(default_factory=dict)
    vocabularies: dict[str, int] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    parameters: dict[str, dict[str, object]] = field(default_factory=dict)
    _moved: dict[tuple[str, str, Shape], str] = field(default_factory=dict)  # views that were made already

    def input(self, name: str, sizes: Sequence[int]) -> Value:
        """Add an input whose first axis is the batch."""
        if not sizes or sizes[0] != self.batch.size:
            raise UnsupportedError(f"the input {name!r} of shape {list(sizes)} must have the batch as its first axis")
        shape = tuple(sizes[1:]) or (1,)
        name = self._unique(name)
        self.inputs[name] = shape
        value = fresh(name, shape, self.batch)
        return value if len(sizes) > 1 else value.without_axis(1)

    def note(self, text: str) -> None:
        """Remember, once, what is said a little differently."""
        if text not in self.notes:
            self.notes.append(text)

    def add(self, name: str, kind: str, sources: Sequence[Value], **options: Any) -> str:
        """Add a layer and return its name; options that are None are left out."""
        given = {key: value for key, value in options.items() if value is not None}
        entry = Entry(self._unique(name), kind, [source.layer for source in sources], given)
        self.entries.append(entry)
        return entry.name

    def own(self, layer: str, parameters: Mapping[str, object], trainable: bool = True) -> None:
        """Note whose parameters a layer has, each by its name and what identifies it in the framework.

        A layer shares those of another where all that both have are the same.
        """
        entry = next(entry for entry in reversed(self.entries) if entry.name == layer)
        mine = self.parameters.setdefault(layer, {})
        mine.update(parameters)
        if not trainable:
            entry.options["trainable"] = False
        holders = [other for other in self.parameters if other != layer and self._common(other, layer)]
        if len(holders) != 1:
            entry.options.pop("share", None)
        else:
            entry.options["share"] = holders[0]
        others = (each for other in self.parameters if other != layer for each in self.parameters[other].values())
        if not holders and not set(mine.values()).isdisjoint(others):
            self.note("Some parameters are stored once for several layers; a spec shares all of a layer's or none.")

    def _common(self, holder: str, layer: str) -> bool:
        """Whether two layers have parameters of the same names, all of them the same."""
        theirs, mine = self.parameters[holder], self.parameters[layer]
        names = theirs.keys() & mine.keys()
        return bool(names) and all(theirs[name] == mine[name] for name in names) and not self._sharing(holder)

    def _sharing(self, layer: str) -> bool:
        return any("share" in entry.options for entry in self.entries if entry.name == layer)

    # ---- values as layers read them ----

    def laid_out(self, value: Value) -> Value:
        """Return a value whose layer has the shape and order of the tensor, adding reshape and permute as needed."""
        order, shape = value.plain, value.own_shape or (1,)
        if order != value.stored:
            runs = _runs(value.stored, order)
            value = self._shaped(value, tuple(prod(atom.size for atom in run) for run in runs))
            ranked = sorted(range(len(runs)), key=lambda place: order.index(runs[place][0]))
            layer = self._view(value, "permute", tuple(ranked), order=ranked)
            value = replace(value, layer=layer, shape=tuple(value.shape[axis] for axis in ranked), stored=order)
        return self._shaped(value, shape)

    def _shaped(self, value: Value, shape: Shape) -> Value:
        if value.shape == shape:
            return value
        if len(shape) == 1:
            return replace(value, layer=self._view(value, "flatten", shape), shape=shape)
        return replace(value, layer=self._view(value, "reshape", shape, shape=list(shape)), shape=shape)

    def _view(self, value: Value, kind: str, key: Shape, **options: Any) -> str:
        """Add a layer that only moves elements, once for each value."""
        made = self._moved.get((value.layer, kind, key))
        if made is None:
            made = self._moved[value.layer, kind, key] = self.add(kind, kind, [value], **options)
        return made

    def last(self, value: Value) -> Value:
        """Return a value whose layer has the tensor's last axis last; the others may be in another order."""
        axis = value.axes[-1]
        if any(atom.batch for atom in axis):
            raise UnsupportedError("it works along the batch axis")
        size = prod(atom.size for atom in axis)
        there = value.stored[len(value.stored) - len(axis) :] == axis if axis else True
        if there and value.shape[-1] == size:
            return value
        return self.laid_out(value)

    def with_last(self, value: Value, layer: str, size: int) -> Value:
        """Return what a layer makes of a value from ``last``: the same but for the size of the last axis."""
        count = len(value.axes[-1])
        new = (Atom(size),) if size > 1 else ()
        stored = (*value.stored[: len(value.stored) - count], *new)
        return Value(layer, (*value.shape[:-1], size), stored, (*value.axes[:-1], new))

    # ---- operations that several frameworks have ----

    def dense(self, name: str, value: Value, units: int, *, bias: bool) -> Value:
        """Add a dense layer over the last axis."""
        value = self.last(value)
        layer = self.add(name, "dense", [value], units=units, bias=None if bias else False)
        return self.with_last(value, layer, units)

    def over_last(self, name: str, kind: str, value: Value, **options: Any) -> Value:
        """Add a layer that keeps the shape and works along the last axis."""
        value = self.last(value)
        return replace(value, layer=self.add(name, kind, [value], **options))

    def elementwise(self, name: str, kind: str, value: Value, **options: Any) -> Value:
        """Add a layer that treats each element alike, however its axes are seen."""
        return replace(value, layer=self.add(name, kind, [value], **options))

    def channels_first(self, value: Value, rank: int | None = None) -> Value:
        """Return a value as [channels, ...] behind the batch; ``rank`` counts those axes."""
        value = self.laid_out(value)
        if value.batch_axis not in (0, None) or (rank is not None and len(value.own_shape) != rank):
            raise UnsupportedError(
                f"it reads a tensor of shape {list(value.sizes)}, with the batch elsewhere than in front"
            )
        return value

    def geometry(self, name: str, kind: str, value: Value, sizes: Sequence[int], **options: Any) -> Value:
        """Add a layer that reads [channels, ...] and makes a tensor of the sizes, the batch first."""
        layer = self.add(name, kind, [value], **options)
        return fresh(layer, tuple(sizes[1:]), self.batch)

    def channelwise(self, name: str, kind: str, value: Value, **options: Any) -> Value:
        """Add a norm over channels, the shape kept."""
        value = self.channels_first(value)
        return replace(value, layer=self.add(name, kind, [value], **options))

    def join(self, name: str, kind: str, values: Sequence[Value]) -> Value:
        """Add or multiply tensors of one shape; ``multiply`` also takes a gate whose other axes have size 1."""
        first, *others = values
        if any(first.batch_axis != other.batch_axis for other in others):
            raise UnsupportedError("the batch is on different axes of its inputs")
        if all(value.sizes == first.sizes for value in others):
            laid = [self.laid_out(value) for value in values]
            return replace(laid[0], layer=self.add(name, kind, laid))
        if kind == "multiply" and len(values) == 2 and len(first.axes) == len(others[0].axes):
            value, gate = sorted(values, key=lambda each: -prod(each.sizes))
            kept = [size for size in gate.own_shape if size > 1]
            if value.own_shape[: len(kept)] == tuple(kept) and len(kept) == len(gate.plain):
                value, gate = self.laid_out(value), self._shaped(self.laid_out(gate), tuple(kept))
                return replace(value, layer=self.add(name, kind, [value, gate]))
        shown = " and ".join(str(list(value.sizes)) for value in values)
        raise UnsupportedError(f"it broadcasts {shown}")

    def concat(self, name: str, values: Sequence[Value], axis: int) -> Value:
        """Join tensors along an axis."""
        place = values[0].position(axis)
        laid = [self.laid_out(value) for value in values]
        layer = self.add(name, "concat", laid, axis=place)
        sizes = list(laid[0].own_shape)
        sizes[place] = sum(value.own_shape[place] for value in laid)
        return fresh(layer, tuple(sizes), self.batch, laid[0].batch_axis or 0)

    def slice(self, name: str, value: Value, axis: int, start: int, stop: int) -> Value:
        """Take a part of an axis: straight from the stored layer where the axis is a piece of that, else laid out."""
        axis %= len(value.axes)
        if (start, stop) == (0, value.sizes[axis]):
            return value
        value.position(axis)  # not the batch
        atoms, size = value.axes[axis], stop - start
        if len(atoms) != 1 or atoms[0] not in value.stored:
            value = self.laid_out(value)
            place = value.position(axis)
            layer = self.add(name, "slice", [value], axis=place, start=start or None, stop=stop)
            sizes = (*value.own_shape[:place], size, *value.own_shape[place + 1 :])
            return fresh(layer, sizes, self.batch, value.batch_axis or 0)
        (old,) = atoms
        found = _axis_of(value, old)
        if found is None:
            value = self._shaped(value, tuple(atom.size for atom in value.stored))
        place = value.stored.index(old) if found is None else found
        layer = self.add(name, "slice", [value], axis=place, start=start or None, stop=stop)
        new = (Atom(size),) if size > 1 else ()
        stored = tuple(atom for each in value.stored for atom in (new if each is old else (each,)))
        axes = tuple(new if each == axis else atoms for each, atoms in enumerate(value.axes))
        return Value(layer, (*value.shape[:place], size, *value.shape[place + 1 :]), stored, axes)

    def mean(self, name: str, value: Value, axes: Sequence[int], *, keep: bool) -> Value:
        """Take means over axes: of all positions behind the channels at once, else axis by axis."""
        count = len(value.axes)
        places = sorted(axis % count for axis in axes)
        value = self.laid_out(value)
        own = sorted(value.position(axis) for axis in places)
        if own == list(range(1, len(value.own_shape))) and len(own) > 1:
            layer = self.add(name, "global_avg_pool", [value])
            made = fresh(layer, value.own_shape[:1], self.batch, value.batch_axis or 0)
        elif len(own) == 1 and len(value.own_shape) > 1:
            layer = self.add(name, "mean", [value], axis=own[0])
            made = fresh(
                layer, tuple(size for axis, size in enumerate(value.own_shape) if axis != own[0]), self.batch, 0
            )
        else:
            raise UnsupportedError(f"it takes the mean over the axes {places} of {list(value.sizes)}")
        for place in places if keep else ():
            made = made.with_axis(place)
        return made

    def attention(self, name: str, q: Value, k: Value, v: Value, *, causal: bool, scale: float | None) -> Value:
        """Add scaled dot-product attention over [batch, heads, positions, units], the heads perhaps left out."""
        if len(q.own_shape) == 2:
            q, k, v = (each.with_axis(1) for each in (q, k, v))
            return self.attention(name, q, k, v, causal=causal, scale=scale).without_axis(1)
        laid = [self.channels_first(each, 3) for each in (q, k, v)]
        layer = self.add(name, "attention", laid, causal=causal or None, scale=scale)
        heads, rows, _ = laid[0].own_shape
        return fresh(layer, (heads, rows, laid[2].own_shape[-1]), self.batch)

    def matmul(self, name: str, a: Value, b: Value) -> Value:
        """Multiply two tensors of one network, sample by sample."""
        turned = b.swapped(-1, -2)
        transpose = turned.plain == turned.stored != b.plain
        laid = [self.laid_out(a), self.laid_out(turned if transpose else b)]
        if laid[0].batch_axis not in (0, None) or len(laid[0].own_shape) != len(laid[1].own_shape):
            raise UnsupportedError(f"it multiplies {list(a.sizes)} and {list(b.sizes)}")
        layer = self.add(name, "matmul", laid, transpose=transpose or None)
        return fresh(layer, (*laid[0].own_shape[:-1], b.sizes[-1]), self.batch)

    def end(self, value: Value) -> None:
        """Make a tensor the output: what it does not need is left out."""
        last = self.laid_out(value).layer
        needed, kept = {last}, []
        for entry in reversed(self.entries):
            if entry.name in needed:
                needed.update(entry.sources)
                needed.update([entry.options["share"]] if "share" in entry.options else [])
                kept.append(entry)
        self.entries = kept[::-1]
        self.inputs = {name: shape for name, shape in self.inputs.items() if name in needed}
        if len(self.inputs) == 1 and "input" not in needed:
            (only,) = self.inputs
            self.inputs = {"input": self.inputs[only]}
            self.vocabularies = {"input": self.vocabularies[only]} if only in self.vocabularies else {}
            for entry in self.entries:
                entry.sources = ["input" if source == only else source for source in entry.sources]

    def _unique(self, name: str) -> str:
        """Return a name that a spec may have, and that nobody has yet."""
        name = re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_") or "layer"
        name = (name if re.match(r"[A-Za-z_]", name) else f"n{name}")[-56:].lstrip("-")
        name = name if re.match(r"[A-Za-z_]", name) else f"n{name}"
        taken = {entry.name for entry in self.entries} | set(self.inputs)
        found, number = name, 2
        while found in taken:
            found, number = f"{name}_{number}", number + 1
        return found


def _runs(stored: tuple[Atom, ...], order: tuple[Atom, ...]) -> list[tuple[Atom, ...]]:
    """Divide stored atoms into runs that stay together in another order."""
    runs: list[list[Atom]] = []
    for atom in stored:
        place = order.index(atom)
        if runs and place and order[place - 1] is runs[-1][-1]:
            runs[-1].append(atom)
        else:
            runs.append([atom])
    return [tuple(run) for run in runs]


def _axis_of(value: Value, wanted: Atom) -> int | None:
    """Return the axis of the layer's own shape that is this atom and nothing else; None where it is in a larger one."""
    left = list(value.stored)
    for axis, size in enumerate(value.shape):
        if size == 1:
            continue
        if left[0] is wanted and wanted.size == size:
            return axis
        while size > 1:
            size //= left.pop(0).size
    return None
