"""A draft as a readable YAML spec: activations join their layers, repeated runs become ``repeat`` blocks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from gradcost.importing.draft import Draft, Entry
from gradcost.importing.folding import Repeat, folded
from gradcost.layers import LAYER_TYPES
from gradcost.layers.activations import ACTIVATION_FIELD
from gradcost.spec.flow import flow


def spec_of(draft: Draft, loss: str = "none") -> dict[str, Any]:
    """Return the spec as a dict, its layers one by one."""
    entries = _joined(draft)
    return {**_head(draft), "layers": _listed(entries, _previous(draft)), "loss": loss}


def text_of(draft: Draft, loss: str = "none", source: str = "") -> str:
    """Return the spec as YAML, with notes at its head and repeated runs folded."""
    items = folded(_joined(draft), _previous(draft))
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


def _takes_activation(entry: Entry) -> bool:
    """Whether a layer has the option of any activation; an rnn has only two."""
    return LAYER_TYPES[entry.type].fields.get("activation") is ACTIVATION_FIELD


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
        joins = entry.type == "activation" and maker is not None and _takes_activation(maker)
        if joins and maker and users[maker.name] == 1 and "activation" not in maker.options and len(entry.options) == 1:
            maker.options["activation"] = entry.options["activation"]
            renamed[entry.name] = maker.name
            users[maker.name] = users[entry.name]
            continue
        made[entry.name] = entry
        kept.append(entry)
    return kept
