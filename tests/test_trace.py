"""The teaching view: equations, shapes and numbers of a real run."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from rich.console import Console

import gradcost
from gradcost.cli.main import commands
from gradcost.execution.trace import Trace, disagreement, facing, trace
from gradcost.export.trace_text import trace_html, trace_markdown
from gradcost.schedule.equations import equation
from gradcost.schedule.phases import described
from gradcost.strategies import STRATEGIES, Plan, applying
from networks import networks, variants
from test_export import HOSTILE, Outline

CONFIGS = Path(__file__).parent.parent / "configs"


@given(networks())
def test_each_step_of_each_strategy_is_an_equation(spec: dict[str, Any]) -> None:
    network = gradcost.load(spec)
    for name in applying(network):
        for options in variants(name, (2,)):
            check_equations(network, STRATEGIES[name].plan(network, options))


def check_equations(network: gradcost.Network, plan: Plan) -> None:
    for segment in plan.segments:
        for step in segment.program.steps:
            text = equation(network, step)
            assert (text is None) == (step.idle or step.fills is None)
            if text is not None:
                left, right = text.split(" += " if " += " in text else " = ", 1)
                assert left
                assert right
                assert not set("{}*") & set(left)
                assert not set("{}") & set(right)


@given(networks(activations=("sigmoid", "tanh", "identity")))
def test_traced_runs_agree_and_their_multiplies_add_up(spec: dict[str, Any]) -> None:
    found = trace(spec, [name for name, strategy in STRATEGIES.items() if strategy.exact])
    report = gradcost.analyze(spec, measure=False)
    if spec["loss"] != "bce":  # which may saturate
        largest = max(float(np.max(np.abs(values))) for values in found[0].gradients.values())
        assert disagreement(found) <= 1e-3 * max(largest, 1.0)
    for each in found:
        if each.strategy != "forward_jvp":
            assert sum(step.multiplies for step in each.steps) == each.multiplies
        assert each.multiplies == report.strategies[each.strategy].predicted.multiplies


def values(found: Trace, left: str) -> Any:
    (step,) = (step for step in found.steps if step.equation.startswith(f"{left} = "))
    return step.values


def test_the_numbers_are_what_the_equations_say() -> None:
    forward, backward = trace(CONFIGS / "two_layer.yaml")
    W1, b1, W2, x = (forward.given[name] for name in ("W[1]", "b[1]", "W[2]", "a[0]"))
    z1 = W1 @ x[0] + b1
    a1 = 1 / (1 + np.exp(-z1))
    assert np.allclose(values(forward, "z[1]")[0], z1)
    assert np.allclose(values(forward, "da[1]/dW[1]")[0], (a1 * (1 - a1))[:, None] * x)
    slope = values(forward, "da[2]/dz[2]")
    assert np.allclose(values(forward, "(da[2]/dz[2] W[2])")[0], slope[0, :, None] * W2)
    pushed = values(forward, "da[2]/dW[1]")
    assert pushed.shape == (1, 1, 4, 3), "n_l x n_j x n_(j-1), for each sample"
    expected = slope[0, :, None, None] * W2[:, :, None] * values(forward, "da[1]/dW[1]")[0]
    assert np.allclose(pushed[0], expected)
    assert np.allclose(values(backward, "dL/da[1]"), values(backward, "delta[2]") @ W2)
    assert np.allclose(values(backward, "dL/dW[1]"), np.outer(values(backward, "delta[1]"), x))
    assert np.allclose(values(forward, "dL/dW[1]"), values(backward, "dL/dW[1]"), rtol=1e-12)
    equations = [step.equation for step in forward.steps]
    assert "dL/dW[1] = dL/da[2] . da[2]/dW[1]" in equations
    assert disagreement([forward, backward]) < 1e-15


@pytest.mark.parametrize("name", ["lstm", "conv2d", "multi_head_attention"])
def test_other_layers_say_what_is_multiplied(name: str) -> None:
    kinds: dict[str, tuple[list[int], dict[str, Any]]] = {
        "lstm": ([2, 2], {"units": 1}),
        "conv2d": ([1, 3, 3], {"filters": 1, "kernel": 2}),
        "multi_head_attention": ([2, 2], {"heads": 1}),
    }
    shape, options = kinds[name]
    spec = {"input": {"shape": shape}, "layers": [{"name": "it", "type": name, **options}], "loss": "mse"}
    (found,) = trace(spec, ["reverse"])
    texts = [step.equation for step in found.steps]
    assert any(")^T " in text for text in texts)
    assert any(text.startswith("dL/dW[1") for text in texts)


def run(*args: str) -> Any:
    return CliRunner().invoke(commands, ["trace", *args], env={"COLUMNS": "100"})


def test_both_directions_stand_side_by_side() -> None:
    done = run(str(CONFIGS / "two_layer.yaml"), "--digits", "3")
    lines = done.stdout.splitlines()
    both = [line for line in lines if line.count("z[1] = W[1] a[0] + b[1]  1x4 [12]") == 2]
    assert len(both) == 1
    assert any(line.startswith("81 multiplies in all") and "49 multiplies in all" in line for line in lines)
    assert lines[-1].startswith("The gradients differ by ")


def row_of(lines: list[str], equation: str) -> list[str]:
    (found,) = (line for line in lines if equation in line)
    return re.split(r"(?<!\\)\|", found)


@pytest.mark.parametrize("equations", [False, True])
def test_markdown_has_both_directions(equations: bool) -> None:
    traces = trace(CONFIGS / "two_layer.yaml")
    text = trace_markdown(traces, digits=3, equations=equations)
    tables = [part.splitlines() for part in text.split("\n\n") if part.startswith("|")]
    for table in tables:
        assert len({len(re.split(r"(?<!\\)\|", line)) for line in table}) == 1
    _, steps = tables
    primal = row_of(steps, r"z\[1\] = W\[1\] a\[0\] + b\[1\]")
    assert primal[1:3] == [" hidden ", " primal "]
    assert primal[3] == primal[4]
    assert row_of(steps, r"delta\[1\] = ")[3].strip() == ""
    assert len(steps) == 2 + len(list(facing(traces))) + 1
    assert ("0.109" in text) is not equations
    assert "81 multiplies in all" in steps[-1]
    assert text.splitlines()[-1].startswith("The gradients differ by ")


@pytest.mark.parametrize("equations", [False, True])
@pytest.mark.parametrize("names", [("reverse",), ("forward_jvp", "reverse")])
def test_the_page_is_whole_and_loads_nothing(names: tuple[str, ...], equations: bool) -> None:
    spec = {"name": HOSTILE, "input": {"shape": [2]}, "layers": [{"type": "dense", "units": 1}], "loss": "mse"}
    traces = trace(spec, names)
    page = trace_html(traces, equations=equations)
    outline = Outline()
    outline.feed(page)
    outline.close()
    assert (outline.open, outline.loads) == ([], [])
    assert "default-src 'none'; style-src 'unsafe-inline'\"" in page
    assert page.count("{{data}}") == 2, "the name, in the title and at the head"
    assert '<b>"x"' not in page
    assert page.count("<pre>") == (0 if equations else len(traces[0].given) + sum(len(each.steps) for each in traces))
    for each in traces:
        for step in each.steps:
            assert f"<code>{escape(step.equation)}</code>" in page
            assert f"<dt>{step.phase}</dt><dd>{escape(described(step.phase).label)}</dd>" in page
            assert f"--k-{described(step.phase).group}: #" in page


def test_a_trace_is_plain_data() -> None:
    (found,) = trace(CONFIGS / "two_layer.yaml", "backprop")
    data = json.loads(json.dumps(found.to_dict()))
    assert {key: data[key] for key in ("network", "strategy", "passes", "multiplies")} == {
        "network": "two_layer",
        "strategy": "reverse",
        "passes": 1,
        "multiplies": 49,
    }
    for step, plain in zip(found.steps, data["steps"], strict=True):
        assert (plain["layer"], plain["phase"], plain["equation"]) == (step.layer, step.phase, step.equation)
        assert (plain["shape"], plain["multiplies"]) == (list(step.shape), step.multiplies)
        assert plain["values"] == step.values.tolist()
    for key, arrays in (("given", found.given), ("gradients", found.gradients)):
        assert {symbol: each["values"] for symbol, each in data[key].items()} == {
            symbol: values.tolist() for symbol, values in arrays.items()
        }
    bare = found.to_dict(values=False)
    empty = [*bare["given"].values(), *bare["steps"], *bare["gradients"].values()]
    assert all(each["values"] is None and isinstance(each["shape"], list) for each in empty)


def test_numbers_that_are_not_finite_are_null() -> None:
    (found,) = trace(CONFIGS / "two_layer.yaml", ["reverse"])
    step = replace(found.steps[0], values=np.array([[1.5, np.nan, np.inf]], dtype=np.float32))
    assert step.to_dict()["values"] == [[1.5, None, None]]


def test_what_is_asked_for_is_written(tmp_path: Path) -> None:
    page, text, data = (tmp_path / name for name in ("t.html", "t.md", "t.json"))
    net = str(CONFIGS / "two_layer.yaml")
    done = run(net, "--html", str(page), "--markdown", str(text), "--json", str(data), "--equations", "--seed", "3")
    traces = trace(net, seed=3)
    assert page.read_text() == trace_html(traces, equations=True)
    assert text.read_text() == trace_markdown(traces, equations=True)
    written = json.loads(data.read_text())
    assert written["traces"] == [each.to_dict(values=False) for each in traces]
    assert written["gradients_differ_by"] == disagreement(traces)
    assert done.stdout.splitlines()[-1].startswith("The gradients differ by "), "and it is shown besides"
    assert run(net, "--markdown", "-", "--seed", "3").stdout == trace_markdown(traces)
    assert json.loads(run(net, "--json", "-", "--seed", "3").stdout)["traces"] == [each.to_dict() for each in traces]
    error = run(net, "--json", "-", "--markdown", "-").exception
    assert isinstance(error, gradcost.UsageError)


def test_equations_leave_the_numbers_out() -> None:
    net = str(CONFIGS / "two_layer.yaml")
    assert "[[" in run(net).stdout
    lines = run(net, "--equations").stdout.splitlines()
    assert not any("[[" in line for line in lines)
    assert "W[1] = 4x3" in lines
    assert any(line.startswith("da[2]/dW[1] = (da[2]/dz[2] W[2]) da[1]/dW[1]  1x1x4x3 [12]") for line in lines)


def test_a_pipe_is_never_wrapped() -> None:
    spec = str(CONFIGS / "two_layer.yaml")
    (found,) = trace(spec, ["forward_jacobian"])
    lines = CliRunner().invoke(commands, ["trace", spec, "--digits", "17"], env={"COLUMNS": "60"}).stdout.splitlines()
    for step in found.steps:
        assert any(line.startswith(f"{step.equation}  ") for line in lines)
    (wide,) = (step for step in found.steps if step.equation.startswith("da[2]/dW[1] = "))
    number = f"{wide.values[0, 0, 0, -1]:.17g}"
    assert any(line.startswith("[[[[") and number in line for line in lines), "one line has all numbers of a row"


@pytest.mark.parametrize("width", [90, 200])
def test_a_terminal_is_filled_and_no_wider(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal = partial(Console, force_terminal=True, width=width, color_system=None)
    monkeypatch.setattr("gradcost.cli.render.console", terminal)
    commands.main(["trace", str(CONFIGS / "two_layer.yaml")], standalone_mode=False)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) == width
    assert any(line.count("z[1] = W[1] a[0] + b[1]  1x4 [12]") == 2 for line in lines)


def test_what_cannot_be_read_is_refused() -> None:
    for spec in ("deep_mlp", "mnist_mlp"):
        error = run(str(CONFIGS / f"{spec}.yaml")).exception
        assert isinstance(error, gradcost.UsageError)
        assert "make it smaller, or use analyze" in str(error)
    for again in ("reverse", "backprop"):
        error = run(str(CONFIGS / "two_layer.yaml"), "--strategy", "reverse", "--strategy", again).exception
        assert isinstance(error, gradcost.UsageError)


def test_nothing_is_drawn_for_what_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gradcost.execution.trace.Data", lambda *_: pytest.fail("data was drawn"))
    with pytest.raises(gradcost.UsageError, match="make it smaller"):
        trace(CONFIGS / "two_layer.yaml", batch=20_000_000)


def test_a_dtype_that_is_not_the_networks_stands_beside_the_shape() -> None:
    layers = [{"type": "embedding", "units": 2}, {"type": "dropout", "rate": 0.5}]
    spec = {"dtype": "float32", "input": {"shape": [3], "vocabulary": 4}, "layers": layers, "loss": "softmax_ce"}
    traces = trace(spec, ["reverse"])
    lines = trace_markdown(traces).splitlines()
    shapes = {"a[0]": "1x3 int64", "W[1]": "4x2", "mask[2]": "1x3x2 bool", "t": "1x3 int64"}
    for symbol, shape in shapes.items():
        assert any(line.replace("\\", "").startswith(f"| {symbol} | {shape} |") for line in lines), symbol
    given = traces[0].to_dict()["given"]
    assert {symbol: array["dtype"] for symbol, array in given.items()} == {
        "a[0]": "int64",
        "W[1]": "float32",
        "mask[2]": "bool",
        "t": "int64",
    }
    assert "<td>1x3x2 bool</td>" in trace_html(traces)
