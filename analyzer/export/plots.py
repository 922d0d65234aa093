"""The figures in matplotlib (extra ``plot``), as SVG or PNG."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

from gradcost.errors import UsageError
from gradcost.export.figures import GrowthFigure, MemoryFigure
from gradcost.units import format_bytes, format_count, format_short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Format = Literal["svg", "png"]
SIZE = (8.0, 4.5)  # inches
DOTS = 160  # per inch, in a PNG
NAMED = 10  # arrays of a memory plot that the legend names
MARKERS = "osx^vD+"


def require() -> None:
    """Raise ``UsageError`` if matplotlib is not installed."""
    if find_spec("matplotlib") is None:
        raise UsageError("plots need the extra `plot`: pip install 'gradcost[plot]'")


def draw(memory: Iterable[MemoryFigure], growth: Iterable[GrowthFigure], form: Format) -> Iterator[tuple[str, bytes]]:
    """Yield each plot as a file's name and content.

    Raises:
        UsageError: matplotlib is not installed.
    """
    require()
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    def file(name: str, fill: Any, *args: object) -> tuple[str, bytes]:
        figure = Figure(figsize=SIZE, layout="constrained")
        fill(figure.add_subplot(), *args)
        return f"{re.sub('[^A-Za-z0-9_]+', '-', name)}.{form}", _bytes(figure, form)

    with rc_context({"svg.hashsalt": "gradcost", "svg.fonttype": "none", "font.size": 9}):  # the same file each time
        for one in memory:
            yield file(f"memory-{one.strategy}", _memory, one)
        for each in growth:
            for key in ("multiplies", "peak_bytes"):
                yield file(f"growth-{each.path}-{key}", _growth, each, key)


def _bytes(figure: Figure, form: Format) -> bytes:
    held = io.BytesIO()
    figure.savefig(held, format=form, dpi=DOTS, metadata={"Date": None} if form == "svg" else {"Software": None})
    return held.getvalue()


def _memory(axes: Axes, figure: MemoryFigure) -> None:
    """Stack the arrays: those that live throughout at the bottom, the others in the order of their birth."""
    from matplotlib import colormaps

    last = len(figure.instants) - 1
    bands = sorted(figure.bands, key=lambda band: (band.first, band.last) != (0, last))
    rows = [[band.bytes * (band.first <= place <= band.last) for place in range(last + 1)] for band in bands]
    workspace = [instant.workspace for instant in figure.instants]
    steps = [instant.number - 0.5 for instant in figure.instants] + [figure.steps + 0.5]
    named = {id(band) for band in sorted(bands, key=lambda band: -band.bytes)[:NAMED]}
    labels = [f"{band.name} {format_bytes(band.bytes)}" if id(band) in named else "_" for band in bands]
    tones = colormaps["tab20"].colors  # type: ignore[attr-defined]
    colors = [tones[place % len(tones)] for place in range(len(bands))]
    layers: list[tuple[Sequence[int], str, Any]] = [*zip(rows, labels, colors, strict=True)]
    greys = [str(0.9 - 0.4 * place / len(figure.rest)) for place in range(len(figure.rest))]
    for (kind, sizes), grey in zip(figure.rest.items(), greys, strict=True):
        layers.append((sizes, f"smaller arrays: {kind}", grey))
    layers.append((workspace, "workspace", "0.3"))
    layers = [layer for layer in layers if any(layer[0])]
    stacked = [[*row, row[-1]] for row, _, _ in layers]
    names, fills = [label for _, label, _ in layers], [color for _, _, color in layers]
    axes.stackplot(steps, stacked, labels=names, colors=fills, step="post", edgecolor="white", linewidth=0.2)
    axes.set(xlabel="step of the schedule", xlim=(steps[0], steps[-1]), ylim=(0, None))
    peak = max(figure.instants, key=lambda instant: instant.bytes)
    axes.set_title(f"{figure.strategy}: {format_bytes(peak.bytes)} at the peak ({peak.layer}, {peak.phase})")
    axes.yaxis.set_major_formatter(lambda value, _: format_bytes(int(value)))
    handles, found = axes.get_legend_handles_labels()
    axes.legend(handles[::-1], found[::-1], loc="center left", bbox_to_anchor=(1, 0.5), fontsize=7, frameon=False)


def _growth(axes: Axes, figure: GrowthFigure, key: str) -> None:
    for curve, marker in zip(figure.curves, MARKERS * len(figure.curves), strict=False):
        values = [float(each) for each in getattr(curve, key)]
        axes.plot(curve.values, values, marker=marker, markersize=4, linewidth=1.2, label=curve.strategy)
    memory = key == "peak_bytes"
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2 if memory else 10)
    axes.xaxis.set_major_formatter(lambda value, _: format_count(int(value)))
    axes.yaxis.set_major_formatter(lambda value, _: (format_bytes if memory else format_short)(int(value)))
    axes.set(xlabel=figure.path, title=f"{'Peak memory' if memory else 'Multiplies'} along {figure.path}")
    axes.grid(which="major", alpha=0.3)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=7, frameon=False)
