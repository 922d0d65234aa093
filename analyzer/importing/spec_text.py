"""A draft as a readable YAML spec: activations join their layers, repeated runs become ``repeat`` blocks."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from gradcost.importing.draft import FUSABLE, Draft, Entry
from gradcost.spec.flow import flow

WIDTH = 120
_PLACE = re.compile(r"[A-Za-z].*?_\d+_(?=[A-Za-z_])")
LONGEST_BLOCK = 80  # layers of a block that is looked for

Reference = tuple[str, int | str]


@dataclass(frozen=True, slots=True)
class Repeat:
    """Layers that come several times, one run behind the other, each reading the last of the run before."""

    name: str
    times: int
    layers: tuple[Entry, ...]
    source: str  # what the first run reads


def spec_of(draft: Draft, loss: str = "none") -> dict[str, Any]:
    """Return the spec as a dict, its layers one by one."""
    entries = _joined(draft)
    return {**_head(draft), "layers": _listed(entries, _previous(draft)), "loss": loss}


def text_of(draft: Draft, loss: str = "none", source: str = "") -> str:
    """Return the spec as YAML, with notes at its head and repeated runs folded."""
    items = _folded(_joined(draft), _previous(draft))
    lines = [f"# Imported from {source}." if source else "# Imported."]
    lines += [f"# {note}" for note in draft.notes]
    lines += [f"{key}: {flow(value)}" for key, value in _head(draft).items()]
    lines.append("layers:")
    previous = _previous(draft)
    for item in items:
        if isinstance(item, Repeat):
            lines += [f"  - repeat: {item.times}", f"    name: {item.name}"]
            if item.source != previous:
                lines.append(f"    from: {item.source}")
            lines.append("    layers:")
            lines += [f"      - {flow(layer)}" for layer in _listed(item.layers, "input")]
        else:
            lines += [f"  - {flow(layer)}" for layer in _listed([item], previous)]
        previous = item.name
    return "\n".join([*lines, f"loss: {loss}", ""])


def _head(draft: Draft) -> dict[str, Any]:
    inputs: dict[str, Any] = {}
    for name, shape in draft.inputs.items():
        vocabulary = draft.vocabularies.get(name)
        inputs[name] = {"shape": list(shape)} | ({"vocabulary": vocabulary} if vocabulary else {})
    head: dict[str, Any] = {"name": draft.name, "dtype": draft.dtype, "batch": draft.batch.size}
    return head | ({"input": inputs["input"]} if list(inputs) == ["input"] else {"inputs": inputs})


def _previous(draft: Draft) -> str:
    return next(iter(draft.inputs)) if len(draft.inputs) == 1 else ""


def _listed(entries: Sequence[Entry], previous: str) -> list[dict[str, Any]]:
    """Write each entry as the spec has it; ``from`` is left out where it is the layer before."""
    listed = []
    for entry in entries:
        layer: dict[str, Any] = {"name": entry.name, "type": entry.type}
        if entry.sources != [previous]:
            layer["from"] = entry.sources[0] if len(entry.sources) == 1 else list(entry.sources)
        listed.append(layer | entry.options)
        previous = entry.name
    return listed


def _joined(draft: Draft) -> list[Entry]:
    """Join activations with the layers that they alone read."""
    entries = [replace(entry, options=dict(entry.options)) for entry in draft.entries]
    users = Counter(source for entry in entries for source in entry.sources)
    made = {entry.name: entry for entry in entries}
    renamed: dict[str, str] = {}
    kept: list[Entry] = []
    for entry in entries:
        entry = replace(entry, sources=[renamed.get(source, source) for source in entry.sources])
        (first, *_) = entry.sources
        maker = made.get(first)
        joins = entry.type == "activation" and maker is not None and maker.type in FUSABLE
        if joins and maker and users[maker.name] == 1 and "activation" not in maker.options and len(entry.options) == 1:
            maker.options["activation"] = entry.options["activation"]
            renamed[entry.name] = maker.name
            users[maker.name] = users[entry.name]
            continue
        made[entry.name] = entry
        kept.append(entry)
    return kept


# ---- folding ----


def _folded(entries: Sequence[Entry], first: str) -> list[Entry | Repeat]:
    """Fold the runs that save the most lines, from the top down."""
    place = {entry.name: index for index, entry in enumerate(entries)}
    shared = {str(entry.options["share"]) for entry in entries if "share" in entry.options}
    last_reader = {source: index for index, entry in enumerate(entries) for source in entry.sources}

    def key(index: int, start: int) -> tuple[str, str, tuple[Reference, ...]] | None:
        """Return what a layer is, seen from the start of its run; None where it reads something far away."""
        entry = entries[index]
        if "share" in entry.options or entry.name in shared:
            return None
        references: list[Reference] = []
        before = entries[start - 1].name if start else first
        for source in entry.sources:
            if source == before:
                references.append(("input", 0))
            elif place.get(source, -1) >= start:
                references.append(("own", place[source] - start))
            else:
                return None
        return entry.type, repr(entry.options), tuple(references)

    def closed(start: int, size: int) -> bool:
        """Whether nothing behind a run reads any of its layers but the last."""
        inside = range(start, start + size - 1)
        return all(last_reader.get(entries[index].name, 0) < start + size for index in inside)

    def times(start: int, size: int) -> int:
        keys = [key(start + offset, start) for offset in range(size)]
        if None in keys or not closed(start, size):
            return 1
        found = 1
        while start + (found + 1) * size <= len(entries):
            here = start + found * size
            if not closed(here, size) or [key(here + offset, here) for offset in range(size)] != keys:
                break
            found += 1
        return found

    items: list[Entry | Repeat] = []
    ends: dict[str, str] = {}  # the last layer of the last run -> the block, which stands for it outside
    blocks = (name for name in (f"block{number}" for number in count(1)) if name not in place)
    index = 0
    while index < len(entries):
        size, runs = 1, 1
        for wider in range(2, min(LONGEST_BLOCK, (len(entries) - index) // 2) + 1):
            found = times(index, wider)
            if wider * (found - 1) > size * (runs - 1):
                size, runs = wider, found
        if runs > 1:
            source = entries[index - 1].name if index else first
            layers = _short(entries[index : index + size], source)
            items.append(Repeat(next(blocks), runs, layers, ends.get(source, source)))
            ends[entries[index + size * runs - 1].name] = items[-1].name
        else:
            entry = entries[index]
            items.append(replace(entry, sources=[ends.get(source, source) for source in entry.sources]))
        index += size * runs
    return items


def _short(entries: Sequence[Entry], source: str) -> tuple[Entry, ...]:
    """Give the layers of a block names of their own: without the place of the first run, ``layers_0_``."""
    places = Counter(match[0] for entry in entries if (match := _PLACE.match(entry.name)))
    place = places.most_common(1)[0][0] if places else ""
    names: dict[str, str] = {source: "input"}
    for entry in entries:
        name = entry.name.removeprefix(place)
        fits = name and (name[0].isalpha() or name[0] == "_") and name not in names.values() and name != "input"
        names[entry.name] = name if fits else entry.name
    return tuple(
        replace(entry, name=names[entry.name], sources=[names[each] for each in entry.sources]) for entry in entries
    )
