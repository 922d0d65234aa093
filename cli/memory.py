"""``gradcost memory`` and ``gradcost fit``: what training holds, and the batch that fits."""

from __future__ import annotations

from typing import Any

import click

from gradcost.cli.options import (
    Size,
    batch_option,
    chosen_training,
    dtype_option,
    json_option,
    memory_of_option,
    options_of_strategies,
    strategy_option,
    told,
    training_options,
)


@click.command()
@click.argument("spec", type=click.Path())
@memory_of_option
@training_options
@batch_option
@strategy_option
@options_of_strategies
@click.option("--inference", is_flag=True, help="A forward pass alone, in PyTorch: parameters and the widest moment.")
@click.option("--cache", type=click.IntRange(0), metavar="N", help="With --inference: keys and values of N tokens too.")
@json_option
def memory(
    spec: str,
    memory_of: str,
    batch: int | None,
    strategies: tuple[str, ...],
    inference: bool,
    cache: int | None,
    json: str | None,
    **given: Any,
) -> int:
    """Predict what training the network in SPEC holds: parameters, optimizer state, and all else at the peak.

    \b
    gradcost memory net.yaml --optimizer adam
    gradcost memory net.yaml --memory-of pytorch --optimizer adam --precision autocast --batch 64
    gradcost memory net.yaml --memory-of pytorch --inference --cache 4096
    """
    from gradcost.cli.output import answer
    from gradcost.errors import UsageError
    from gradcost.memory_of.decoding import decoding_macs
    from gradcost.network import load
    from gradcost.report.table import Column, Table
    from gradcost.report.training import inference_memory, training_memory
    from gradcost.units import format_bytes, format_count

    options, choices = told(given), chosen_training(given)
    if cache is not None and not inference:
        raise UsageError("--cache is for decoding; add --inference")
    if inference and (memory_of != "pytorch" or strategies):
        raise UsageError("--inference is a forward pass in PyTorch: add --memory-of pytorch, and name no strategy")
    network = load(spec, batch=batch)
    title, notes = _title(network, memory_of, choices)
    if inference:
        found = [inference_memory(network, cache=cache or 0, **choices)]
        if cache is not None:
            macs = format_count(decoding_macs(network, cache))
            notes.append(f"One decoding step behind {cache:,} tokens: {macs} MACs.")
    else:
        found = training_memory(network, memory_of=memory_of, strategies=strategies or None, **options, **choices)
    parts = {
        Column("parameters", drop=3): [each.parameters for each in found],
        Column("master", drop=4): [each.master for each in found],
        Column("optimizer", drop=2): [each.state for each in found],
        Column("cache", drop=5): [each.cache for each in found],
        Column("the rest", drop=1): [each.rest for each in found],
        Column("at the peak"): [each.total for each in found],
    }
    parts = {column: sizes for column, sizes in parts.items() if any(sizes)}
    what = "inference" if inference else "training"
    title = f"{network.name}, batch {network.batch:,}: {what} {title}"
    table = Table((Column("strategy", right=False), *parts), title)
    for number, each in enumerate(found):
        table.add(each.strategy, *(format_bytes(sizes[number]) for sizes in parts.values()))
    table.notes.extend(["The rest: gradients, activations, Jacobians, data and workspace.", *notes])
    answer(table, found, json)
    return 0


@click.command()
@click.argument("spec", type=click.Path())
@click.option("--memory", type=Size(), required=True, help="What there is, e.g. 16GiB.")
@memory_of_option
@training_options
@strategy_option
@dtype_option
@options_of_strategies
@json_option
def fit(
    spec: str,
    memory: int,
    memory_of: str,
    strategies: tuple[str, ...],
    dtype: str | None,
    json: str | None,
    **given: Any,
) -> int:
    """Find the largest batch of the network in SPEC that each strategy fits into a memory.

    \b
    gradcost fit net.yaml --memory 16GiB
    gradcost fit net.yaml --memory 16GiB --memory-of pytorch --optimizer adam --precision autocast
    """
    from gradcost.cli.output import answer
    from gradcost.grids import fit as run
    from gradcost.grids.fit import other_choices
    from gradcost.network import load
    from gradcost.report.table import Column, Table
    from gradcost.report.training import training_of
    from gradcost.units import format_bytes, format_count

    options, choices = told(given), chosen_training(given)
    network = load(spec, dtype=dtype)
    found = run(network, memory, memory_of=memory_of, strategies=strategies or None, **options, **choices)
    how, notes = _title(network, memory_of, choices)
    title = f"{network.name}, {how}: the largest batch in {format_bytes(memory)}"
    if memory_of == "pytorch":
        training = training_of(network, choices, memory_of)
        found += other_choices(network, memory, training)
    table = Table((Column("strategy", right=False), Column("batch"), Column("peak"), Column("one more", drop=1)), title)
    for each in found:
        more = "-" if each.next_bytes is None else format_bytes(each.next_bytes)
        largest = (format_count(each.batch), format_bytes(each.peak_bytes)) if each.batch else ("none", "-")
        table.add(f"{each.strategy}, {each.change}" if each.change else each.strategy, *largest, more)
    table.notes.extend(notes)
    answer(table, found, json)
    return 0


def _title(network: Any, memory_of: str, choices: dict[str, Any]) -> tuple[str, list[str]]:
    """Return how it is trained, in a few words, and what a reader should know of where the figures come from."""
    from gradcost.report.training import said, training_of

    return said(network, training_of(network, choices, memory_of), memory_of)
