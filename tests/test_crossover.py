"""Crossovers: from few evaluations the same flips as from all, how few those are, and what is said on the way."""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest

import gradcost
from gradcost.grids import Axis, Settings, crossover
from gradcost.grids.grid import at
from gradcost.grids.polynomial import CHECKS, DEGREE, POINTS, through
from gradcost.grids.winners import Winners, least
from gradcost.report.figures import RANKING

VALUES = tuple(range(1, 41))
SEEDS = range(1, 17)


def network(seed: int) -> tuple[dict[str, Any], Axis, dict[str, Any]]:
    """Return a random small network, a size of it, and what is asked: a loss, or a Jacobian by inputs or parameters."""
    of = random.Random(seed)
    act = of.choice(["tanh", "relu", "sigmoid"])
    steps = of.random() < 0.3
    body: list[dict[str, Any]] = [
        {"name": "a", "type": "dense", "units": of.randint(1, 9), "activation": act},
        {"name": "b", "repeat": of.randint(1, 3), "layers": [{"type": "dense", "units": "=w", "activation": act}]},
        {"name": "out", "type": "dense", "units": of.randint(1, 9)},
    ]
    if steps:
        body[0] = {"name": "a", "type": of.choice(["rnn", "lstm"]), "units": of.randint(1, 4)}
    spec = {
        "batch": of.randint(1, 5),
        "vars": {"w": of.randint(1, 9)},
        "input": {"shape": [of.randint(2, 5), of.randint(1, 5)] if steps else [of.randint(1, 12)]},
        "layers": body,
    }
    path = of.choice(["batch", "vars.w", "input.shape.1", "layers.a.units", "layers.b.repeat", "layers.out.units"])
    asked = of.choice([{}, {"outputs": "out"}, {"outputs": "out", "wrt": "inputs"}])
    return spec, Axis(path, VALUES), asked


def flips_of_all(spec: dict[str, Any], axis: Axis, asked: dict[str, Any], by: str) -> list[tuple[Any, Any]]:
    """Return the flips between values that are all evaluated, by the report of each."""
    first = gradcost.analyze(at(spec, {axis.path: axis.values[0]}), measure=False, **asked)
    names = [name for name, s in first.strategies.items() if s.exact and name != "optimal"]
    winners = []
    for value in axis.values:
        report = gradcost.analyze(at(spec, {axis.path: value}), measure=False, strategies=names, **asked)
        winners.append((value, least({name: report.strategies[name].predicted[by] for name in names})))
    return [((low, high), (one, other)) for (low, one), (high, other) in pairwise(winners) if one != other]


@pytest.mark.parametrize("seed", SEEDS)
def test_few_evaluations_find_the_flips_that_all_show(seed: int) -> None:
    spec, axis, asked = network(seed)
    for by in (figure.key for figure in RANKING):
        found = crossover(spec, axis, Settings(**asked), by=by)
        assert [(flip.values, flip.winners) for flip in found] == flips_of_all(spec, axis, asked, by)


def test_the_random_networks_have_flips() -> None:
    cases = [network(seed) for seed in SEEDS]
    found = [
        len(crossover(spec, axis, Settings(**asked), by=figure.key))
        for spec, axis, asked in cases
        for figure in RANKING
    ]
    assert sum(map(bool, found)) >= 6
    assert max(found) >= 2


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (lambda v: (v - 700) * (v - 705), lambda v: 0),  # there and back between two samples
        (lambda v: v * v, lambda v: 90 * v + 7),
        (lambda v: min(v * v, 50 * v), lambda v: 40 * v + 30),
        (lambda v: min(v**3, 2000 * v), lambda v: max(500 * v, v * v)),
        (lambda v: v + v % 7, lambda v: v + 3),  # flips again and again
        (lambda v: 100 * v + v % 7, lambda v: 90 * v),
        (lambda v: 40 * int(v**0.5), lambda v: v),
        (lambda v: 3 * (v * 13 // 10) + 3 * (v % 5), lambda v: 3 * v + 50),  # teeth, beside a flip
    ],
)
def test_winners_are_those_of_every_value(one: Any, other: Any) -> None:
    values = range(1, 2001)

    def evaluate(value: int) -> dict[str, int]:
        return {"one": one(value), "other": other(value)}

    assert Winners(evaluate, values).along() == {value: least(evaluate(value)) for value in values}


def test_values_that_make_no_network_are_passed_over() -> None:
    def evaluate(value: int) -> dict[str, int] | None:
        return None if value % 4 else {"one": value, "other": 1000}

    found = Winners(evaluate, range(1, 2001)).along()
    flips = [(low, high) for (low, one), (high, other) in pairwise(found.items()) if one != other]
    assert flips == [(1000, 1004)]


@pytest.mark.parametrize("path", ["batch", "vars.w", "layers.out.units"])
def test_thousands_of_values_take_few_evaluations_and_progress_counts_them(path: str) -> None:
    spec, *_ = network(1)
    told: list[tuple[str, int, int]] = []
    crossover(spec, Axis(path, tuple(range(1, 4097))), by="peak_bytes", progress=lambda *state: told.append(state))
    assert len(told) < 400
    assert {(stage, total) for stage, _, total in told} == {(f"along {path}", 4096)}
    done = [each for _, each, _ in told]
    assert done == sorted(done)
    assert done[-1] == 4096


def test_a_flip_that_is_not_seen_where_it_was_computed_is_looked_for() -> None:
    """A curve that is right at all of its points, and wrong where it crosses."""
    sampled: set[int] = set()

    def evaluate(value: int) -> dict[str, int]:
        if len(sampled) < POINTS:
            sampled.add(value)
            return {"one": value, "other": 1000}
        return {"one": value, "other": 1500 if 900 < value < 1501 else 1000}

    found = Winners(evaluate, range(1, 2001)).along()
    flips = [low for (low, one), (_, other) in pairwise(found.items()) if one != other]
    assert flips == [1500]


def test_a_polynomial_is_found_and_what_is_none_is_not() -> None:
    places = [1, 2, 4, 9, 11, 17, 30, 31, 40]
    for degree in range(DEGREE + 1):
        found = through({x: 3 * x**degree - x + 5 for x in places})
        assert found is not None
        assert found.degree == (degree if degree != 0 else 1)
        assert found(1000) == 3 * 1000**degree - 1000 + 5
    binomial = through({x: x * (x - 1) // 2 for x in places})
    assert binomial is not None
    assert binomial(7) == Fraction(21)
    assert through(dict.fromkeys(places, 0)) == through(dict.fromkeys(places[:4], 0))
    assert through({x: x ** (DEGREE + 1) for x in places}) is None
    assert through({x: x ** (DEGREE + 1) for x in range(20)}) is None
    assert through({x: max(x, 30) for x in places}) is None
    assert through({x: x for x in places[: 1 + CHECKS]}) is None


def test_a_network_with_nothing_to_compare_is_said_so() -> None:
    frozen = {"input": {"shape": [3]}, "layers": [{"type": "dense", "units": 2, "trainable": False}], "loss": "mse"}
    with pytest.raises(gradcost.UsageError, match="nothing is trainable"):
        crossover(frozen, Axis("batch", (1, 2)))


def test_where_no_gradient_takes_a_multiply_nothing_flips() -> None:
    spec = {"input": {"shape": [3]}, "layers": [{"type": "positional"}], "loss": "none"}
    assert crossover(spec, Axis("batch", VALUES)) == []
