"""What the plots show, as data: the page draws it in a browser, ``plots`` in matplotlib."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import nlargest
from itertools import accumulate
from pathlib import Path
from typing import Any

from gradcost.execution.timeline import Life, Timeline
from gradcost.grids import Axis, paths
from gradcost.grids.grid import value_at
from gradcost.grids.run import Settings, read_tree, sweep
from gradcost.report import Analysis
from gradcost.report.figures import RANKING
from gradcost.schedule.phases import described

SHOWN_STEPS = 480  # of a longer schedule, it is divided into as many parts, and the highest step of each is shown
SHOWN_ARRAYS = 64  # those that hold the most bytes for the most steps; the others are drawn as one
SHOWN_AXES = 6
GROWTH_STEPS = 400_000  # schedule steps that may be predicted for growth plots that nobody asked for by name
BATCHES: tuple[int, ...] = (1, 4, 16, 64, 256, 1024)
WIDTHS = ("batch", ".units", ".filters", ".head_units")  # other sizes may be depths, which lengthen a schedule
DOUBLINGS = range(-3, 4)  # of other sizes, from an eighth to eight times what they are


@dataclass(frozen=True, slots=True)
class Instant:
    """A step of a schedule: its number, from 1, layer, phase, and the bytes that are alive during it."""

    number: int
    layer: str
    phase: str
    bytes: int
    workspace: int


@dataclass(frozen=True, slots=True)
class Stacked:
    """What a plot stacks: the name of its one array, empty for several, its colour group, its bytes at each instant."""

    name: str
    group: str
    sizes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class MemoryFigure:
    """Memory over the steps of a pass.

    ``bands`` are arrays from their ``first`` instant to their ``last``, not step. ``rest`` has, for each kind, the
    bytes at each instant of arrays that have no band. Bands, rest and workspace sum to an instant's bytes.
    """

    strategy: str
    passes: int
    steps: int
    instants: tuple[Instant, ...]
    bands: tuple[Life, ...]
    unshown: int
    rest: Mapping[str, tuple[int, ...]]

    def layers(self) -> list[Stacked]:
        """Return what is stacked: first what never changes, then the others in the order of their birth, workspace."""
        instants = range(len(self.instants))
        found = [
            *(
                Stacked(b.name, described(b.kind).group, tuple(b.bytes * (b.first <= i <= b.last) for i in instants))
                for b in self.bands
            ),
            *(Stacked("", described(kind).group, sizes) for kind, sizes in self.rest.items()),
        ]
        found.sort(key=lambda layer: len(set(layer.sizes)) > 1)
        workspace = Stacked("", described("workspace").group, tuple(instant.workspace for instant in self.instants))
        return [layer for layer in (*found, workspace) if any(layer.sizes)]


@dataclass(frozen=True, slots=True)
class Curve:
    """One strategy's predicted figures, each of ``RANKING`` by its key, at each value of an axis."""

    strategy: str
    values: tuple[int, ...]
    figures: Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class GrowthFigure:
    """How predicted figures grow with one value of the spec."""

    path: str
    curves: tuple[Curve, ...]


def memory_figure(name: str, line: Timeline) -> MemoryFigure:
    """Return the memory of one pass; of a long schedule, the highest step of each of many equal parts."""
    total = len(line.moments)
    parts = min(total, SHOWN_STEPS)
    shown = [
        max(range(part * total // parts, (part + 1) * total // parts), key=lambda i: line.moments[i].bytes)
        for part in range(parts)
    ]
    bands = []
    for life in line.lives:
        first, last = bisect_left(shown, life.first), bisect_right(shown, life.last) - 1
        if first <= last:
            bands.append(replace(life, first=first, last=last))
    largest = nlargest(SHOWN_ARRAYS, bands, key=lambda band: band.bytes * (band.last - band.first + 1))
    kept = set(map(id, largest))
    moments = ((step, line.moments[step]) for step in shown)
    return MemoryFigure(
        name,
        line.passes,
        total,
        tuple(Instant(step + 1, m.layer, m.phase, m.bytes, m.workspace) for step, m in moments),
        tuple(band for band in bands if id(band) in kept),
        len(bands) - len(kept),
        _rest([band for band in bands if id(band) not in kept], len(shown)),
    )


def _rest(bands: Sequence[Life], instants: int) -> dict[str, tuple[int, ...]]:
    """Add up bands by kind at each instant, from what comes and goes there."""
    changes: dict[str, list[int]] = {}
    for band in bands:
        change = changes.setdefault(band.kind, [0] * (instants + 1))
        change[band.first] += band.bytes
        change[band.last + 1] -= band.bytes
    return {kind: tuple(accumulate(change[:-1])) for kind, change in changes.items()}


def binary_step(most: int) -> int:
    """Return the power of two that goes three to six times into a number of bytes: how far marks are apart."""
    return 1 << max((most // 3).bit_length() - 1, 0)


def spread(values: Sequence[int], most: int) -> list[int]:
    """Return those of rising values that are far enough apart on a log axis for ``most`` labels; the first is there."""
    apart = (values[-1] / values[0]) ** (1 / most)
    found = [values[0]]
    for value in values[1:]:
        if value >= found[-1] * apart:
            found.append(value)
    return found


def growth_axes(source: str | Path | Mapping[str, Any], analysis: Analysis) -> list[Axis]:
    """Return axes for growth plots, as many as are predicted in seconds: the batch, depths, other sizes.

    Sizes go from an eighth to eight times what they are.
    """
    tree = read_tree(source)
    segments = (segment for plan in analysis.plans.values() for segment in plan.segments)
    left = GROWTH_STEPS // sum(len(segment.program.steps) for segment in segments)
    found = []
    depths = set(_depths(tree["layers"], "layers"))
    for path in sorted(paths(source), key=lambda path: path != "batch" and path not in depths):
        values: tuple[int, ...] = BATCHES
        if path != "batch":
            here = value_at(tree, path)
            if here < 1:
                continue  # a variable such as a padding of 0 has no multiples
            values = tuple(dict.fromkeys(max(int(here * 2.0**power), 1) for power in DOUBLINGS))
        cost = len(values) if path.endswith(WIDTHS) else -(-sum(values) // here)
        if cost <= left:
            left -= cost
            found.append(Axis(path, values))
        elif path not in depths:
            break
    return found[:SHOWN_AXES]


def _depths(layers: Sequence[Mapping[str, Any]], prefix: str) -> Iterator[str]:
    """Yield where a spec says how often its blocks are repeated: there, or at the variable that stands there."""
    for position, layer in enumerate(layers, start=1):
        place = f"{prefix}.{layer.get('name', position)}"
        if "repeat" in layer:
            yield f"{place}.repeat"
            yield f"vars.{str(layer['repeat']).removeprefix('=').strip()}"
        yield from _depths(layer.get("layers", ()), f"{place}.layers")


def growth_figures(
    source: str | Path | Mapping[str, Any],
    axes: Sequence[Axis],
    settings: Settings,
    progress: Callable[[str, int, int], None] | None = None,
) -> list[GrowthFigure]:
    """Predict along each axis. Values that make no network are left out, and axes with fewer than two that do.

    Raises:
        SpecError: the network cannot be used as it stands.
        UsageError: an axis names a place that is not there.
    """
    found = []
    for done, axis in enumerate(axes):
        if progress is not None:
            progress(f"growth along {axis.path}", done, len(axes))
        rows = [row for row in sweep(source, [axis], settings) if row.strategies]
        values = [row.set[axis.path] for row in rows]
        sizes = tuple(value for value in values if isinstance(value, int) and value > 0)
        if len(sizes) < 2 or len(sizes) < len(values):
            continue
        curves = []
        for name in rows[0].strategies:
            points = [row.strategies[name]["predicted"] for row in rows]
            figures = {figure.key: tuple(point[figure.key] for point in points) for figure in RANKING}
            curves.append(Curve(name, sizes, figures))
        found.append(GrowthFigure(axis.path, tuple(curves)))
    return found
