"""``gradcost analyze``: one network, all strategies."""

from __future__ import annotations

from typing import Any

import click

from gradcost.cli.codes import OK, WRONG
from gradcost.cli.exports import Exports, export_options, write
from gradcost.cli.options import Size, batch_option, dtype_option, outputs_option, strategy_option, wrt_option
from gradcost.errors import BudgetError


@click.command()
@click.argument("spec", type=click.Path())
@strategy_option
@batch_option
@dtype_option
@click.option(
    "--measure/--no-measure",
    default=None,
    help="Run all that fit the budget, or none. Default: those that also finish in seconds.",
)
@click.option("--budget", type=Size(), help="Memory for a measured run, e.g. 8GiB. Default: half of what is available.")
@wrt_option
@outputs_option
@click.option("--chunk", type=int, help="Tangents per pass of the JVP strategies. Default: 1; with --outputs, all.")
@click.option(
    "--checkpoints",
    metavar="SCHEDULE",
    help="Of reverse_checkpointed: sqrt, uniform:K or binomial:C. Default: the cheapest within --budget, else sqrt.",
)
@export_options
@click.option("--explain", is_flag=True, help="Show each count's closed form, with its numbers.")
@click.option("--quiet", "-q", is_flag=True, help="Print nothing but errors; the exit code tells.")
def analyze(
    spec: str,
    strategies: tuple[str, ...],
    batch: int | None,
    dtype: str | None,
    measure: bool | None,
    budget: int | None,
    wrt: str | None,
    outputs: str | None,
    chunk: int | None,
    checkpoints: str | None,
    explain: bool,
    quiet: bool,
    **targets: Any,
) -> int:
    """Predict and measure what each strategy costs on the network in SPEC.

    \b
    gradcost analyze net.yaml
    gradcost analyze net.yaml --strategy reverse --batch 64 --json -
    gradcost analyze net.yaml --no-measure --explain
    gradcost analyze net.yaml --html report.html --along layers.hidden.units=8:512:x2

    Exit codes: 0 fine; 1 a measured figure differs from its prediction, or gradients disagree; 2 bad usage or spec; 3
    what was asked for by name would not fit the budget.
    """
    import gc

    from gradcost.cli.progress import Progress
    from gradcost.report import analyze as run
    from gradcost.spec import read_source

    gc.disable()  # a plan is many objects and no cycles, and the process ends with it: collecting only takes time
    given: dict[str, Any] = {
        "strategies": strategies or None,
        "batch": batch,
        "dtype": dtype,
        "budget": budget,
        "wrt": wrt,
        "outputs": outputs,
        "chunk": chunk,
        "checkpoints": checkpoints,
    }
    exports = Exports(**targets)
    exports.check()
    source = read_source(spec)
    with Progress(enabled=not quiet) as progress:
        report = run(source, **given, measure=measure, progress=progress.update)
        made = exports.make(source, report, given, progress.update)
    write(made)
    if not (quiet or exports.stdout_taken):
        from gradcost.cli.render import render

        render(report, explain=explain)
    for mismatch in report.mismatches:
        click.echo(f"gradcost: wrong: {mismatch}", err=True)
    if report.mismatches:
        return WRONG
    too_large = [n for n in strategies if budget is not None and report.strategies[n].predicted.peak_bytes > budget]
    if too_large:
        raise BudgetError("; ".join(f"{name} {report.strategies[name].skipped}" for name in too_large))
    return OK
