"""What training holds: optimizer state, master weights, storage in 16 bits."""

from __future__ import annotations

from typing import Any

import pytest

import gradcost
from gradcost.configs import path
from gradcost.grids import fit
from test_cli import run

SPEC: dict[str, Any] = {
    "dtype": "float32",
    "batch": 8,
    "input": {"shape": [4]},
    "layers": [
        {"type": "dense", "units": 3, "activation": "tanh"},
        {"name": "frozen", "type": "dense", "units": 3, "trainable": False},
        {"type": "dense", "units": 2},
    ],
    "loss": "mse",
}
TRAINED, FROZEN = 4 * 3 + 3 + 3 * 2 + 2, 12


@pytest.mark.parametrize(("optimizer", "slots"), [("none", 0), ("sgd", 0), ("momentum", 1), ("adam", 2)])
def test_state_comes_on_top_of_the_peak(optimizer: str, slots: int) -> None:
    report = gradcost.analyze(SPEC, measure=True)
    for memory in gradcost.training_memory(SPEC, gradcost.Training(optimizer)):
        measured = report.strategies[memory.strategy].measured
        assert measured is not None
        assert memory.total == measured.peak_bytes + 4 * slots * TRAINED
        assert (memory.parameters, memory.master) == (4 * (TRAINED + FROZEN), 0)


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_mixed_precision_keeps_sixteen_bytes_a_parameter_with_adam(precision: str) -> None:
    """2 for the weight and 2 for its gradient, 4 each for the master copy, m and v (Rajbhandari et al. 2020, 3.1)."""
    spec = {**SPEC, "layers": [{"type": "dense", "units": 1000}], "input": {"shape": [1000]}, "batch": 1}
    (memory,) = gradcost.training_memory(spec, gradcost.Training("adam", precision, True), strategies=["reverse"])
    parameters = 1000 * 1000 + 1000
    assert (memory.master, memory.state, memory.parameters) == (4 * parameters, 8 * parameters, 2 * parameters)
    activations = memory.total - 16 * parameters
    assert 0 < activations < 2 * 5 * 1000, "input, output, target, dL/dy"


def test_fit_leaves_room_for_the_optimizer() -> None:
    with path("zoo/resnet18") as file:
        network = gradcost.load(file)
    plain, adam, mixed = (
        fit(network, 8 * 2**30, strategies=["reverse"], training=training)[0]
        for training in (
            gradcost.Training(),
            gradcost.Training("adam"),
            gradcost.Training("adam", "bfloat16"),
        )
    )
    assert adam.batch < plain.batch < mixed.batch
    (at_peak,) = gradcost.training_memory(
        network, gradcost.Training("adam", "bfloat16"), batch=mixed.batch, strategies=["reverse"]
    )
    assert at_peak.total == mixed.peak_bytes <= 8 * 2**30


@pytest.mark.parametrize(("optimizer", "precision"), [("adan", None), ("adam", "float8")])
def test_what_there_is_not_is_refused(optimizer: str, precision: str | None) -> None:
    with pytest.raises(gradcost.UsageError, match="cannot be"):
        gradcost.Training(optimizer, precision)


def test_memory_command(tmp_path: Any) -> None:
    file = tmp_path / "net.yaml"
    file.write_text("input: {shape: [64]}\nlayers: [{type: dense, units: 16}]\n")
    done = run("memory", str(file), "--optimizer", "adam", "--precision", "float16", "--master")
    assert done.returncode == 0, done.stderr
    assert "training with adam, stored in float16, master true" in done.stdout
    (row,) = [line.split() for line in done.stdout.splitlines() if line.startswith("reverse ")]
    assert row[1:5] == ["2.031", "KiB", "4.062", "KiB"]
    assert run("memory", str(file), "--optimizer", "adan").returncode == 2


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_only_the_networks_numbers_are_stored_in_half_the_size(precision: str) -> None:
    """Tokens, classes, indices and masks keep their bytes; in float16, that is what a run measures."""
    layers = [
        {"type": "embedding", "units": 4},
        {"type": "reshape", "shape": [1, 6, 4]},
        {"type": "dropout", "rate": 0.5},
        {"type": "max_pool", "kernel": 3, "stride": 1},
        {"type": "flatten"},
        {"type": "dense", "units": 5},
    ]
    spec = {"dtype": "float32", "batch": 4, "input": {"shape": [6], "vocabulary": 9}, "layers": layers}
    spec |= {"loss": "softmax_ce"}
    half = gradcost.analyze(spec, dtype="float16", measure=True)
    assert not half.mismatches
    for memory in gradcost.training_memory(spec, gradcost.Training("none", precision)):
        measured = half.strategies[memory.strategy].measured
        assert measured is not None
        assert memory.total == measured.peak_bytes
    room = 100_000
    for found in fit(spec, room, strategies=["reverse", "forward_jvp"], training=gradcost.Training("adam", precision)):
        rows = gradcost.training_memory(
            spec, gradcost.Training("adam", precision), batch=found.batch, strategies=[found.strategy]
        )
        assert [row.total for row in rows] == [found.peak_bytes]
        assert found.peak_bytes <= room < (found.next_bytes or 0)
