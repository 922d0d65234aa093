"""``gradcost``: the commands, and how every end becomes an exit code."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

import click

from gradcost.cli.compare import compare, diff
from gradcost.cli.crossover import crossover
from gradcost.cli.memory import fit, memory
from gradcost.cli.options import Size
from gradcost.cli.sweep import sweep
from gradcost.errors import BudgetError, GradcostError
from gradcost.version import __version__

OK, WRONG, USAGE, OVER_BUDGET, INTERRUPTED = 0, 1, 2, 3, 130


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="gradcost", message="%(prog)s %(version)s")
def commands() -> None:
    """Tell what a gradient costs: forward-accumulated da/dW against backpropagated delta.

    A YAML network spec becomes a layer graph; closed forms predict, and instrumented numpy runs measure, the tensor
    sizes, operation counts and peak memory of each strategy.
    """


@commands.command()
@click.argument("spec", type=click.Path())
@click.option("--strategy", "strategies", multiple=True, metavar="NAME", help="Compare only this one; may be repeated.")
@click.option("--batch", type=int, help="Batch size, instead of the spec's.")
@click.option("--dtype", metavar="DTYPE", help="float32 or float64, instead of the spec's.")
@click.option(
    "--measure/--no-measure",
    default=None,
    help="Run all that fit the budget, or none. Default: those that also finish in seconds.",
)
@click.option("--budget", type=Size(), help="Memory for a measured run, e.g. 8GiB. Default: half of what is available.")
@click.option("--wrt", metavar="params|inputs|NAME", help="What is differentiated by. Default: params.")
@click.option("--outputs", metavar="loss|NAME", help="What is differentiated: the loss, or a layer's whole output.")
@click.option("--chunk", type=int, help="Tangents per pass of the JVP strategies. Default: 1; with --outputs, all.")
@click.option(
    "--checkpoints",
    metavar="SCHEDULE",
    help="Of reverse_checkpointed: sqrt, uniform:K or binomial:C. Default: the cheapest within --budget, else sqrt.",
)
@click.option("--json", "json_to", metavar="FILE|-", help="Write the report as JSON; - prints it alone on stdout.")
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
    json_to: str | None,
    explain: bool,
    quiet: bool,
) -> int:
    """Predict and measure what each strategy costs on the network in SPEC.

    \b
    gradcost analyze net.yaml
    gradcost analyze net.yaml --strategy reverse --batch 64 --json -
    gradcost analyze net.yaml --no-measure --explain

    Exit codes: 0 fine; 1 a measured figure differs from its prediction, or gradients disagree; 2 bad usage or spec; 3
    what was asked for by name would not fit the budget.
    """
    import gc

    from gradcost.cli.progress import Progress
    from gradcost.report import analyze as run

    gc.disable()  # a plan is many objects and no cycles, and the process ends with it: collecting only takes time
    if json_to not in (None, "-"):
        from gradcost.cli.output import check_writable

        check_writable(json_to)
    with Progress(enabled=not quiet) as progress:
        report = run(
            spec,
            strategies=strategies or None,
            batch=batch,
            dtype=dtype,
            measure=measure,
            budget=budget,
            wrt=wrt,
            outputs=outputs,
            chunk=chunk,
            checkpoints=checkpoints,
            progress=progress.update,
        )
        text = None if json_to is None else report.to_json() + "\n"
    if json_to not in (None, "-"):
        from gradcost.cli.output import write_whole

        assert text is not None
        write_whole(json_to, text)
    if json_to == "-":
        click.echo(text, nl=False)
    elif not quiet:
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


@commands.command()
def schema() -> None:
    """Print the JSON Schema of the report."""
    import json

    from gradcost.report import REPORT_SCHEMA

    click.echo(json.dumps(REPORT_SCHEMA, indent=2))


@commands.command()
def zoo() -> None:
    """Predict every network of the zoo, beside its published figures."""
    from gradcost.cli.zoo import render_zoo

    render_zoo()


@commands.command()
@click.argument("name", required=False)
def configs(name: str | None) -> None:
    """List the example networks, or print the one called NAME."""
    from gradcost.configs import describe, names, read

    if name is not None:
        click.echo(read(name), nl=False)
        return
    for each in names():
        click.echo(f"{each:20} {describe(each)}")


for command in (compare, crossover, diff, fit, memory, sweep):
    commands.add_command(command)


def main(args: list[str] | None = None, prog_name: str = "gradcost") -> NoReturn:
    """Run the command line and leave with its exit code; no traceback for anything that a user can cause."""
    try:
        code = _run(args, prog_name)
        sys.stdout.flush()
    except BrokenPipeError:
        code = _reader_left()
    except KeyboardInterrupt:
        click.echo("gradcost: interrupted", err=True)
        code = INTERRUPTED
    sys.exit(code)


def _run(args: list[str] | None, prog_name: str) -> int:
    try:
        returned = commands.main(args, prog_name=prog_name, standalone_mode=False)
    except click.Abort:
        raise KeyboardInterrupt from None
    except click.ClickException as error:
        error.show()
        return USAGE
    except BudgetError as error:
        click.echo(f"gradcost: over budget: {error}", err=True)
        return OVER_BUDGET
    except GradcostError as error:
        click.echo(f"gradcost: error: {error}", err=True)
        return USAGE
    except MemoryError:
        click.echo("gradcost: out of memory in spite of the budget; lower --budget or the batch", err=True)
        return OVER_BUDGET
    except SystemExit:  # click's own answer to a broken pipe; no command here raises it
        return _reader_left()
    return returned if isinstance(returned, int) else OK


def _reader_left() -> int:
    """Let the interpreter flush into nothing: the reader, such as `head`, has seen enough."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return OK
