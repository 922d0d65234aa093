"""Learned tables: rows for tokens, for positions, and one in front of a sequence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradcost.importing.axes import Atom, UnsupportedError, Value
from gradcost.importing.draft import Draft
from gradcost.importing.handlers import as_value
from gradcost.importing.weights import Weight, own


def embedding(draft: Draft, name: str, tokens: Value, weight: Weight) -> Value:
    """Look up the rows of a table for an input of tokens, which has its vocabulary from there."""
    if len(weight.shape) != 2 or tokens.layer not in draft.inputs:
        raise UnsupportedError("an embedding reads an input of tokens")
    rows, units = weight.shape
    if draft.vocabularies.setdefault(tokens.layer, rows) != rows:
        raise UnsupportedError("two embeddings of different sizes read the same tokens")
    layer = draft.add(name, "embedding", [tokens], units=units)
    own(draft, layer, W=weight)
    new = Atom(units)
    return Value(layer, (*tokens.shape, units), (*tokens.stored, new), (*tokens.axes, (new,)))


def all_rows(weight: Weight, places: Sequence[int]) -> Weight:
    """Return a table whose rows are looked up by constants: learned positions, if those are all, in order."""
    rows = weight.shape[0]
    if list(places) != list(range(rows)):
        raise UnsupportedError(
            f"it looks up fixed rows of a table of {rows:,}: only all of them, in order, are positions"
        )
    return weight


def positions(draft: Draft, name: str, x: Any, weight: Weight) -> Value:
    """Add a learned tensor of a sample's shape."""
    value = draft.laid_out(as_value(x))
    given = list(weight.shape)
    while len(given) > len(value.own_shape) and given[0] == 1:
        given = given[1:]
    if tuple(given) != value.own_shape:
        raise UnsupportedError(f"it adds a parameter of shape {list(weight.shape)} to {list(as_value(x).sizes)}")
    made = draft.elementwise(name, "positional", value)
    own(draft, made.layer, W=weight)
    return made


def class_token(draft: Draft, name: str, x: Any, weight: Weight, axis: int) -> Value:
    """Put a learned row in front of a sequence."""
    value = draft.channels_first(as_value(x), 2)
    rows, units = value.own_shape
    if axis % 3 != 1 or tuple(weight.shape[1:]) != (1, units):
        raise UnsupportedError(f"it puts a parameter of shape {list(weight.shape)} in front")
    made = draft.geometry(name, "class_token", value, [draft.batch.size, rows + 1, units])
    own(draft, made.layer, c=weight)
    return made
