"""Kinds of option that several commands take."""

from __future__ import annotations

from typing import Any

import click

from gradcost.errors import GradcostError


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
