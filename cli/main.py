"""``gradcost``: the commands, and how every end becomes an exit code."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

import click

from gradcost.cli.analyze import analyze
from gradcost.cli.codes import INTERRUPTED, OK, OVER_BUDGET, USAGE
from gradcost.cli.compare import compare, diff
from gradcost.cli.crossover import crossover
from gradcost.cli.imports import import_model
from gradcost.cli.interrupts import ignore_interrupts, watch_interrupts
from gradcost.cli.memory import fit, memory
from gradcost.cli.options import complete_config, json_option
from gradcost.cli.sweep import sweep
from gradcost.cli.trace import trace
from gradcost.errors import BudgetError, GradcostError
from gradcost.version import __version__


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="gradcost", message="%(prog)s %(version)s")
def commands() -> None:
    """Tell what a gradient costs: forward-accumulated da/dW against backpropagated delta.

    A YAML network spec becomes a layer graph; closed forms predict, and instrumented numpy runs measure, the tensor
    sizes, operation counts and peak memory of each strategy.

    SPEC is everywhere a YAML file, the name of a network that comes along (see `gradcost configs`), or - for standard
    input.
    """


@commands.command()
@click.option("--spec", is_flag=True, help="That of the network spec instead, for editors.")
def schema(spec: bool) -> None:
    """Print the JSON Schema of the report.

    \b
    gradcost schema > report.schema.json
    gradcost schema --spec > spec.schema.json

    With `# yaml-language-server: $schema=spec.schema.json` in the first line of a spec, editors complete and check it.
    """
    import json

    from gradcost.layers import LAYER_TYPES, LOSSES
    from gradcost.report.schema import REPORT_SCHEMA
    from gradcost.spec.schema import spec_schema

    options = {name: kind.fields for name, kind in LAYER_TYPES.items()}
    click.echo(json.dumps(spec_schema(options, LOSSES) if spec else REPORT_SCHEMA, indent=2))


@commands.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script that completes commands, options, strategies and files in a shell.

    \b
    gradcost completion bash >> ~/.bashrc
    gradcost completion zsh >> ~/.zshrc
    gradcost completion fish > ~/.config/fish/completions/gradcost.fish
    """
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(commands, {}, "gradcost", "_GRADCOST_COMPLETE").source())


@commands.command()
@json_option
def zoo(json: str | None) -> None:
    """Predict every network of the zoo, beside its published figures.

    Parameters and MACs are those that model cards state; tests hold the specs to them.
    """
    from gradcost.cli.output import answer
    from gradcost.cli.zoo import zoo_figures, zoo_reports, zoo_table

    reports = zoo_reports()
    answer(zoo_table(reports), zoo_figures(reports), json)


@commands.command()
@click.argument("name", required=False, shell_complete=complete_config)
def configs(name: str | None) -> None:
    """List the example networks, or print the one called NAME.

    \b
    gradcost configs
    gradcost configs two_layer > net.yaml
    """
    from gradcost.configs import describe, names, read

    if name is not None:
        click.echo(read(name), nl=False)
        return
    for each in names():
        click.echo(f"{each:20} {describe(each)}")


for command in (analyze, compare, crossover, diff, fit, import_model, memory, sweep, trace):
    commands.add_command(command)


def main(args: list[str] | None = None, prog_name: str = "gradcost") -> NoReturn:
    """Run the command line and leave with its exit code; no traceback for anything that a user can cause."""
    try:
        watch_interrupts()
        code = _run(args, prog_name)
        sys.stdout.flush()
        ignore_interrupts()
    except BrokenPipeError:
        code = _reader_left()
    except KeyboardInterrupt:
        ignore_interrupts()
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
