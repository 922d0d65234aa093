"""The report: its schema, its tensors and closed forms, and what it says of a figure that is wrong."""

from __future__ import annotations

import json
import re
from math import prod
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings

import gradcost
from gradcost.configs import describe, names, read
from gradcost.configs import path as config_path
from gradcost.errors import BudgetError, UsageError
from gradcost.formula import Cost
from gradcost.graph.rule import Rule
from gradcost.layers.dense import Dense
from gradcost.report.details import largest
from gradcost.report.schema import REPORT_SCHEMA
from networks import networks


@pytest.fixture
def two_layer(tmp_path: Path) -> Path:
    path = tmp_path / "two_layer.yaml"
    path.write_text(read("two_layer"))
    return path


@settings(max_examples=30)
@given(networks())
def test_json_follows_its_schema_and_adds_up(spec: dict[str, Any]) -> None:
    report = gradcost.analyze(spec, chunk=5)
    data = json.loads(report.to_json())
    jsonschema.validate(data, REPORT_SCHEMA)
    for strategy in data["strategies"].values():
        for category, total in strategy["predicted"].items():
            if category != "peak_bytes":
                assert sum(row["counts"][category] for row in strategy["layers"]) == total
        for row in strategy["layers"]:
            for category in ("multiplies", "macs", "additions", "divisions", "special", "comparisons"):
                text = row["formula"].get(category)
                assert (int(text.rpartition("= ")[2]) if text else 0) == row["counts"][category]
                if text and text.count(" = ") == 2:
                    numbers = text.split(" = ")[1]
                    assert re.fullmatch(r"[\d+*()\- /,a-z]+", numbers)
                    assert eval(numbers, {"min": min, "max": max}) == row["counts"][category]
            for tensor in row["tensors"]:
                assert tensor["elements"] == prod(tensor["shape"])
                assert tensor["bytes"] in (0, tensor["elements"] * np.dtype(tensor["dtype"]).itemsize)


def test_schema_is_itself_valid() -> None:
    jsonschema.Draft202012Validator.check_schema(REPORT_SCHEMA)


def test_carried_tensors_of_the_seed_network(two_layer: Path) -> None:
    report = gradcost.analyze(two_layer)
    tensors = {t.name: t for row in report.strategies["forward_jacobian"].layers for t in row.tensors}
    assert tensors["da[1]/dW[1]"].shape == (1, 4, 3), "compact at birth"
    assert tensors["da[2]/dW[1]"].shape == (1, 1, 4, 3), "dense after"
    assert tensors["da[2]/dW[1]"].bytes == 96
    delta = {t.name: t.shape for row in report.strategies["reverse"].layers for t in row.tensors}
    assert delta["delta[1]"] == (1, 4)
    factored = {t.name: t.shape for row in report.strategies["forward_factored"].layers for t in row.tensors}
    assert factored["da[2]/dz[1]"] == (1, 1, 4)
    push = next(r for r in report.strategies["forward_jacobian"].layers if (r.name, r.phase) == ("out", "push"))
    assert "B*n2*n1*n0" in push.formula["multiplies"]
    assert "1*1*4*3" in push.formula["multiplies"]


def test_two_layer_nearly_ties_and_deep_mlp_explodes(tmp_path: Path) -> None:
    reports = {}
    for name in ("two_layer", "deep_mlp"):
        path = tmp_path / f"{name}.yaml"
        path.write_text(read(name))
        reports[name] = gradcost.analyze(path, measure=False)
    tie, explosion = ({n: s.predicted for n, s in r.strategies.items()} for r in reports.values())
    assert tie["forward_jacobian"].macs == tie["reverse"].macs + 1
    assert tie["forward_jacobian"].peak_bytes < 1.5 * tie["reverse"].peak_bytes
    assert explosion["forward_jacobian"].macs > 100 * explosion["reverse"].macs
    assert explosion["forward_jacobian"].peak_bytes > 20 * explosion["reverse"].peak_bytes
    assert "a tie in MACs" in reports["two_layer"].verdict
    assert "a tie" not in reports["deep_mlp"].verdict


def test_a_wrong_closed_form_is_named(two_layer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = Rule(("x", "W", "b"), Cost(macs="B*S*n*m + 1", additions="B*S*n*(m-1) + h*B*S*n", workspace="1"))
    monkeypatch.setitem(Dense.primal.__dict__, "rule", wrong)
    report = gradcost.analyze(two_layer, strategies=["reverse"])
    said = [str(mismatch) for mismatch in report.mismatches]
    assert "reverse: hidden, primal: macs predicted 13, measured 12" in said
    assert any("out, primal: multiplies" in text for text in said)


def test_a_wrong_peak_is_named(two_layer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = Rule(("x",), Cost(macs="B*S*n*m", additions="n*m*(B*S-1)", workspace="1000"))
    monkeypatch.setitem(Dense.vjp_W.__dict__, "rule", wrong)
    report = gradcost.analyze(two_layer, strategies=["reverse"])
    (mismatch,) = report.mismatches
    assert (mismatch.layer, mismatch.phase, mismatch.category) == ("hidden", "gradient", "peak_bytes")


def test_a_wrong_gradient_is_named(two_layer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = Dense.vjp_b

    def wrong(self: Dense, at: Any, g: Any, out: Any) -> None:
        right(self, at, g, out=out)
        out[...] = 0.0

    wrong.__dict__.update(right.__dict__)
    monkeypatch.setattr(Dense, "vjp_b", wrong)
    report = gradcost.analyze(two_layer, strategies=["reverse", "forward_jacobian"])
    assert any(m.category == "gradient" and m.layer.endswith(".b") for m in report.mismatches)


def test_what_is_not_measured_says_why(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(read("mnist_mlp"))
    report = gradcost.analyze(path, budget=20 * 2**20)
    skipped = {name: strategy.skipped for name, strategy in report.strategies.items()}
    assert skipped["reverse"] is None
    assert "over the budget of 20 MiB" in (skipped["forward_jacobian"] or "")
    assert "--measure runs them" in (skipped["forward_jvp"] or "")
    none = gradcost.analyze(path, measure=False)
    assert all(s.measured is None and s.skipped for s in none.strategies.values())


def test_a_strategy_named_that_does_not_fit_is_refused_before_it_allocates(tmp_path: Path) -> None:
    spec = {"batch": 10**9, "input": {"shape": [10**6]}, "layers": [{"type": "dense", "units": 10**6}]}
    with pytest.raises(BudgetError, match="reverse needs"):
        gradcost.analyze(spec, strategies=["reverse"])
    assert gradcost.analyze(spec).strategies["reverse"].measured is None


def test_the_budget_sways_the_recommendation(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(read("deep_mlp"))
    free = gradcost.analyze(path, measure=False, batch=64)
    assert free.comparison.recommended == "reverse"
    jvp, reverse = (free.strategies[name].predicted.peak_bytes for name in ("forward_jvp", "reverse"))
    assert jvp < reverse
    tight = gradcost.analyze(path, measure=False, budget=jvp, batch=64)
    assert tight.comparison.recommended == "reverse_checkpointed", "the cheapest schedule that fits"
    without = gradcost.analyze(path, measure=False, budget=jvp, batch=64, strategies=["reverse", "forward_jvp"])
    assert without.comparison.recommended == "forward_jvp"
    assert "reverse takes" in tight.verdict
    assert "over the budget of" in tight.verdict


def test_python_interface_takes_files_dicts_and_networks(two_layer: Path) -> None:
    import yaml

    by_file = gradcost.analyze(str(two_layer), measure=True)
    by_dict = gradcost.analyze(yaml.safe_load(two_layer.read_text()), measure=False)
    by_network = gradcost.analyze(gradcost.load(two_layer), measure=False)
    assert by_file.strategies["reverse"].predicted == by_dict.strategies["reverse"].predicted
    assert by_network.strategies["reverse"].predicted.multiplies == 49
    assert gradcost.analyze(gradcost.load(two_layer), batch=5, measure=False).network.batch == 5
    with pytest.raises(AttributeError):
        by_file.verdict = "other"  # type: ignore[misc]
    bad: tuple[dict[str, Any], ...] = ({"strategies": ["revers"]}, {"strategies": []}, {"chunk": 0}, {"budget": 0})
    for arguments in bad:
        with pytest.raises(UsageError):
            gradcost.analyze(two_layer, **arguments)


def test_a_stack_of_thousands_is_one_tensor() -> None:
    block = {"repeat": 200, "layers": [{"type": "dense", "units": 2, "activation": "tanh"}]}
    report = gradcost.analyze(
        {"input": {"shape": [2]}, "layers": [block]}, strategies=["forward_jacobian"], measure=False
    )
    tensors = [t for row in report.strategies["forward_jacobian"].layers for t in row.tensors]
    assert len(tensors) < 200 * 80
    grouped = next(t for t in tensors if t.name == "da[200]/d(W[1]..b[199])")
    assert grouped.elements == prod(grouped.shape)


def test_every_example_is_described() -> None:
    for name in names():
        assert read(name).startswith("# ")
        assert len(describe(name)) > 20


def test_the_largest_arrays_of_a_large_network_are_named_once() -> None:
    with config_path("deep_mlp") as file:
        analysis = gradcost.study(file, measure=False)
    for prediction in analysis.predictions.values():
        found = [buffer for _, buffer in largest(prediction, 3)]
        makers = [step for row in prediction.rows.values() for step in row.makers if step.view_of is None]
        sizes = {step.makes.name: step.makes.bytes for step in makers if step.makes is not None}
        assert len({buffer.name for buffer in found}) == 3
        assert [buffer.bytes for buffer in found] == sorted(sizes.values(), reverse=True)[:3]


def test_wrong_arguments_are_refused_in_a_sentence() -> None:
    analysis = gradcost.study("two_layer", strategies="reverse", measure=False)
    wrong: Any = {"fraction": 1.5, "text": "x"}
    assert analysis.timeline("backprop") == analysis.timeline("reverse")
    for call, words in (
        (lambda: analysis.timeline("rtrl"), "'rtrl' was not analysed here"),
        (lambda: analysis.timeline("zork"), "'zork' was not analysed here"),
        (lambda: gradcost.analyze("two_layer", budget=wrong["fraction"]), "budget must be a whole number of bytes"),
        (lambda: gradcost.analyze("two_layer", budget=True), "budget must be a whole number of bytes"),
        (lambda: gradcost.analyze("two_layer", seed=wrong["text"]), "seed must be a whole number"),
        (lambda: gradcost.crossover("two_layer", gradcost.Axis("batch", (1, 2)), by="zork"), "by cannot be 'zork'"),
    ):
        with pytest.raises(gradcost.UsageError, match=words):
            call()
