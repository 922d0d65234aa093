"""``gradcost crossover``: where the verdict flips."""

from __future__ import annotations

from typing import Any

import click

from gradcost.cli.options import (
    across_option,
    batch_option,
    budget_option,
    json_option,
    options_of_strategies,
    outputs_option,
    strategy_option,
    told,
    wrt_option,
)
from gradcost.schedule.strategy import BY, RANKS

_STATES = {
    None: "Not measured on both sides.",
    True: "Measured runs on both sides confirm it.",
    False: "Measured runs do NOT confirm it.",
}


@click.command()
@click.argument("spec", type=click.Path())
@click.option(
    "--along",
    multiple=True,
    metavar="PATH[=VALUES]",
    help="What varies; repeatable. Default: every size in the spec, each from 1 to 1024.",
)
@wrt_option
@outputs_option
@across_option
@batch_option
@strategy_option
@options_of_strategies
@click.option("--measure/--no-measure", default=True, help="Confirm each flip by runs on both sides of it.")
@budget_option
@json_option
def crossover(
    spec: str,
    along: tuple[str, ...],
    wrt: str | None,
    outputs: str | None,
    across_batch: bool | None,
    batch: int | None,
    strategies: tuple[str, ...],
    measure: bool,
    budget: int | None,
    json: str | None,
    **given: Any,
) -> int:
    """Find where the winner changes along the sizes in SPEC.

    \b
    gradcost crossover net.yaml --outputs out --along layers.out.units
    gradcost crossover net.yaml --outputs out --wrt inputs --along batch=1:64

    Exit codes: 0 fine; 1 measured runs do not confirm a flip; 2 bad usage or spec.
    """
    from gradcost.cli.output import answer
    from gradcost.cli.progress import Progress
    from gradcost.errors import UsageError
    from gradcost.grids import crossover as run
    from gradcost.grids import parse_axis, paths
    from gradcost.grids.grid import at
    from gradcost.grids.run import Settings
    from gradcost.report.figures import BY_KEY
    from gradcost.spec import read_source

    asked = told(given)
    by = asked.pop(BY.name) or RANKS[0]
    BY.check(by)
    settings = Settings(strategies or None, measure, budget, wrt, outputs, across_batch, asked)
    source: Any = read_source(spec)
    if batch is not None:
        source = at(source, {"batch": batch})
    axes = [parse_axis(text if "=" in text else f"{text}=1:1024:x2") for text in along or paths(source)]
    show = BY_KEY[by].show
    flips = []
    with Progress() as bar:
        for axis in axes:
            try:
                flips += run(source, axis, settings, by=by, progress=bar.update)
            except UsageError:
                if along:  # of the places that were not asked for, some take no other size
                    raise
    found = []
    for flip in flips:
        (low, high), (first, second), (here, there) = flip.values, flip.winners, flip.figures
        found.append(
            f"{flip.path}: up to {low:,} {first} wins ({show(here[first])} {by} there, {second} {show(here[second])}); "
            f"from {high:,} {second} does ({show(there[second])}, {first} {show(there[first])}). "
            f"{_STATES[flip.confirmed]}"
        )
    still = [axis for axis in axes if not any(flip.path == axis.path for flip in flips)]
    if still:
        names = ", ".join(f"{axis.path} from {axis.values[0]} to {axis.values[-1]}" for axis in still)
        found.append(f"No flip in {by} along {names}.")
    answer("\n".join(found), flips, json)
    return 1 if any(flip.confirmed is False for flip in flips) else 0
