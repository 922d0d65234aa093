"""``gradcost trace``: a run step by step, two strategies side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

import click

from gradcost.cli.options import batch_option, complete_strategy, dtype_option, outputs_option, wrt_option
from gradcost.errors import UsageError

if TYPE_CHECKING:
    from rich.text import Text

    from gradcost.execution.trace import Trace, Traced
    from gradcost.numerics import Array

SHOWN_NUMBERS = 24  # of a larger array, its ends
Pair = tuple["Traced | None", "Traced | None"]


@click.command()
@click.argument("spec", type=click.Path())
@click.option(
    "--strategy",
    "strategies",
    multiple=True,
    metavar="NAME",
    shell_complete=complete_strategy,
    help="One, or two to stand side by side. Default: forward_jacobian and reverse.",
)
@batch_option
@dtype_option
@wrt_option
@outputs_option
@click.option("--seed", type=int, default=0, show_default=True, help="Of the random parameters and data.")
@click.option("--digits", type=click.IntRange(1, 17), default=4, show_default=True, help="Significant digits.")
def trace(
    spec: str,
    strategies: tuple[str, ...],
    batch: int | None,
    dtype: str | None,
    wrt: str | None,
    outputs: str | None,
    seed: int,
    digits: int,
) -> None:
    """Run the network in SPEC step by step: equations, shapes and the real numbers.

    \b
    gradcost trace configs/two_layer.yaml
    gradcost trace net.yaml --strategy forward_factored --strategy reverse --digits 6
    gradcost trace net.yaml --strategy forward_jvp

    Steps that both strategies take stand side by side; [n] is the number of multiplies.
    """
    from rich.console import Console
    from rich.text import Text

    from gradcost.execution.trace import BOTH_DIRECTIONS, disagreement
    from gradcost.execution.trace import trace as run

    names = strategies or BOTH_DIRECTIONS
    if len(names) > 2 or len(set(names)) < len(names):
        raise UsageError("trace shows one strategy, or two different ones side by side")
    traces = run(spec, names, batch=batch, dtype=dtype, wrt=wrt, outputs=outputs, seed=seed)
    console = Console(highlight=False, markup=False)
    console.print(Text("Given", style="bold"))
    for symbol, values in _given(traces).items():
        console.print(Text(f"{symbol} =", style="bold"), _shape(values.shape), soft_wrap=True)
        console.print(_numbers(values, digits), soft_wrap=True)
    console.print()
    console.print(_table(traces, digits))
    if len(traces) == 2:
        console.print(Text(f"The gradients differ by {disagreement(traces):.1e} at most.", style="bold"))


def _given(traces: Sequence[Trace]) -> dict[str, Array]:
    return {symbol: values for each in traces for symbol, values in each.given.items()}


def _table(traces: Sequence[Trace], digits: int) -> object:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, expand=len(traces) == 2, show_lines=False)
    for each in traces:
        again = f", pass 1 of {each.passes:,}" if each.passes > 1 else ""
        table.add_column(f"{each.strategy}{again}", ratio=1, footer="")
    layer = None
    for pair in _aligned(traces):
        here = next(step.layer for step in pair if step is not None)
        if here != layer:
            table.add_section()
        layer = here
        table.add_row(*(_cell(step, digits) for step in pair[: len(traces)]))
    table.add_section()
    table.add_row(*(f"{each.multiplies:,} multiplies in all" for each in traces), style="bold")
    return table


def _aligned(traces: Sequence[Trace]) -> Iterator[Pair]:
    """Yield steps side by side: those that both take together, the others beside an empty cell."""
    left, right = traces[0].steps, traces[1].steps if len(traces) == 2 else ()
    ours, theirs = ([(step.phase, step.equation) for step in steps] for steps in (left, right))
    for tag, a, b, c, d in SequenceMatcher(a=ours, b=theirs, autojunk=False).get_opcodes():
        if tag == "equal":
            yield from zip(left[a:b], right[c:d], strict=True)
        else:
            yield from ((step, None) for step in left[a:b])
            yield from ((None, step) for step in right[c:d])


def _cell(step: Traced | None, digits: int) -> Text:
    from rich.text import Text

    if step is None:
        return Text()
    count = f" [{step.multiplies:,}]" if step.multiplies else ""
    return Text.assemble(
        (f"{step.layer}, {step.phase}", "dim"),
        "\n",
        (step.equation, "bold"),
        (f"  {_shape(step.shape)}{count}\n", "cyan"),
        _numbers(step.values, digits),
    )


def _shape(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))


def _numbers(values: Array, digits: int) -> str:
    """Write an array, of a large one its ends."""
    from gradcost.numerics import np

    with np.printoptions(precision=digits, suppress=True, threshold=SHOWN_NUMBERS, edgeitems=2, linewidth=36):
        return np.array2string(values, formatter={"float_kind": lambda value: f"{value:.{digits}g}"})
