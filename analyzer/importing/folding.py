"""Repeated runs of layers become ``repeat`` blocks."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import TypeAlias

from gradcost.importing.draft import Entry

LONGEST_BLOCK = 80  # layers of a block that is looked for
_PLACE = re.compile(r"[A-Za-z].*?_\d+_(?=[A-Za-z_])")

Reference: TypeAlias = tuple[str, int]
Look: TypeAlias = tuple[str, str, tuple[Reference, ...]]  # type, options, and what it reads, by its place in the run


@dataclass(frozen=True, slots=True)
class Repeat:
    """Layers that come several times, one run behind the other, each reading the last of the run before."""

    name: str
    times: int
    layers: tuple[Entry, ...]
    source: str  # what the first run reads


@dataclass(frozen=True, slots=True)
class Run:
    """So many layers that come so many times."""

    size: int = 1
    times: int = 1

    @property
    def saved(self) -> int:
        """How many layers need not be written."""
        return self.size * (self.times - 1)


def folded(entries: Sequence[Entry], first: str) -> list[Entry | Repeat]:
    """Fold the runs that save the most lines, from the top down; the first layer reads ``first``."""
    layers = _Layers(entries, first)
    blocks = (name for name in (f"block{number}" for number in count(1)) if name not in layers.place)
    items: list[Entry | Repeat] = []
    outside: dict[str, str] = {}  # the last layer of a folded run -> its block, which stands for it further down
    start = 0
    while start < len(entries):
        run = layers.longest_run(start)
        if run.times == 1:
            entry = entries[start]
            items.append(replace(entry, sources=[outside.get(source, source) for source in entry.sources]))
        else:
            source = layers.before(start)
            inner = _short(entries[start : start + run.size], source)
            block = Repeat(next(blocks), run.times, inner, outside.get(source, source))
            outside[entries[start + run.size * run.times - 1].name] = block.name
            items.append(block)
        start += run.size * run.times
    return items


class _Layers:
    """All layers, and what may be folded among them."""

    def __init__(self, entries: Sequence[Entry], first: str) -> None:
        self.entries = entries
        self.first = first
        self.place = {entry.name: index for index, entry in enumerate(entries)}
        self.last_reader = {source: index for index, entry in enumerate(entries) for source in entry.sources}
        self.look = [(entry.type, repr(entry.options)) for entry in entries]
        self.shared = {str(entry.options["share"]) for entry in entries if "share" in entry.options}

    def before(self, start: int) -> str:
        """Return what stands in front of a layer."""
        return self.entries[start - 1].name if start else self.first

    def longest_run(self, start: int) -> Run:
        """Return the run from here that saves the most, the shortest of several; a single layer where none does."""
        best = Run()
        for size in range(2, min(LONGEST_BLOCK, (len(self.entries) - start) // 2) + 1):
            run = Run(size, self._times(start, size))
            if run.saved > best.saved:
                best = run
        return best

    def _times(self, start: int, size: int) -> int:
        """Return how often the layers from here come, one run behind the other."""
        if self.look[start : start + size] != self.look[start + size : start + 2 * size]:
            return 1
        looks = self._looks(start, size)
        if looks is None:
            return 1
        times = 1
        while start + (times + 1) * size <= len(self.entries):
            if self._looks(start + times * size, size) != looks:
                break
            times += 1
        return times

    def _looks(self, start: int, size: int) -> list[Look] | None:
        """Return what a run's layers are, seen from its start; None where it cannot be folded.

        It cannot where a layer reads something further up than the one in front, shares parameters, or is read from
        further down without being the last.
        """
        looks = []
        for offset in range(size):
            entry = self.entries[start + offset]
            inner = offset < size - 1
            if inner and self.last_reader.get(entry.name, 0) >= start + size:
                return None
            references = self._references(entry, start)
            if references is None or "share" in entry.options or entry.name in self.shared:
                return None
            looks.append((*self.look[start + offset], references))
        return looks

    def _references(self, entry: Entry, start: int) -> tuple[Reference, ...] | None:
        """Return what a layer reads: the one in front of the run, or one of its own; None for any other."""
        references = []
        for source in entry.sources:
            if source == self.before(start):
                references.append(("input", 0))
            elif self.place.get(source, -1) >= start:
                references.append(("own", self.place[source] - start))
            else:
                return None
        return tuple(references)


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
