"""``gradcost analyze``: one network, all strategies."""

from __future__ import annotations

from typing import Any

import click

from gradcost.cli.codes import OK, WRONG
from gradcost.cli.exports import Exports, export_options, write
from gradcost.cli.options import (
    across_option,
    batch_option,
    budget_option,
    dtype_option,
    memory_of_option,
    options_of_strategies,
    outputs_option,
    strategy_option,
    training_options,
    wrt_option,
)
from gradcost.errors import BudgetError, UsageError


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
@budget_option
@wrt_option
@outputs_option
@across_option
@options_of_strategies
@memory_of_option
@training_options
@export_options
@click.option("--layers", is_flag=True, help="Show every layer.")
@click.option("--tensors", is_flag=True, help="Show the arrays that each strategy makes.")
@click.option("--explain", is_flag=True, help="Show each count's closed form, with its numbers.")
@click.option("--quiet", "-q", is_flag=True, help="Print nothing but errors; the exit code tells.")
def analyze(
    spec: str,
    strategies: tuple[str, ...],
    measure: bool | None,
    budget: int | None,
    layers: bool,
    tensors: bool,
    explain: bool,
    quiet: bool,
    **given: Any,
) -> int:
    """Predict and measure what each strategy costs on the network in SPEC.

    SPEC is a YAML file, the name of a network that comes along (see `gradcost configs`), or - for standard input.

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
    from gradcost.report import study
    from gradcost.spec import read_source
    from gradcost.strategies import named
    from gradcost.units import format_bytes

    gc.disable()  # a plan is many objects and no cycles, and the process ends with it: collecting only takes time
    exports = Exports.of(given)
    exports.check()
    if given["memory_of"] != "numpy" and (tensors or exports.html or exports.svg or exports.png):
        raise UsageError("pictures and --tensors show numpy's arrays; leave them or --memory-of out")
    given |= {"strategies": strategies or None, "budget": budget}
    source = read_source(spec)
    with Progress(enabled=not quiet) as progress:
        analysis = study(source, **given, measure=measure, progress=progress.update)
        made = exports.make(source, analysis, given, progress.update)
    write(made)
    report = analysis.report
    if not (quiet or exports.stdout_taken):
        from gradcost.cli.render import render

        render(analysis, layers=layers, tensors=tensors, explain=explain)
    for warning in report.warnings:
        click.echo(f"gradcost: warning: {warning}", err=True)
    for mismatch in report.mismatches:
        click.echo(f"gradcost: wrong: {mismatch}", err=True)
    if report.mismatches:
        return WRONG
    names = dict.fromkeys(map(named, strategies))
    if budget is None:
        return OK
    too_large = [name for name in names if report.strategies[name].predicted.peak_bytes > budget]
    if too_large:
        needs = {name: format_bytes(report.strategies[name].predicted.peak_bytes) for name in too_large}
        raise BudgetError(
            "; ".join(f"{name} needs {size}, over {format_bytes(budget)}" for name, size in needs.items())
        )
    return OK
