"""Kinds of option that several commands take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from gradcost.errors import GradcostError
from gradcost.units import DTYPES

C = TypeVar("C", bound=Callable[..., Any])


class Size(click.ParamType[int]):
    """A memory size such as 8GiB."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read it, or say what it should be."""
        from gradcost.units import parse_bytes

        if isinstance(value, int):
            return value
        try:
            return parse_bytes(value)
        except GradcostError as error:
            self.fail(str(error), param, ctx)


def complete_strategy(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Offer the strategies, and the other names that they have."""
    from gradcost.strategies import ALIASES, STRATEGIES

    return [name for name in (*STRATEGIES, *ALIASES) if name.startswith(incomplete)]


def complete_config(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Offer the example networks."""
    from gradcost.configs import names

    return [name for name in names() if name.startswith(incomplete)]


def strategy_option(command: C) -> C:
    """Add ``--strategy`` to a command, which is given ``strategies``."""
    from gradcost.strategies import STRATEGIES

    known = (f"{s.name} ({', '.join(s.aliases)})" if s.aliases else s.name for s in STRATEGIES.values())
    return click.option(
        "--strategy",
        "strategies",
        multiple=True,
        metavar="NAME",
        shell_complete=complete_strategy,
        help=f"Only this one; may be repeated: {', '.join(known)}.",
    )(command)


def options_of_strategies(command: C) -> C:
    """Add what strategies declare that they can be told; the command is given it by the options' names."""
    from gradcost.strategies import OPTIONS

    for option in reversed(OPTIONS.values()):
        flag = f"--{option.name.replace('_', '-')}"
        command = click.option(flag, option.name, type=option.type, metavar=option.metavar, help=option.help)(command)
    return command


def told(given: dict[str, Any]) -> dict[str, Any]:
    """Take what strategies can be told out of a command's keywords."""
    from gradcost.strategies import OPTIONS

    return {name: given.pop(name) for name in OPTIONS}


def training_options(command: C) -> C:
    """Add the choices of how to train, but for those that are strategies' own options too."""
    from gradcost.spec.training import SETTINGS
    from gradcost.strategies import OPTIONS

    for name, setting in reversed(list(SETTINGS.items())):
        if name in OPTIONS:
            continue
        dashed = name.replace("_", "-")
        if setting.written is None:
            command = click.option(f"--{dashed}/--no-{dashed}", name, default=None, help=setting.about)(command)
        else:
            kind = int if setting.written == "N" else str
            command = click.option(f"--{dashed}", name, type=kind, metavar=setting.written, help=setting.about)(command)
    return command


def chosen_training(given: dict[str, Any]) -> dict[str, Any]:
    """Take the choices of how to train that are made out of a command's keywords."""
    from gradcost.spec.training import SETTINGS

    taken = {name: given.pop(name) for name in SETTINGS if name in given}
    return {name: value for name, value in taken.items() if value is not None}


memory_of_option = click.option(
    "--memory-of",
    default="numpy",
    show_default=True,
    metavar="numpy|pytorch",
    help="Whose memory: what runs here, or the same training step in eager PyTorch.",
)
batch_option = click.option("--batch", type=int, help="Batch size, instead of the spec's.")
dtype_option = click.option("--dtype", metavar="DTYPE", help=f"{', '.join(DTYPES)}, instead of the spec's.")
wrt_option = click.option("--wrt", metavar="params|inputs|NAME", help="What is differentiated by. Default: params.")
outputs_option = click.option(
    "--outputs", metavar="loss|NAME", help="What is differentiated: the loss, or a layer's whole output."
)
across_option = click.option(
    "--across-batch/--per-sample",
    "across_batch",
    default=None,
    help="One Jacobian of the whole batch, or (the default) one for each sample.",
)
json_option = click.option("--json", metavar="FILE|-", help="Write it as JSON; - prints it alone on stdout.")
budget_option = click.option(
    "--budget", type=Size(), help="Memory for a measured run, e.g. 8GiB. Default: half of what is available."
)
