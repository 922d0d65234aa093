"""``gradcost memory`` and ``gradcost fit``: what training holds, and the batch that fits."""

from __future__ import annotations

import click

from gradcost.cli.options import Size, batch_option, dtype_option, strategy_option


@click.command()
@click.argument("spec", type=click.Path())
@click.option("--optimizer", default="adam", show_default=True, metavar="NAME", help="none, sgd, momentum or adam.")
@click.option("--precision", metavar="DTYPE", help="Store in float16 or bfloat16, with float32 master weights.")
@batch_option
@strategy_option
def memory(spec: str, optimizer: str, precision: str | None, batch: int | None, strategies: tuple[str, ...]) -> int:
    """Predict what training the network in SPEC holds: parameters, optimizer state, and all else at the peak.

    \b
    gradcost memory net.yaml --optimizer adam
    gradcost memory net.yaml --optimizer adam --precision bfloat16 --batch 64
    """
    from gradcost.cli.grid_output import render_memory
    from gradcost.network import load
    from gradcost.report import Training, training_memory

    network, training = load(spec, batch=batch), Training(optimizer, precision)
    render_memory(network, training, training_memory(network, training, strategies=strategies or None))
    return 0


@click.command()
@click.argument("spec", type=click.Path())
@click.option("--memory", type=Size(), required=True, help="What there is, e.g. 16GiB.")
@strategy_option
@dtype_option
@click.option("--optimizer", default="none", metavar="NAME", help="none, sgd, momentum or adam.")
@click.option("--precision", metavar="DTYPE", help="Store in float16 or bfloat16, with float32 master weights.")
@click.option("--chunk", type=int, default=1, show_default=True, help="Tangents per pass of the JVP strategies.")
@click.option(
    "--checkpoints",
    metavar="SCHEDULE",
    help="Of reverse_checkpointed: sqrt, uniform:K or binomial:C. Default: whichever fits.",
)
def fit(
    spec: str,
    memory: int,
    strategies: tuple[str, ...],
    dtype: str | None,
    optimizer: str,
    precision: str | None,
    chunk: int,
    checkpoints: str | None,
) -> int:
    """Find the largest batch of the network in SPEC that each strategy fits into a memory.

    \b
    gradcost fit net.yaml --memory 16GiB
    gradcost fit net.yaml --memory 16GiB --optimizer adam --precision bfloat16
    """
    from gradcost.cli.grid_output import render_fits
    from gradcost.grids import fit as run
    from gradcost.network import load
    from gradcost.report import Training

    network, training = load(spec, dtype=dtype), Training(optimizer, precision)
    names = strategies or None
    found = run(network, memory, strategies=names, chunk=chunk, checkpoints=checkpoints, training=training)
    render_fits(network, memory, found)
    return 0
