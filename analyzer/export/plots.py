"""The figures in matplotlib (extra ``plot``), as SVG or PNG."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Sequence
from importlib.util import find_spec
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

from gradcost.errors import UsageError
from gradcost.export.colours import OF_GROUP, look
from gradcost.export.figures import GrowthFigure, MemoryFigure, Stacked, binary_step, spread
from gradcost.report.figures import RANKING
from gradcost.report.figures import Figure as Shown
from gradcost.schedule.phases import GROUPS
from gradcost.units import format_bytes, format_count

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Format = Literal["svg", "png"]
SIZE = (8.0, 4.5)  # inches
DOTS = 160  # per inch, in a PNG
HEADROOM = 1.02  # of a memory plot, above the peak
LETTER = 0.011, 0.035  # width and height of a letter in a band, as parts of a memory plot's
TICKS = 10  # along the values of a growth plot
_BESIDE: dict[str, Any] = {"loc": "center left", "bbox_to_anchor": (1, 0.5), "fontsize": 8, "frameon": False}


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
            for shown in RANKING:
                yield file(f"growth-{each.path}-{shown.key}", _growth, each, shown)


def _bytes(figure: Figure, form: Format) -> bytes:
    held = io.BytesIO()
    figure.savefig(held, format=form, dpi=DOTS, metadata={"Date": None} if form == "svg" else {"Software": None})
    return held.getvalue()


def _memory(axes: Axes, figure: MemoryFigure) -> None:
    """Stack the arrays: those that live throughout at the bottom, the others in the order of their birth."""
    from matplotlib.patches import Patch
    from matplotlib.ticker import MultipleLocator

    layers = figure.layers()
    steps = [instant.number - 0.5 for instant in figure.instants] + [figure.steps + 0.5]
    peak = max(figure.instants, key=lambda instant: instant.bytes)
    axes.stackplot(
        steps,
        [[float(size) for size in (*layer.sizes, layer.sizes[-1])] for layer in layers],
        colors=[OF_GROUP[layer.group].light for layer in layers],
        step="post",
        edgecolor="white",
        linewidth=0.3,
    )
    axes.set(xlabel="step of the schedule", xlim=(steps[0], steps[-1]), ylim=(0, peak.bytes * HEADROOM))
    title = f"{figure.strategy}: {format_bytes(peak.bytes)} at the peak\n{peak.layer}, {peak.phase}"
    axes.set_title(title, loc="left", fontsize=10)
    axes.yaxis.set_major_locator(MultipleLocator(binary_step(peak.bytes)))
    axes.yaxis.set_major_formatter(lambda value, _: format_bytes(int(value)))
    _name_layers(axes, layers, steps, peak.bytes)
    used = {layer.group for layer in layers}
    keys = [Patch(color=OF_GROUP[group].light, label=label) for group, label in GROUPS.items() if group in used]
    axes.legend(handles=keys[::-1], **_BESIDE)


def _name_layers(axes: Axes, layers: Sequence[Stacked], steps: Sequence[float], top: int) -> None:
    """Write an array's name on it, where it lies level for long enough."""
    floor = [0] * (len(steps) - 1)
    for layer in layers:
        first, end = _longest_level(floor, layer.sizes)
        wide = (steps[end] - steps[first]) / (steps[-1] - steps[0])
        size = layer.sizes[first]
        if size > top * LETTER[1] and wide > len(layer.name) * LETTER[0]:
            at = (steps[first] + steps[end]) / 2, float(floor[first] + size / 2)
            axes.text(*at, layer.name, ha="center", va="center", fontsize=7)
        floor = [below + size for below, size in zip(floor, layer.sizes, strict=True)]


def _longest_level(floor: Sequence[int], sizes: Sequence[int]) -> tuple[int, int]:
    """Return where the longest stretch begins and ends along which something is there, and neither side moves."""
    changes = [i for i in range(1, len(sizes)) if (floor[i], sizes[i]) != (floor[i - 1], sizes[i - 1])]
    stretches = pairwise([0, *changes, len(sizes)])
    return max((each for each in stretches if sizes[each[0]]), key=lambda each: each[1] - each[0])


def _growth(axes: Axes, figure: GrowthFigure, shown: Shown) -> None:
    from matplotlib.ticker import FixedLocator, NullLocator

    for place, curve in enumerate(figure.curves):
        drawn = look(curve.strategy)
        values = [float(each) for each in curve.figures[shown.key]]
        axes.plot(
            curve.values,
            values,
            color=drawn.colour.light,
            marker=drawn.mark.matplotlib,
            markersize=5,
            markerfacecolor="none",
            linewidth=1.4,
            zorder=3 - place / len(figure.curves),  # of curves that coincide, the first lies on top
            label=curve.strategy,
        )
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2 if shown.binary else 10)
    axes.xaxis.set_major_locator(FixedLocator(spread(figure.curves[0].values, TICKS)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: format_count(int(value)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(lambda value, _: shown.show(int(value)))
    axes.set(xlabel=figure.path)
    axes.set_title(f"{shown.heading} along {figure.path}", loc="left", fontsize=10)
    axes.grid(which="major", alpha=0.3)
    axes.legend(**_BESIDE)
