"""``gradcost memory`` and ``gradcost fit``: what training holds, and the batch that fits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from gradcost.cli.options import (
    C,
    Size,
    batch_option,
    dtype_option,
    json_option,
    options_of_strategies,
    strategy_option,
    told,
)
from gradcost.report.training import OPTIMIZERS, STORED


def _optimizer_option(default: str) -> Callable[[C], C]:
    return click.option(
        "--optimizer", default=default, show_default=True, metavar="NAME", help=f"One of {', '.join(OPTIMIZERS)}."
    )


precision_option = click.option(
    "--precision", metavar="DTYPE", help=f"Store in {' or '.join(STORED)}, with float32 master weights."
)


@click.command()
@click.argument("spec", type=click.Path())
@_optimizer_option("adam")
@precision_option
@batch_option
@strategy_option
@options_of_strategies
@json_option
def memory(
    spec: str,
    optimizer: str,
    precision: str | None,
    batch: int | None,
    strategies: tuple[str, ...],
    json: str | None,
    **given: Any,
) -> int:
    """Predict what training the network in SPEC holds: parameters, optimizer state, and all else at the peak.

    \b
    gradcost memory net.yaml --optimizer adam
    gradcost memory net.yaml --optimizer adam --precision bfloat16 --batch 64
    """
    from gradcost.cli.output import answer
    from gradcost.network import load
    from gradcost.report import Training, training_memory
    from gradcost.report.table import Column, Table
    from gradcost.units import format_bytes

    network, training = load(spec, batch=batch), Training(optimizer, precision)
    found = training_memory(network, training, strategies=strategies or None, **told(given))
    stored = training.precision or network.dtype
    title = f"{network.name}, batch {network.batch:,}: training with {training.optimizer}, stored in {stored}"
    drops = {"parameters": 3, "master": 4, "optimizer": 2, "the rest": 1, "at the peak": 0}
    columns = (Column(head, drop=drop) for head, drop in drops.items())
    table = Table((Column("strategy", right=False), *columns), title)
    for each in found:
        parts = (each.parameters, each.master, each.state, each.rest, each.total)
        table.add(each.strategy, *(format_bytes(part) if part else "-" for part in parts))
    table.notes.append("The rest: gradients, activations, Jacobians, data and workspace.")
    answer(table, found, json)
    return 0


@click.command()
@click.argument("spec", type=click.Path())
@click.option("--memory", type=Size(), required=True, help="What there is, e.g. 16GiB.")
@strategy_option
@dtype_option
@_optimizer_option("none")
@precision_option
@options_of_strategies
@json_option
def fit(
    spec: str,
    memory: int,
    strategies: tuple[str, ...],
    dtype: str | None,
    optimizer: str,
    precision: str | None,
    json: str | None,
    **given: Any,
) -> int:
    """Find the largest batch of the network in SPEC that each strategy fits into a memory.

    \b
    gradcost fit net.yaml --memory 16GiB
    gradcost fit net.yaml --memory 16GiB --optimizer adam --precision bfloat16
    """
    from gradcost.cli.output import answer
    from gradcost.grids import fit as run
    from gradcost.network import load
    from gradcost.report import Training
    from gradcost.report.table import Column, Table
    from gradcost.units import format_bytes, format_count

    network, training = load(spec, dtype=dtype), Training(optimizer, precision)
    found = run(network, memory, strategies=strategies or None, training=training, **told(given))
    title = f"{network.name}, {network.dtype}: the largest batch in {format_bytes(memory)}"
    table = Table((Column("strategy", right=False), Column("batch"), Column("peak"), Column("one more", drop=1)), title)
    for each in found:
        more = "-" if each.next_bytes is None else format_bytes(each.next_bytes)
        if each.batch:
            table.add(each.strategy, format_count(each.batch), format_bytes(each.peak_bytes), more)
        else:
            table.add(each.strategy, "none", "-", more)
    answer(table, found, json)
    return 0
