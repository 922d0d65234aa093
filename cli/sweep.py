"""``gradcost sweep``: many networks from one spec."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from gradcost.cli.options import (
    across_option,
    budget_option,
    chosen_training,
    memory_of_option,
    options_of_strategies,
    outputs_option,
    strategy_option,
    told,
    training_options,
    wrt_option,
)
from gradcost.errors import UsageError

if TYPE_CHECKING:
    from concurrent.futures import Executor

SMALL = 256  # predictions that are made sooner than a process pool starts


@click.command()
@click.argument("spec", type=click.Path())
@click.option("--set", "given", multiple=True, required=True, metavar="PATH=VALUES", help="What varies; repeatable.")
@strategy_option
@click.option("--measure", is_flag=True, help="Run, too, what fits the budget and finishes in seconds.")
@budget_option
@options_of_strategies
@memory_of_option
@training_options
@wrt_option
@outputs_option
@across_option
@click.option("--jsonl", "jsonl", metavar="FILE", help="Write each row as it is done, one JSON object a line.")
@click.option("--resume", is_flag=True, help="Keep the rows that are in the --jsonl file, and add those missing.")
@click.option("--csv", "csv_to", metavar="FILE", help="Write a line for each row and strategy.")
@click.option("--jobs", type=click.IntRange(min=1), help="Processes. Default: one for each core; to measure, one.")
@click.option("--scheduler", metavar="ADDRESS", help="Work on a Dask cluster instead (extra `dask`).")
@click.option("--quiet", "-q", is_flag=True, help="Print nothing but errors.")
def sweep(
    spec: str,
    given: tuple[str, ...],
    strategies: tuple[str, ...],
    measure: bool,
    budget: int | None,
    wrt: str | None,
    outputs: str | None,
    across_batch: bool | None,
    memory_of: str,
    jsonl: str | None,
    resume: bool,
    csv_to: str | None,
    jobs: int | None,
    scheduler: str | None,
    quiet: bool,
    **options: Any,
) -> int:
    """Analyse a grid: every combination of the values that are set in SPEC.

    \b
    gradcost sweep net.yaml --set layers.hidden.units=16,64,256 --set batch=1:128:x2
    gradcost sweep net.yaml --set vars.steps=8:256:x2 --strategy reverse --strategy forward_jacobian
    gradcost sweep net.yaml --set batch=1:64 --jsonl rows.jsonl --resume

    PATH names a place in the spec: keys, layers by name or position, sizes by position. VALUES are 16,64,256, or
    1:9:2 (every second), or 1:128:x2 (doubling). Ctrl-C keeps the rows that are done.

    Exit codes: 0 fine; 1 a row has an error; 2 bad usage or spec.
    """
    from gradcost.cli.grid_output import RowFile, check_output, render_rows, write_csv
    from gradcost.cli.progress import Progress
    from gradcost.grids import parse_axis
    from gradcost.grids.grid import size
    from gradcost.grids.run import Settings, fingerprint, read_tree
    from gradcost.grids.run import sweep as run

    axes = [parse_axis(text) for text in given]
    if len({axis.path for axis in axes}) < len(axes):
        raise UsageError("--set names a place twice; give all its values at once")
    if resume and jsonl is None:
        raise UsageError("--resume needs the --jsonl file that it is to go on with")
    more = {**told(options), **chosen_training(options), "memory_of": memory_of}
    settings = Settings(strategies or None, measure, budget, wrt, outputs, across_batch, more)
    tree = read_tree(spec)
    check_output(csv_to, "--csv")
    total = size(axes)
    if jobs is None:
        jobs = 1 if measure or total < SMALL else os.cpu_count() or 1
    with RowFile(jsonl, fingerprint(tree, settings), axes, resume=resume) as rows, Progress(enabled=not quiet) as bar:
        try:
            with _executor(jobs, scheduler) as executor:
                for row in run(tree, axes, settings, executor=executor, skip=rows.done):
                    rows.add(row)
                    bar.update("sweeping", len(rows.done), total)
        finally:
            if csv_to is not None:
                write_csv(csv_to, axes, rows.sorted())
    if not quiet:
        render_rows(tree, axes, rows.sorted(), settings)
    wrong = [row for row in rows.sorted() if row.error is not None]
    for row in wrong[:10]:
        place = ", ".join(f"{path}={value}" for path, value in row.set.items())
        click.echo(f"gradcost: {place}: {row.error}", err=True)
    if len(wrong) > 10:
        click.echo(f"gradcost: and {len(wrong) - 10:,} rows more with errors", err=True)
    return 1 if wrong else 0


@contextmanager
def _executor(jobs: int, scheduler: str | None) -> Iterator[Executor | None]:
    """Give a Dask cluster's executor, a pool of processes, or None for this process alone."""
    if scheduler is not None:
        with _dask(scheduler) as executor:
            yield executor
    elif jobs == 1:
        yield None
    else:
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor

        pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), _ignore_interrupts)
        try:
            yield pool
        except BaseException:
            for process in multiprocessing.active_children():
                process.terminate()
            raise
        finally:
            pool.shutdown(cancel_futures=True)


def _ignore_interrupts() -> None:
    """Leave Ctrl-C to the process that hands out the work."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def _dask(address: str) -> Iterator[Executor]:
    try:
        from distributed import Client
    except ImportError:
        raise UsageError("--scheduler needs the extra `dask`: pip install 'gradcost[dask]'") from None
    try:
        client: Any = Client(address, timeout=10)  # type: ignore[no-untyped-call, unused-ignore]
    except (OSError, TimeoutError, ValueError) as error:
        raise UsageError(f"--scheduler {address!r} cannot be reached: {error}") from None
    with client:
        yield client.get_executor()
