"""The forward gradient: unbiased, and as far off as its variance says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradcost
from gradcost.execution.execute import Data, run_plain
from gradcost.execution.variance import measured_variance
from gradcost.strategies import STRATEGIES, Options

SPEC: dict[str, Any] = {
    "batch": 3,
    "input": {"shape": [4]},
    "layers": [{"type": "dense", "units": 3, "activation": "tanh"}, {"type": "dense", "units": 2}],
    "loss": "mse",
}


@pytest.mark.parametrize("tangents", [1, 4])
def test_mean_and_variance_of_many_runs(tangents: int) -> None:
    """The mean tends to the gradient, the mean squared error to (P + 1)/k of its square; seeded, so no run differs."""
    network = gradcost.load(SPEC)
    data = Data(network)
    exact = run_plain(STRATEGIES["reverse"].plan(network, Options()), data)
    plan = STRATEGIES["forward_gradient"].plan(network, Options(chunk=tangents))
    truth = np.concatenate([values.ravel() for values in exact.values()])
    runs = []
    for data.round in range(3000):
        found = run_plain(plan, data)
        runs.append(np.concatenate([found[key].ravel() for key in exact]))
    size = float(truth @ truth)
    expected = (truth.size + 1) / tangents
    errors = np.square(np.array(runs) - truth).sum(axis=1) / size
    assert errors.mean() == pytest.approx(expected, rel=0.1)
    off = np.mean(runs, axis=0) - truth
    assert float(off @ off) / size < 3 * expected / len(runs)


def test_report_states_the_variance_beside_a_measured_one() -> None:
    report = gradcost.analyze(SPEC, chunk=2, measure=True)
    assert not report.mismatches
    estimate = report.strategies["forward_gradient"]
    assert not estimate.exact
    assert estimate.measured is not None
    assert estimate.note.startswith("unbiased; its variance is 24 / 2 times |dL/dW|^2; ")
    assert report.comparison.recommended != "forward_gradient", "an estimate is no winner"


def test_runs_draw_different_directions_and_the_same_run_the_same() -> None:
    network = gradcost.load(SPEC)
    data = Data(network)
    plan = STRATEGIES["forward_gradient"].plan(network, Options())
    first, again = run_plain(plan, data), run_plain(plan, data)
    data.round = 1
    other = run_plain(plan, data)
    for key in first:
        np.testing.assert_array_equal(first[key], again[key])
        assert not np.array_equal(first[key], other[key])


def test_a_wrong_estimate_is_seen() -> None:
    network = gradcost.load(SPEC)
    data = Data(network)
    exact = run_plain(STRATEGIES["reverse"].plan(network, Options()), data)
    plan = STRATEGIES["forward_gradient"].plan(network, Options())
    found = measured_variance(plan, data, exact)
    assert found is not None
    assert found[1] >= 20
    assert measured_variance(plan, data, {key: 0 * values for key, values in exact.items()}) is None
