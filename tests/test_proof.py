"""Prediction and measurement agree to the last integer, and with the closed forms of docs/mathematics.md."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import gradcost
from gradcost.configs import names, read
from gradcost.execution.execute import Data, measure
from gradcost.report.check_counts import compare_figures
from gradcost.report.figures import Operations
from gradcost.schedule.predict import predict
from gradcost.spec.located import parse_yaml
from gradcost.strategies import STRATEGIES, Options
from networks import dense_chains, networks, pieces, variants


def prove(network: gradcost.Network, chunk: int = 1) -> None:
    data = Data(network)
    for name, strategy in STRATEGIES.items():
        for options in variants(name, (chunk,)):
            plan = strategy.plan(network, options)
            prediction, measurement = predict(plan), measure(plan, data)
            wrong = list(compare_figures(name, prediction, measurement))
            assert not wrong, "\n".join(map(str, wrong))
            assert measurement.counts == prediction.counts
            assert not measurement.changed_entries, f"{name}: counting changed a bit"
            assert measurement.tracemalloc_peak_bytes >= measurement.peak_bytes


@given(networks(), st.integers(1, 9), st.sampled_from((1, 3, 8, 2**15)))
def test_random_networks(spec: dict[str, Any], chunk: int, run: int) -> None:
    with pieces(run):
        prove(gradcost.load(spec), chunk)


@given(dense_chains())
def test_dense_chains_have_the_reference_macs(spec: dict[str, Any]) -> None:
    """The MACs of a dense chain n_0..n_L with batch B, as docs/mathematics.md has them."""
    report = gradcost.analyze(spec, measure=True)
    assert not [m for m in report.mismatches if m.category != "gradient"]
    B, n = spec["batch"], [spec["input"]["shape"][0], *(layer["units"] for layer in spec["layers"])]
    L, bias = len(n) - 1, int(spec["layers"][0]["bias"])
    p = {j: n[j] * n[j - 1] + bias * n[j] for j in range(1, L + 1)}
    primal = B * sum(n[i] * n[i - 1] for i in range(1, L + 1))
    macs = {name: strategy.measured.macs for name, strategy in report.strategies.items() if strategy.measured}
    assert macs["reverse"] == 3 * primal - B * n[1] * n[0]
    later = sum(B * n[i] * n[i - 1] * p[j] for j in range(1, L + 1) for i in range(j + 2, L + 1))
    last = sum(B * n[L] * p[j] for j in range(1, L)) + B * p[L]
    assert macs["forward_jacobian"] == primal + later + last
    factored = sum(B * n[i] * n[i - 1] * n[j] for j in range(1, L + 1) for i in range(j + 2, L + 1))
    contracted = sum(B * n[L] * n[j] for j in range(1, L))
    assert macs["forward_factored"] == 2 * primal + factored + contracted
    P = sum(p.values())
    assert macs["forward_jvp"] == P * primal + P * (2 * primal - B * n[1] * n[0]) + P * B * n[L]


@given(dense_chains())
def test_dense_chains_have_the_reference_products(spec: dict[str, Any]) -> None:
    """Births, first pushes and slopes of a dense chain, as docs/mathematics.md has them."""
    report = gradcost.analyze(spec, measure=False)
    B, n = spec["batch"], [spec["input"]["shape"][0], *(layer["units"] for layer in spec["layers"])]
    L, bias = len(n) - 1, int(spec["layers"][0]["bias"])
    p = [0] + [n[j] * n[j - 1] + bias * n[j] for j in range(1, L + 1)]
    rows = phases(report, "forward_jacobian")
    assert rows["dense_1", "birth"].multiplies == B * n[1] * n[0]
    for i in range(2, L + 1):
        assert rows[f"dense_{i}", "birth"].multiplies == B * n[i] * n[i - 1]  # sigma' is the birth of b
        first = B * n[i] * p[i - 1]
        later = sum(B * n[i] * n[i - 1] * p[j] for j in range(1, i - 1))
        slope = B * n[i] * min(n[i - 1], sum(p[1:i]))
        assert rows[f"dense_{i}", "push"].multiplies == first + later + slope
        assert rows[f"dense_{i}", "push"].macs == later


@given(dense_chains())
def test_dense_chains_have_the_reference_products_of_the_factored(spec: dict[str, Any]) -> None:
    """The births of forward_factored are slopes that there are already, as docs/mathematics.md has it."""
    report = gradcost.analyze(spec, measure=False)
    B, n = spec["batch"], [spec["input"]["shape"][0], *(layer["units"] for layer in spec["layers"])]
    rows = phases(report, "forward_factored")
    for i in range(1, len(n)):
        assert (f"dense_{i}", "birth") not in rows or rows[f"dense_{i}", "birth"].multiplies == 0
        if i > 1:
            later = sum(B * n[i] * n[i - 1] * n[j] for j in range(1, i - 1))
            assert rows[f"dense_{i}", "push"].multiplies == 2 * B * n[i] * n[i - 1] + later


def phases(report: gradcost.Report, strategy: str) -> dict[tuple[str, str], Operations]:
    return {(layer.name, layer.phase): layer.counts for layer in report.strategies[strategy].layers}


@pytest.mark.parametrize(
    ("name", "dtype", "batch"),
    [
        (name, dtype, batch)
        for name in names()
        for dtype, batch in product(("float32", "float64"), (1, 3))
        if not name.startswith("zoo/") and (name != "mnist_mlp" or (dtype, batch) == ("float64", 1))  # which takes long
    ],
)
def test_example_networks(name: str, dtype: str, batch: int, tmp_path: Any) -> None:
    path = tmp_path / f"{name}.yaml"
    path.write_text(read(name))
    report = gradcost.analyze(path, dtype=dtype, batch=batch)
    assert not report.mismatches
    assert report.strategies["reverse"].measured is not None


def test_figures_are_exact_integers_at_any_size() -> None:
    layers = [{"type": "dense", "units": 10**12, "activation": "relu"}] * 3
    report = gradcost.analyze({"batch": 10**12, "input": {"shape": [10**12]}, "layers": layers}, measure=False, chunk=7)
    n = 10**12
    assert report.strategies["reverse"].predicted.macs == n * (3 * 3 * n * n - n * n)
    jacobian = report.strategies["forward_jacobian"].predicted
    p = n * n + n
    assert jacobian.macs == n * (3 * n * n) + n * n * n * p + 2 * n * n * p + n * p
    assert parse_yaml(report.to_json(), "report").value["strategies"] is not None


def test_thousands_of_layers_take_steps_in_proportion() -> None:
    """Near-linear prediction: the schedule grows with the layers, not with pairs of them."""

    def steps(layers: int) -> dict[str, int]:
        block = {"repeat": layers, "layers": [{"type": "dense", "units": 3, "activation": "tanh"}]}
        network = gradcost.load({"input": {"shape": [3]}, "layers": [block], "loss": "mse"})
        plans = {name: strategy.plan(network, Options()) for name, strategy in STRATEGIES.items()}
        return {name: len(plan.segments[0].program.steps) for name, plan in plans.items()}

    few, many = steps(500), steps(5000)
    for name in STRATEGIES:
        assert many[name] < 10.1 * few[name]
