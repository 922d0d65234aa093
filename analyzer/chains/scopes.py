"""Which layers of a spec are checkpointed together: its blocks, or those of a list."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

from gradcost.errors import UsageError, nearest

Scope: TypeAlias = Callable[[str], str | None]  # of a layer's name: the block that it is run again with, if any


def scope_of(labels: Iterable[str], checkpoints: str) -> Scope:
    """Return which block each layer belongs to.

    Args:
        labels: the names of all layers, as reports have them: ``stage.1.conv``.
        checkpoints: ``none``; ``blocks``: of the blocks around a layer, the innermost turn of a repeat that has several
            layers, else the outermost; or ``list:A,B``: layers or blocks of those names.

    Raises:
        UsageError: another word, or a name that no layer or block has.
    """
    names = set(labels)
    layers = Counter(prefix for label in names for prefix in prefixes(label))
    kind, _, listed = checkpoints.partition(":")
    if kind == "none":
        return lambda label: None
    if kind == "list":
        wanted = [name.strip() for name in listed.split(",")]
        for name in wanted:
            if name not in names and name not in layers:
                raise UsageError(f"checkpoints: no layer or block is called {name!r}{nearest(name, [*layers, *names])}")
        return lambda label: next((name for name in (*prefixes(label), label) if name in wanted), None)
    if checkpoints != "blocks":
        raise UsageError(f"checkpoints cannot be {checkpoints!r} here; write none, blocks or list:A,B")

    def block(label: str) -> str | None:
        around = list(prefixes(label))
        turns = [name for name in around if name.rpartition(".")[2].isdigit() and layers[name] > 1]
        return turns[-1] if turns else next(iter(around), None)

    return block


def prefixes(label: str) -> Iterator[str]:
    """Yield the blocks around a layer, the outermost first: ``a`` and ``a.1`` of ``a.1.b``."""
    parts = label.split(".")
    for count in range(1, len(parts)):
        yield ".".join(parts[:count])
