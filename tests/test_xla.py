"""Jacobians of MLPs against XLA's memory analysis: peaks, ranking and break-even (where JAX is installed)."""

from __future__ import annotations

import pytest

from mlps import FACTOR, ITEM, NETWORKS, columns, explained, ours, result

pytest.importorskip("jax")

from xla import theirs


def besides(widths: tuple[int, ...], batch: int, strategy: str) -> dict[str, int]:
    """Return what XLA's program holds, and ours does not: jacfwd's columns come before the samples."""
    moved = strategy == "forward_jvp" and batch > 1
    return {"the result, samples first": result(widths, batch, "inputs")} if moved else {}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("batch", [1, 8])
def test_peaks_by_inputs_and_their_ranking(name: str, batch: int) -> None:
    """Alike within 1.5, or with the one buffer that has a name."""
    widths = NETWORKS[name]
    mine, other = ours(widths, batch, "inputs"), theirs(widths, batch, "inputs")
    as_theirs = {}
    for strategy in mine:
        held = besides(widths, batch, strategy)
        names = explained(mine[strategy][1], other[strategy][1], held)
        assert names is not None, (strategy, mine, other)
        as_theirs[strategy] = mine[strategy][1] + sum(held[each] for each in names)
    for figures in ({name: each[1] for name, each in mine.items()}, as_theirs):
        ratio = figures["reverse"] / figures["forward_jvp"]
        if not 1 / FACTOR <= ratio <= FACTOR:
            assert (ratio > 1) == (other["reverse"][1] > other["forward_jvp"][1])


@pytest.mark.parametrize(("name", "batch"), [("32-8-2-8-32", 1), ("32-8-2-8-32", 8), ("64-64-64", 1)])
def test_peaks_by_parameters(name: str, batch: int) -> None:
    """XLA writes the unit tangents of all parameters out, zeros too; that is its peak, unless a batch's result is."""
    widths = NETWORKS[name]
    mine, other = ours(widths, batch, "params"), theirs(widths, batch, "params")
    assert explained(mine["reverse"][1], other["reverse"][1], {}) == ()
    tangents = ITEM * columns(widths, "params") ** 2
    assert tangents * 0.95 < other["forward_jvp"][1]
    if batch == 1:
        assert other["forward_jvp"][1] < tangents * 1.05
        assert mine["forward_jvp"][1] < other["forward_jvp"][1]
    else:
        assert explained(mine["forward_jvp"][1], other["forward_jvp"][1], {}) == ()
    for figures in (mine, other):
        assert figures["reverse"][1] < figures["forward_jvp"][1] / FACTOR


@pytest.mark.parametrize(("outputs", "batch"), [(16, 1), (64, 8)])
def test_break_even_in_memory(outputs: int, batch: int) -> None:
    """Inputs from which on jacrev takes less than jacfwd: ours and XLA's, to a step of the grid."""
    grid = [11, 16, 23, 45, 64, 90]

    def first(peaks: dict[int, dict[str, int]]) -> int:
        return next(place for place, n in enumerate(grid) if peaks[n]["reverse"] <= peaks[n]["forward_jvp"])

    found = []
    for program in (ours, theirs):
        peaks = {}
        for n in grid:
            figures = program((n, 100, outputs), batch, "inputs")
            peaks[n] = {name: int(each[1]) for name, each in figures.items()}
        found.append(first(peaks))
    assert abs(found[0] - found[1]) <= 1, [grid[place] for place in found]
