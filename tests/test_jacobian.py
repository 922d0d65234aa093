"""Jacobians of whole outputs, by parameters and by inputs: counts, autograd, break-even and crossover."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from autograd import jacobian
from hypothesis import assume, given
from hypothesis import strategies as st

import gradcost
from gradcost.execution.execute import Data, measure
from gradcost.grids import Axis, Settings, crossover, paths
from gradcost.report.check_counts import compare_figures
from gradcost.schedule.predict import predict
from gradcost.strategies import STRATEGIES, Options, applying
from networks import networks
from reference import output_function
from test_catalogue import CASES
from test_cli import run

SPEC: dict[str, Any] = {
    "batch": 2,
    "input": {"shape": [3]},
    "layers": [
        {"name": "hidden", "type": "dense", "units": 4, "activation": "tanh"},
        {"name": "norm", "type": "layernorm"},
        {"name": "out", "type": "dense", "units": 2},
    ],
    "loss": "mse",
}


def expected_jacobians(network: gradcost.Network, data: Data) -> dict[tuple[int, str], Any]:
    """Return autograd's Jacobians: of the batch, or where each sample has its own by its own input, of that alone."""
    start = {key: data.arrays["parameter", *key] for key in network.trained}
    function = output_function(network, data)
    with np.errstate(all="ignore"):
        expected = {
            key: np.asarray(jacobian(lambda value, key=key: function({**start, key: value}))(values))
            for key, values in start.items()
        }
    axis = len(network.output.shape)
    for key, values in expected.items():
        if network.per_sample and values.ndim > 1 + axis + len(network.trained[key]):
            expected[key] = np.stack([np.take(each, b, axis=axis) for b, each in enumerate(values)])
    return expected


def prove(network: gradcost.Network, chunks: tuple[int, ...]) -> None:
    """Hold each strategy's figures against its prediction, and its Jacobian against autograd's."""
    data = Data(network)
    expected = expected_jacobians(network, data)
    top = max(np.abs(values).max() for values in expected.values())
    assert np.isfinite(top)
    assert applying(network) == ["reverse", "forward_jacobian", "forward_jvp", "optimal"]
    for name in applying(network):
        for chunk in (*chunks, None) if name in ("forward_jvp", "reverse") else (None,):
            plan = STRATEGIES[name].plan(network, Options(chunk=chunk))
            prediction, measurement = predict(plan), measure(plan, data)
            wrong = list(compare_figures(name, prediction, measurement))
            assert not wrong, "\n".join(map(str, wrong))
            assert not measurement.changed_entries
            for key, values in expected.items():
                found = measurement.gradients[key]
                assert found.shape == values.shape
                np.testing.assert_allclose(found, values, rtol=1e-7, atol=1e-9 * (1 + top), err_msg=f"{name} {key}")


@given(networks(tokens=False), st.sampled_from(["params", "inputs"]), st.integers(1, 9), st.booleans(), st.data())
def test_random_networks(spec: dict[str, Any], wrt: str, chunk: int, across: bool, data: st.DataObject) -> None:
    names = [entry.name for entry in gradcost.load(spec).spec.layers]
    outputs = data.draw(st.sampled_from(names))
    try:
        network = gradcost.load(spec, dtype="float64", wrt=wrt, outputs=outputs, across_batch=across)
    except gradcost.GradcostError:
        assume(False)  # nothing trainable stands above that layer
    assume(0 < network.rows * network.trained_parameters < 3000)
    prove(network, (chunk,))


CHOSEN = [
    (kind, shape, options)
    for kind, cases in CASES.items()
    for shape, options in cases[:2]
    if "pooled" not in options.get("from", ())
]


def between_dense(kind: str, shape: list[int], options: dict[str, Any]) -> dict[str, Any]:
    """Return a network of that layer, named ``layer``, between two dense ones, of which the last is ``out``."""
    layers = [
        {"name": "h", "type": "dense", "units": shape[-1]},
        {"name": "layer", "type": kind, **options},
        {"type": "flatten"},
        {"name": "out", "type": "dense", "units": 2, "activation": "sigmoid"},
    ]
    return {"batch": 2, "input": {"shape": shape}, "layers": layers}


@pytest.mark.parametrize(("kind", "shape", "options"), CHOSEN)
@pytest.mark.parametrize("wrt", ["params", "inputs"])
def test_every_layer(kind: str, shape: list[int], options: dict[str, Any], wrt: str) -> None:
    spec = between_dense(kind, shape, options)
    for across in (False, True):
        prove(gradcost.load(spec, wrt=wrt, outputs="out", across_batch=across), (1, 3))


@pytest.mark.parametrize("wrt", ["params", "hidden", "norm", "inputs", "input"])
@pytest.mark.parametrize("outputs", ["out", "norm"])
def test_what_is_differentiated_by(wrt: str, outputs: str) -> None:
    network = gradcost.load(SPEC, wrt=wrt, outputs=outputs)
    sizes = {"hidden": 16, "norm": 8, "inputs": 3, "input": 3, "params": 16 + 8 + (10 if outputs == "out" else 0)}
    assert network.trained_parameters == sizes[wrt]
    assert network.rows == (2 if outputs == "out" else 4)
    prove(network, (1, 5))
    whole = gradcost.load(SPEC, wrt=wrt, outputs=outputs, across_batch=True)
    assert whole.rows == 2 * network.rows
    assert whole.trained_parameters == sizes[wrt] * (2 if wrt in ("inputs", "input") else 1)
    prove(whole, (1, 5))


def multiplies(spec: Any, **options: Any) -> dict[str, int]:
    report = gradcost.analyze(spec, measure=False, **options)
    return {name: strategy.predicted.multiplies for name, strategy in report.strategies.items()}


@pytest.mark.parametrize("wrt", ["inputs", "params"])
@pytest.mark.parametrize("across", [False, True])
def test_a_batch_of_jacobians_is_as_many_of_one(wrt: str, across: bool) -> None:
    """PINN-like: 3 inputs, 1 output, 1,000 samples: 1,000 times one, not a million."""
    body = [{"type": "dense", "units": 64, "activation": "tanh"}] * 4
    spec = {"input": {"shape": [3]}, "layers": [*body, {"name": "u", "type": "dense", "units": 1}]}
    one = multiplies(spec, outputs="u", wrt=wrt)
    batch = multiplies({**spec, "batch": 1000}, outputs="u", wrt=wrt, across_batch=across)
    by_inputs = wrt == "inputs"
    alone = {"reverse": 64, "forward_jvp": 64 * 3 * 3 * by_inputs}  # products of weights alone, once for all samples
    for name, once in alone.items():
        if across and (name == "reverse" or wrt == "inputs"):
            assert batch[name] > 100 * 1000 * one[name]
        else:
            assert batch[name] == 1000 * one[name] - 999 * once


def test_the_ntk_of_a_small_mlp() -> None:
    """vmap(jacrev) by parameters: each sample's rows are pulled through that sample alone."""
    layers = [{"type": "dense", "units": 128, "activation": "relu"}, {"name": "out", "type": "dense", "units": 10}]
    spec = {"batch": 16, "input": {"shape": [64]}, "layers": layers}
    found = gradcost.analyze(spec, outputs="out", measure=False).strategies["reverse"].predicted
    primal = 16 * (64 * 128 + 128 * 10)
    rows = 16 * 10 * (128 * 10 + 64 * 128) + 10 * 128 * 10  # the last weights meet unit vectors once for all samples
    assert found.macs == primal + rows


def test_what_couples_samples_gets_the_jacobian_of_the_batch() -> None:
    norm = {"type": "batchnorm", "statistics": "batch"}
    layers = [{"name": "a", "type": "dense", "units": 3}, norm, {"name": "out", "type": "dense", "units": 2}]
    report = gradcost.analyze({"batch": 4, "input": {"shape": [3]}, "layers": layers}, outputs="out", measure=True)
    assert not report.mismatches
    assert not report.target.per_sample
    assert report.target.rows == 8
    assert any("couple its samples" in note for note in report.notes)
    off = gradcost.load({"batch": 4, "input": {"shape": [3]}, "layers": layers}, outputs="out", wrt="out")
    assert off.per_sample, "nothing that is differentiated by comes through the norm"
    prove(off, (1,))


def test_shared_weights_dropout_and_the_layer_that_owns_them_elsewhere() -> None:
    inner = {"type": "dense", "units": 3, "activation": "tanh"}
    layers = [{**inner, "name": "a"}, {"type": "dropout"}, {**inner, "share": "a"}, {"name": "out", **inner}]
    prove(gradcost.load({"batch": 3, "input": {"shape": [3]}, "layers": layers}, outputs="out"), (1, 2))
    b = {**inner, "name": "b", "share": "a", "from": "input"}
    join = {"name": "c", "type": "add", "from": ["a", "b"]}
    network = gradcost.load({"batch": 2, "input": {"shape": [3]}, "layers": [layers[0], b, join]}, outputs="b")
    prove(network, (1,))


@pytest.mark.parametrize("chunk", [1, 7, None])
@pytest.mark.parametrize("wrt", ["inputs", "params"])
def test_chunks_of_rows_and_columns_are_measured_as_predicted(chunk: int | None, wrt: str) -> None:
    report = gradcost.analyze("bottleneck", outputs="out", wrt=wrt, batch=2, chunk=chunk, measure=True)
    assert not report.mismatches
    if wrt == "inputs" and chunk is None:
        looped = gradcost.analyze("bottleneck", outputs="out", wrt=wrt, batch=2, chunk=1, measure=False)
        for name in ("reverse", "forward_jvp"):
            assert report.strategies[name].predicted.peak_bytes > looped.strategies[name].predicted.peak_bytes


def test_gradient_of_the_loss_by_inputs_in_every_strategy() -> None:
    report = gradcost.analyze(SPEC, wrt="inputs", measure=True)
    assert list(report.strategies) == list(STRATEGIES)
    assert not report.mismatches
    assert (report.target.rows, report.target.columns) == (1, 6)


def test_blocks_and_shared_weights_are_differentiated_by_name() -> None:
    inner = {"name": "a", "type": "dense", "units": 3}
    block = {"name": "block", "repeat": 2, "layers": [inner, {"type": "dense", "units": 3}]}
    layers = [block, {"name": "again", "type": "dense", "units": 3, "share": "block.1.a"}]
    spec = {"input": {"shape": [3]}, "layers": layers}
    assert gradcost.load(spec, wrt="block.2", outputs="again").trained_parameters == 24
    network = gradcost.load(spec, wrt="block.1.a", outputs="again")
    assert network.trained_parameters == 12
    prove(network, (4,))


@pytest.mark.parametrize(
    ("wrt", "outputs", "message"),
    [
        ("paramz", "loss", "did you mean 'params'"),
        ("params", "hiden", "did you mean 'hidden'"),
        ("out", "hidden", "nothing in it is trainable, or 'hidden' does not depend on it"),
    ],
)
def test_names_that_are_not_there(wrt: str, outputs: str, message: str) -> None:
    with pytest.raises(gradcost.UsageError, match=message):
        gradcost.load(SPEC, wrt=wrt, outputs=outputs)


def test_tokens_have_no_derivative() -> None:
    layers = [{"type": "embedding", "units": 2}, {"name": "out", "type": "dense", "units": 2}]
    with pytest.raises(gradcost.UsageError, match="holds tokens"):
        gradcost.load({"input": {"shape": [3], "vocabulary": 5}, "layers": layers}, wrt="inputs")


def test_a_strategy_for_losses_alone_is_refused() -> None:
    with pytest.raises(gradcost.UsageError, match="forward_gradient differentiates a loss"):
        gradcost.analyze(SPEC, outputs="out", strategies=["forward_gradient"], measure=False)


@pytest.mark.parametrize(("columns", "rows"), [(2, 40), (40, 2), (8, 8)])
def test_break_even_tells_where_forward_wins(columns: int, rows: int) -> None:
    layers = [{"type": "dense", "units": 8, "activation": "tanh"}, {"name": "out", "type": "dense", "units": rows}]
    spec = {"input": {"shape": [columns]}, "layers": layers}
    report = gradcost.analyze(spec, wrt="inputs", outputs="out", measure=True)
    assert not report.mismatches
    reverse, forward = (report.strategies[name].measured for name in ("reverse", "forward_jvp"))
    assert reverse is not None
    assert forward is not None
    assert report.target.forward_below is not None
    assert (forward.multiplies < reverse.multiplies) == (columns < report.target.forward_below)
    assert f"where fewer than {report.target.forward_below:,} inputs feed the {rows} outputs" in report.verdict


def test_paths_are_the_sizes_of_a_spec() -> None:
    block = {"name": "b", "repeat": 2, "layers": [{"name": "in", "type": "dense", "units": 3}]}
    spec = {"vars": {"w": 3}, "input": {"shape": [3]}, "layers": [block, {"type": "dense", "units": "=w"}]}
    assert paths(spec) == ["batch", "vars.w", "input.shape.1", "layers.b.repeat", "layers.b.layers.in.units"]


@pytest.mark.parametrize(
    ("path", "wrt"),
    [
        ("layers.out.units", "params"),
        ("layers.out.units", "inputs"),
        ("input.shape.1", "inputs"),
        ("layers.deep.repeat", "params"),
    ],
)
def test_each_crossover_is_confirmed_by_measured_runs_on_both_sides(path: str, wrt: str) -> None:
    deep = {"name": "deep", "repeat": 2, "layers": [{"type": "dense", "units": 3, "activation": "tanh"}]}
    layers = [deep, {"name": "out", "type": "dense", "units": 6}]
    spec = {"input": {"shape": [4]}, "layers": layers}
    settings = Settings(measure=True, wrt=wrt, outputs="out")
    last = 16 if path.endswith("repeat") else 40
    values = tuple(range(1, last + 1))
    flips = crossover(spec, Axis(path, values), settings)
    assert flips, "there is one here"
    every = crossover(spec, Axis(path, values), replace(settings, measure=False))
    coarse = crossover(spec, Axis(path, (1, last)), replace(settings, measure=False))
    assert [flip.values for flip in every] == [flip.values for flip in flips]
    assert {flip.values for flip in coarse} <= {flip.values for flip in flips}
    for flip in flips:
        assert flip.confirmed
        assert flip.values[1] - flip.values[0] == 1
        for figures, winner in zip(flip.figures, flip.winners, strict=True):
            assert figures[winner] == min(figures.values())


def test_no_flip_where_one_strategy_wins_throughout() -> None:
    assert crossover(SPEC, Axis("batch", (1, 64))) == []


def test_crossover_command(tmp_path: Any) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(
        "input: {shape: [3]}\nlayers: [{name: h, type: dense, units: 4, activation: tanh}, "
        "{name: out, type: dense, units: 1}]\n"
    )
    done = run(
        "crossover",
        str(path),
        "--outputs",
        "out",
        "--along",
        "layers.out.units=1:64:x2",
        "--along",
        "layers.h.units=4,5",
    )
    assert done.returncode == 0, done.stderr
    text = " ".join(done.stdout.split())
    assert "layers.out.units: up to" in text
    assert "Measured runs on both sides confirm it." in text
    assert "No flip in multiplies along layers.h.units from 4 to 5." in text
    assert run("crossover", str(path), "--along", "layers.x.units").returncode == 2
