"""Kinds of option that several commands take."""

from __future__ import annotations

from typing import Any

import click

from gradcost.errors import GradcostError
from gradcost.units import ITEM_BYTES


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
    """Offer the strategies."""
    from gradcost.strategies import STRATEGIES

    return [name for name in STRATEGIES if name.startswith(incomplete)]


def complete_config(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Offer the example networks."""
    from gradcost.configs import names

    return [name for name in names() if name.startswith(incomplete)]


strategy_option = click.option(
    "--strategy",
    "strategies",
    multiple=True,
    metavar="NAME",
    shell_complete=complete_strategy,
    help="Only this one; may be repeated.",
)
batch_option = click.option("--batch", type=int, help="Batch size, instead of the spec's.")
dtype_option = click.option("--dtype", metavar="DTYPE", help=f"{' or '.join(ITEM_BYTES)}, instead of the spec's.")
wrt_option = click.option("--wrt", metavar="params|inputs|NAME", help="What is differentiated by. Default: params.")
outputs_option = click.option(
    "--outputs", metavar="loss|NAME", help="What is differentiated: the loss, or a layer's whole output."
)
