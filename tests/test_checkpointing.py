"""Schedules against their definition and published counts; stages; the cheapest within a budget."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import gradcost
from gradcost.chains.checkpoints import Action, binomial, fewest_advances, square_root, uniform
from gradcost.configs import path
from gradcost.schedule.predict import predict
from gradcost.strategies import STRATEGIES, Options
from gradcost.strategies.reverse_checkpointed import split


def replay(actions: list[Action], stages: int) -> tuple[int, int]:
    """Follow a schedule as its definition has it; return the stages advanced over and the most states stored."""
    stored, left, advances, most = [0], stages, 0, 0
    for action in actions:
        while stored[-1] != action.start:  # states behind have served
            stored.pop()
        assert action.start < action.stop <= left
        if action.reverse:
            assert action.stop == left, "stages are reversed from the last to the first"
            left = action.start
        else:
            advances += action.stop - action.start
            stored.append(action.stop)
            most = max(most, len(stored) - 1)
    assert left == 0, "every stage is reversed"
    return advances, most


@cache
def optimum(stages: int, slots: int) -> int:
    """Fewest advances, by trying every split."""
    if stages == 1:
        return 0
    if slots == 1:
        return stages * (stages - 1) // 2
    return min(m + optimum(m, slots) + optimum(stages - m, slots - 1) for m in range(1, stages))


@pytest.mark.parametrize("checkpoints", range(8))
def test_binomial_is_optimal(checkpoints: int) -> None:
    for stages in range(1, 60):
        advances, most = replay(binomial(stages, checkpoints), stages)
        assert advances == fewest_advances(stages, checkpoints) == optimum(stages, checkpoints + 1)
        assert most <= checkpoints + 1, "besides the one that a stage is reversed from"


# Griewank & Walther 2000, equation 2: with s slots, beta(s, r) stages need r beta(s, r) - beta(s + 1, r - 1) advances.
@pytest.mark.parametrize(
    ("stages", "slots", "advances"),
    [(10, 3, 15), (35, 4, 84), (56, 5, 140), (100, 10, 222), (1001, 10, 3640), (10, 1, 45), (1, 1, 0)],
)
def test_binomial_needs_the_published_number_of_advances(stages: int, slots: int, advances: int) -> None:
    assert fewest_advances(stages, slots - 1) == advances
    assert replay(binomial(stages, slots - 1), stages)[0] == advances


@given(st.integers(1, 300), st.integers(1, 300))
def test_uniform_runs_every_stage_again_but_those_of_the_last_run(stages: int, every: int) -> None:
    advances, most = replay(uniform(stages, every), stages)
    last = stages - (stages - 1) // every * every
    assert (advances, most) == (stages - last, (stages - 1) // every)


@given(st.integers(1, 10_000))
def test_square_root_keeps_the_square_root(stages: int) -> None:
    actions = square_root(stages)
    longest = max(action.stop - action.start for action in actions)
    assert (longest - 1) ** 2 < stages <= longest**2
    assert replay(actions, stages)[1] <= longest


def stages_of(name: str) -> list[list[str]]:
    with path(name) as file:
        return [[node.label for node in stage] for stage in split(gradcost.load(file))]


def test_residual_blocks_are_cut_where_one_value_crosses() -> None:
    stages = stages_of("residual_mlp")
    assert len(stages) == 6
    assert {label.rpartition(".")[0] for label in stages[1]} == {"block.1"}


def test_recurrent_layers_are_cut_at_their_steps() -> None:
    layers: list[dict[str, Any]] = [{"type": "lstm", "units": 3}, {"type": "dense", "units": 2}]
    network = gradcost.load({"input": {"shape": [7, 2]}, "layers": layers, "loss": "mse"})
    assert len(split(network)) >= 7
    assert [node.index for stage in split(network) for node in stage] == list(range(1, len(network.nodes)))


def chain(depth: int, batch: int = 64) -> dict[str, Any]:
    block = {"repeat": depth, "layers": [{"type": "dense", "units": 4, "activation": "tanh"}]}
    return {"batch": batch, "input": {"shape": [4]}, "layers": [block], "loss": "mse"}


def test_recomputed_work_is_shown_apart_and_is_the_only_difference() -> None:
    report = gradcost.analyze(chain(9), strategies=["reverse", "reverse_checkpointed"], measure=True)
    reverse, checkpointed = (report.strategies[name] for name in ("reverse", "reverse_checkpointed"))
    assert reverse.measured is not None
    assert checkpointed.measured is not None
    assert checkpointed.phase("recompute").macs == 6 * 64 * 4 * 4, "three runs of three; the last is not run again"
    assert checkpointed.measured.macs - checkpointed.phase("recompute").macs == reverse.measured.macs
    assert checkpointed.measured.peak_bytes < reverse.measured.peak_bytes
    assert reverse.phase("recompute").flops == 0
    assert not report.mismatches


def test_what_the_walk_back_does_not_read_is_not_computed_again() -> None:
    """The last value of a run was the next one's checkpoint: dense layers without activation do not need it."""
    layers = [{"type": "dense", "units": 4}] * 4
    spec = {"input": {"shape": [4]}, "layers": layers, "loss": "mse"}
    report = gradcost.analyze(spec, strategies=["reverse_checkpointed"], checkpoints="uniform:2", measure=True)
    assert report.strategies["reverse_checkpointed"].phase("recompute").macs == 16


def test_memory_of_the_square_root_schedule_grows_with_the_square_root() -> None:
    def kept(depth: int) -> int:
        plan = STRATEGIES["reverse_checkpointed"].plan(gradcost.load(chain(depth, batch=4096)), Options())
        held = sum(buffer.elements for buffer in plan.segments[0].program.initial)
        return predict(plan).peak_bytes - held

    assert 1.8 < kept(400) / kept(100) < 2.1


@pytest.mark.parametrize("share", [0.95, 0.8, 0.7, 0.6])
def test_a_budget_finds_the_cheapest_schedule_that_fits(share: float) -> None:
    network = gradcost.load(chain(12))
    budget = int(predict(STRATEGIES["reverse"].plan(network, Options())).peak_bytes * share)
    found = predict(STRATEGIES["reverse_checkpointed"].plan(network, Options(budget=budget)))
    every = [f"{kind}:{size}" for kind in ("uniform", "binomial") for size in range(1, 13)] + ["binomial:0"]
    costs = [predict(STRATEGIES["reverse_checkpointed"].plan(network, Options(checkpoints=name))) for name in every]
    fitting = [cost.counts.flops for cost in costs if cost.peak_bytes <= budget]
    assert found.peak_bytes <= budget
    assert found.counts.flops == min(fitting)


def test_a_budget_that_nothing_fits_takes_the_smallest() -> None:
    report = gradcost.analyze(chain(12), strategies=["reverse_checkpointed"], budget=1, measure=False)
    smallest = report.strategies["reverse_checkpointed"].predicted.peak_bytes
    for name in ("sqrt", "uniform:1", "binomial:3", "binomial:0"):
        other = gradcost.analyze(chain(12), strategies=["reverse_checkpointed"], checkpoints=name, measure=False)
        assert smallest <= other.strategies["reverse_checkpointed"].predicted.peak_bytes


@pytest.mark.parametrize("name", ["", "sqrt:2", "uniform", "uniform:0", "binomial:x", "binomial:-1", "revolve:3"])
def test_an_unknown_schedule_is_refused(name: str) -> None:
    with pytest.raises(gradcost.UsageError, match=r"not a checkpointing schedule; write sqrt, uniform:K or binomial:C"):
        gradcost.analyze(chain(3), checkpoints=name, measure=False)


def test_a_schedule_that_would_run_for_ever_is_refused_and_not_tried() -> None:
    with pytest.raises(gradcost.UsageError, match="allow more checkpoints"):
        gradcost.analyze(chain(2000), strategies=["reverse_checkpointed"], checkpoints="binomial:0", measure=False)
    report = gradcost.analyze(chain(700), strategies=["reverse_checkpointed"], budget=2**20, measure=False)
    assert report.strategies["reverse_checkpointed"].predicted.peak_bytes > 0
