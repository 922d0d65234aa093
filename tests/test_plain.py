"""A report is plain data: short to look at, equal to its copy, and back from JSON and pickle as it was."""

from __future__ import annotations

import importlib
import json
import pickle
import pkgutil
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings

import gradcost
from gradcost.configs import path
from gradcost.report.plain import plain
from networks import networks


@settings(max_examples=15)
@given(networks())
def test_json_and_pickle_give_the_report_back(spec: dict[str, Any]) -> None:
    report = gradcost.analyze(spec, chunk=3)
    assert gradcost.Report.from_json(report.to_json()) == report
    assert pickle.loads(pickle.dumps(report)) == report
    again = gradcost.analyze(spec, chunk=3, measure=False)
    assert again == gradcost.analyze(spec, chunk=3, measure=False)
    assert again != report, "which was measured"


def test_figures_beyond_a_float_come_back_exactly() -> None:
    layers = [{"type": "dense", "units": 10**12}] * 3
    report = gradcost.analyze({"batch": 10**12, "input": {"shape": [10**12]}, "layers": layers}, measure=False)
    assert report.strategies["forward_jvp"].predicted.multiplies > 10**60
    assert gradcost.Report.from_json(report.to_json()) == report


def test_a_report_of_a_large_network_is_short_to_look_at() -> None:
    with path("zoo/resnet50") as file:
        analysis = gradcost.study(file, measure=False)
    for value in (analysis, analysis.report, *analysis.report.strategies.values(), analysis.report.network):
        assert len(repr(value)) < 2000
    shown = analysis.report._repr_html_()
    assert len(shown) < 20_000
    assert "<td>reverse</td>" in shown


def test_what_is_no_report_is_refused() -> None:
    whole = gradcost.analyze("two_layer", measure=False).to_dict()
    bad: list[Any] = ["{", "[]", "null", json.dumps({**whole, "schema_version": "1.0"})]
    for key in whole:
        bad.append(json.dumps({name: value for name, value in whole.items() if name != key}))
        bad.append(json.dumps({**whole, key: 3.5}))
    for text in bad:
        with pytest.raises(gradcost.UsageError):
            gradcost.Report.from_json(text)


def test_details_are_made_when_they_are_asked_for() -> None:
    strategy = gradcost.analyze("two_layer", measure=False).strategies["reverse"]
    assert "layers" not in strategy.__dict__
    (first, *_) = strategy.layers
    assert "formula" not in first.__dict__
    assert first.formula["macs"].endswith("= 12")
    with pytest.raises(AttributeError, match="no attribute 'layer'"):
        _ = strategy.layer


def test_every_public_name_is_there_whatever_has_been_imported() -> None:
    for module in pkgutil.walk_packages(gradcost.__path__, "gradcost."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    kinds = {name: type(getattr(gradcost, name)).__name__ for name in gradcost.__all__}
    assert "module" not in kinds.values()
    assert set(gradcost.__all__) <= set(dir(gradcost))
    for name in (
        "analyze",
        "study",
        "load",
        "sweep",
        "crossover",
        "fit",
        "trace",
        "to_html",
        "from_onnx",
        "from_torch",
    ):
        assert kinds[name] == "function", name
    with pytest.raises(AttributeError, match="no attribute 'analyse'"):
        _ = gradcost.analyse


def test_importing_gradcost_is_light() -> None:
    code = "import gradcost, sys; print(sorted({'numpy', 'rich', 'yaml', 'click'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_names_and_sizes_may_be_text() -> None:
    report = gradcost.analyze("two_layer", strategies="reverse", budget="8GiB", measure=False)
    assert list(report.strategies) == ["reverse"]
    assert report.settings["budget"] == 8 * 2**30
    for alias, name in {"jacfwd": "forward_jvp", "backprop": "reverse", "rtrl": "forward_jacobian"}.items():
        assert list(gradcost.analyze("two_layer", strategies=[alias], measure=False).strategies) == [name]
    with pytest.raises(gradcost.UsageError, match="did you mean 'chunk'"):
        gradcost.analyze("two_layer", chunks=3)


def test_a_network_with_nothing_trainable_has_a_forward_pass() -> None:
    layers = [{"type": "dense", "units": 4, "trainable": False}]
    report = gradcost.analyze({"input": {"shape": [3]}, "layers": layers, "loss": "mse"})
    assert report.strategies == {}
    assert report.primal.predicted.macs == 12
    assert report.primal.measured is not None
    assert report.comparison.recommended is None
    assert "Nothing is trainable" in report.verdict
    assert not report.mismatches
    assert gradcost.Report.from_json(report.to_json()) == report
    with pytest.raises(gradcost.UsageError, match="no parameter is trainable"):
        gradcost.analyze({"input": {"shape": [3]}, "layers": layers}, strategies="reverse")


def test_the_primal_has_the_shape_of_a_strategy_and_is_no_candidate() -> None:
    report = gradcost.analyze("two_layer", measure=True)
    data = report.to_dict()
    assert data["primal"].keys() == data["strategies"]["reverse"].keys()
    assert "primal" not in data["strategies"]
    assert report.primal.predicted.multiplies < report.strategies["reverse"].predicted.multiplies
    assert report.comparison.recommended == "reverse"
    assert plain(report) == data
