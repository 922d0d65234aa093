"""``gradcost trace``: a run step by step, two strategies side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from gradcost.cli.options import (
    batch_option,
    complete_strategy,
    dtype_option,
    json_option,
    outputs_option,
    wrt_option,
)
from gradcost.cli.output import check_writable, write_whole
from gradcost.errors import UsageError

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from gradcost.execution.trace import Trace, Traced

HALF = 36  # characters of a line of numbers in a terminal, where two runs stand side by side


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
@click.option("--equations", is_flag=True, help="Leave the numbers out.")
@click.option("--html", metavar="FILE", help="Write it as a page.")
@click.option("--markdown", metavar="FILE|-", help="Write it for a paper or a pull request; - prints it alone.")
@json_option
def trace(
    spec: str,
    strategies: tuple[str, ...],
    seed: int,
    digits: int,
    equations: bool,
    html: str | None,
    markdown: str | None,
    json: str | None,
    **given: Any,
) -> None:
    """Run the network in SPEC step by step: equations, shapes and the real numbers.

    \b
    gradcost trace configs/two_layer.yaml
    gradcost trace net.yaml --strategy forward_factored --strategy reverse --digits 6
    gradcost trace net.yaml --equations --html trace.html

    Steps that both strategies take stand side by side; [n] is the number of multiplies.
    """
    from gradcost.execution.trace import BOTH_DIRECTIONS
    from gradcost.execution.trace import trace as run
    from gradcost.export.trace_text import trace_html, trace_markdown
    from gradcost.strategies import named

    names = [named(name) for name in strategies] or BOTH_DIRECTIONS
    if len(names) > 2 or len(set(names)) < len(names):
        raise UsageError("trace shows one strategy, or two different ones side by side")
    if markdown == json == "-":
        raise UsageError("only one of --json and --markdown can go to stdout; name a file for the other")
    targets = {"--html": html, "--markdown": markdown, "--json": json}
    for option, target in targets.items():
        if target is not None and (target != "-" or option == "--html"):
            check_writable(target, option)
    traces = run(spec, names, seed=seed, **given)
    make = {
        "--html": lambda: trace_html(traces, digits=digits, equations=equations),
        "--markdown": lambda: trace_markdown(traces, digits=digits, equations=equations),
        "--json": lambda: _json(traces, values=not equations),
    }
    for option, target in targets.items():
        if target == "-":
            click.echo(make[option](), nl=False)
        elif target is not None:
            write_whole(target, make[option](), option)
    if "-" not in targets.values():
        _print(traces, digits, equations)


def _json(traces: Sequence[Trace], *, values: bool) -> str:
    """Return ``traces``, each as ``Trace.to_dict`` has it, and by how much the gradients of two differ at most."""
    from gradcost.cli.render import render_json
    from gradcost.execution.trace import disagreement
    from gradcost.report.plain import finite

    differ = finite(disagreement(traces)) if len(traces) == 2 else None
    return render_json({"traces": [each.to_dict(values=values) for each in traces], "gradients_differ_by": differ})


def _print(traces: Sequence[Trace], digits: int, equations: bool) -> None:
    """Print what is given, the steps, and how far the gradients agree; into a file or pipe, as wide as it is."""
    from rich.text import Text

    from gradcost.cli.render import console
    from gradcost.export.trace_text import WHOLE, given, numbers_text, shape_text, verdict

    to = console()
    width = HALF if to.is_terminal else WHOLE
    to.print(Text("Given", style="bold"))
    for symbol, values in given(traces).items():
        to.print(Text(f"{symbol} =", style="bold"), shape_text(values, traces), soft_wrap=True)
        if not equations:
            to.print(numbers_text(values, digits, width), soft_wrap=True)
    to.print()
    table = _table(traces, None if equations else digits, width)
    if to.is_terminal:
        table.expand = len(traces) == 2
    else:
        to.width = to.measure(table, options=to.options.update(width=WHOLE)).maximum
    to.print(table)
    if verdict(traces):
        to.print(Text(verdict(traces), style="bold"))


def _table(traces: Sequence[Trace], digits: int | None, width: int) -> Table:
    from rich import box
    from rich.table import Table

    from gradcost.execution.trace import facing
    from gradcost.export.trace_text import heads, totals

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for head in heads(traces):
        table.add_column(head, ratio=1)
    layer = None
    for steps in facing(traces):
        here = next(step.layer for step in steps if step is not None)
        if here != layer:
            table.add_section()
        layer = here
        table.add_row(*(_cell(step, digits, width) for step in steps))
    table.add_section()
    table.add_row(*totals(traces), style="bold")
    return table


def _cell(step: Traced | None, digits: int | None, width: int) -> Text:
    from rich.text import Text

    from gradcost.export.trace_text import numbers_text, size_text

    if step is None:
        return Text()
    return Text.assemble(
        (f"{step.layer}, {step.phase}", "dim"),
        "\n",
        (step.equation, "bold"),
        (f"  {size_text(step)}", "cyan"),
        "" if digits is None else f"\n{numbers_text(step.values, digits, width)}",
    )
