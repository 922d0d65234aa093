"""A trace for others to read: two strategies facing each other, as a page or in Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from itertools import groupby

from gradcost.execution.trace import Trace, Traced, disagreement, facing
from gradcost.export.colours import style_sheet
from gradcost.export.template import filled, part
from gradcost.numerics import Array, np
from gradcost.report.table import escaped
from gradcost.schedule.phases import described
from gradcost.units import format_array, format_count, format_shape
from gradcost.version import __version__

SHOWN_NUMBERS = 24  # of a larger array, its ends
DIGITS = 4
WHOLE = 10_000  # characters of a line of numbers that is not to be broken


def size_text(step: Traced) -> str:
    """Write a step's shape, and its multiplies in brackets where it takes some."""
    return format_shape(step.shape) + (f" [{step.multiplies:,}]" if step.multiplies else "")


def shape_text(values: Array, traces: Sequence[Trace]) -> str:
    """Write the shape of what is given, and its dtype where that is not the network's."""
    return format_array(values.shape, str(values.dtype), traces[0].dtype)


def numbers_text(values: Array, digits: int = DIGITS, width: int = WHOLE) -> str:
    """Write an array, of a large one its ends, in lines of at most ``width`` characters where that can be."""
    with np.printoptions(precision=digits, suppress=True, threshold=SHOWN_NUMBERS, edgeitems=2, linewidth=width):
        return np.array2string(values, formatter={"float_kind": lambda value: f"{value:.{digits}g}"})


def given(traces: Sequence[Trace]) -> dict[str, Array]:
    """Return what the runs start from, by symbol."""
    return {symbol: values for each in traces for symbol, values in each.given.items()}


def heads(traces: Sequence[Trace]) -> list[str]:
    """Return what stands above each run: the strategy, and which pass it is of several."""
    return [each.strategy + (f", pass 1 of {each.passes:,}" if each.passes > 1 else "") for each in traces]


def totals(traces: Sequence[Trace]) -> list[str]:
    """Return what stands below each run."""
    return [f"{format_count(each.multiplies)} multiplies in all" for each in traces]


def verdict(traces: Sequence[Trace]) -> str:
    """Say how far two runs agree; of one run, nothing."""
    return f"The gradients differ by {disagreement(traces):.1e} at most." if len(traces) == 2 else ""


def trace_markdown(traces: Sequence[Trace], *, digits: int = DIGITS, equations: bool = False) -> str:
    """Return one or two runs as tables in GitHub's Markdown.

    Args:
        traces: from ``trace``.
        digits: significant digits of numbers.
        equations: leave the numbers out.
    """

    def numbers(values: Array) -> str:
        return "" if equations else "<br>".join(f"`{line}`" for line in numbers_text(values, digits).splitlines())

    def cell(step: Traced | None) -> str:
        if step is None:
            return ""
        lines = [f"**{escaped(step.equation)}**", escaped(size_text(step)), numbers(step.values)]
        return "<br>".join(line for line in lines if line)

    rows = ([symbol, shape_text(values, traces), numbers(values)] for symbol, values in given(traces).items())
    names = heads(traces)
    parts = [
        f"### {escaped(traces[0].network)}, step by step",
        "\n".join(["| given | shape | |", "| --- | --- | --- |", *(_row(escaped(a), b, c) for a, b, c in rows)]),
        "\n".join(
            [
                _row("layer", "phase", *map(escaped, names)),
                _row(*["---"] * (2 + len(names))),
                *(_row(*map(escaped, _place(steps)), *map(cell, steps)) for steps in facing(traces)),
                _row("", "", *(f"**{total}**" for total in totals(traces))),
            ]
        ),
        verdict(traces),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _place(steps: Sequence[Traced | None]) -> tuple[str, str]:
    """Return the layer and phase of steps that stand side by side."""
    step = next(step for step in steps if step is not None)
    return step.layer, step.phase


def trace_html(traces: Sequence[Trace], *, digits: int = DIGITS, equations: bool = False) -> str:
    """Return one or two runs as a page that loads nothing; the arguments are those of ``trace_markdown``."""

    def numbers(values: Array) -> str:
        return "" if equations else f"<pre>{escape(numbers_text(values, digits))}</pre>"

    def cell(step: Traced | None) -> str:
        if step is None:
            return "<td></td>"
        equation, size = escape(step.equation), escape(size_text(step))
        return (
            f'<td class="step" style="border-left-color: var(--k-{described(step.phase).group})">'
            f"<code>{equation}</code> <small>{size}</small>{numbers(step.values)}</td>"
        )

    def body() -> Iterator[str]:
        for layer, group in groupby(facing(traces), key=lambda steps: _place(steps)[0]):
            for place, steps in enumerate(group):
                phase = described(_place(steps)[1])
                opens = "<tr>" if place else '<tr class="first">'
                name = "" if place else f'<b class="name">{escape(layer)}</b> '
                head = f'<th scope="row" title="{escape(phase.label)}">{name}{escape(phase.name)}</th>'
                yield f"{opens}{head}{''.join(map(cell, steps))}</tr>"

    phases = dict.fromkeys(described(step.phase) for each in traces for step in each.steps)
    values = {
        "name": escape(traces[0].network),
        "strategies": escape(" beside ".join(heads(traces))),
        "colours": style_sheet(),
        "style": part("page.css") + part("trace.css"),
        "given": "\n".join(
            f'<tr><th scope="row"><code>{escape(symbol)}</code></th><td>{shape_text(array, traces)}</td>'
            f"<td>{numbers(array)}</td></tr>"
            for symbol, array in given(traces).items()
        ),
        "both": "Steps that both take stand side by side. " if len(traces) == 2 else "",
        "heads": "".join(f'<th scope="col">{escape(head)}</th>' for head in heads(traces)),
        "steps": "\n".join(body()),
        "totals": "".join(f"<td>{escape(total)}</td>" for total in totals(traces)),
        "verdict": escape(verdict(traces)),
        "phases": "".join(f"<dt>{escape(each.name)}</dt><dd>{escape(each.label)}</dd>" for each in phases),
        "version": escape(__version__),
    }
    return filled("trace.html", values)
