"""PyTorch's training step: figures by hand, every layer type, every choice; test_torch_memory holds it to PyTorch."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import pytest

import gradcost
from gradcost.configs import path
from gradcost.layers import LAYER_TYPES
from gradcost.memory_of import CHECKPOINTS
from gradcost.memory_of.decoding import decoding_macs
from gradcost.memory_of.lowering import LOWER
from gradcost.memory_of.optimizers import OPTIMIZERS
from gradcost.memory_of.step import Held, forward_pass, training_step
from gradcost.spec.training import SETTINGS, Training
from layer_classes import concrete_layers
from test_cli import run

MLP: dict[str, Any] = {
    "dtype": "float32",
    "batch": 2,
    "input": {"shape": [3]},
    "layers": [{"name": "a", "type": "dense", "units": 4, "activation": "tanh"}, {"type": "dense", "units": 5}],
    "loss": "mse",
}
LM: dict[str, Any] = {
    "dtype": "float32",
    "batch": 2,
    "input": {"shape": [16], "vocabulary": 500},
    "layers": [
        {"name": "table", "type": "embedding", "units": 32},
        {
            "repeat": 3,
            "name": "block",
            "layers": [
                {"type": "layernorm"},
                {"name": "attention", "type": "multi_head_attention", "heads": 4, "causal": True},
                {"name": "middle", "type": "add", "from": ["attention", "input"]},
                {"type": "dense", "units": 128, "activation": "gelu"},
                {"name": "out", "type": "dense", "units": 32},
                {"type": "add", "from": ["out", "middle"]},
            ],
        },
        {"type": "dense", "units": 500},
    ],
    "loss": "softmax_ce",
}


def held(spec: dict[str, Any], **choices: Any) -> Held:
    return training_step(gradcost.load(spec), Training(**{"device": "cpu", **choices}))


def test_a_small_net_by_hand() -> None:
    """Two dense layers, mse, batch 2: the peak is where the last layer's gradients are made."""
    weights = 4 * (3 * 4 + 4 + 4 * 5 + 5)
    data = 4 * 2 * (3 + 5)
    kept = 4 * 2 * 4  # tanh's result, which both it and the next layer saved
    output, loss = 4 * 2 * 5, 4  # names of the loop
    cotangent = 4 * 2 * 5  # of the output
    made = 4 * (2 * 4 + 4 * 5 + 5)  # of the value in between, of W and of b
    found = held(MLP)
    assert found.peak == weights + data + kept + output + loss + cotangent + made
    assert (found.phase, found.label) == ("backward", "dense_2")
    assert (found.parameters, found.gradients, found.state, found.data) == (weights, weights, 0, data)


def test_the_step_of_adam_by_hand() -> None:
    """On the cpu the quotient of the last parameter lives while the next one's root and quotient are made."""
    parameters = [4 * size for size in (3 * 4, 4, 4 * 5, 5)]
    found = held({**MLP, "batch": 1}, optimizer="adam")
    state = 2 * sum(parameters) + 4 * len(parameters)
    most = parameters[1] + 2 * parameters[2]
    assert found.phase == "step"
    assert found.state == state
    assert found.peak == 2 * sum(parameters) + state + most + 4 * (3 + 5) + 4 * 5 + 4
    together = held({**MLP, "batch": 1}, optimizer="adam", device="cuda")
    assert together.peak == found.peak - most + sum(parameters) - 4 * len(parameters), "counters are not on the GPU"


def test_there_is_a_rule_for_every_layer() -> None:
    """But for those that stand for parameters, and the state before a recurrent layer's first step."""
    names = {layer.__name__ for layer in concrete_layers()} - {"Variable", "SampleVariable", "ZeroState"}
    assert names <= LOWER.keys()


SMALL: dict[str, dict[str, Any]] = {
    "activation": {"activation": "silu"},
    "adaptive_avg_pool": {"size": 2},
    "attention": {},
    "concat": {"axis": 0},
    "conv1d": {"filters": 4, "kernel": 3},
    "conv2d": {"filters": 4, "kernel": 3, "padding": "same", "stride": 2},
    "conv_transpose2d": {"filters": 4, "kernel": 2, "stride": 2},
    "dense": {"units": 3},
    "dropout": {},
    "embedding": {"units": 4},
    "groupnorm": {"groups": 2},
    "gru": {"units": 3},
    "lstm": {"units": 3},
    "matmul": {"transpose": True},
    "max_pool": {"kernel": 2},
    "avg_pool": {"kernel": 2},
    "mean": {"axis": 0},
    "multi_head_attention": {"heads": 2, "kv_heads": 1},
    "permute": {"order": [1, 0]},
    "reshape": {"shape": [3, 2, 8]},
    "rnn": {"units": 3},
    "scale": {"factor": 2.0},
    "slice": {"stop": 2},
}
PICTURE = {"batchnorm", "conv2d", "conv_transpose2d", "groupnorm", "max_pool", "avg_pool", "adaptive_avg_pool"}
SEVERAL = {"add": 2, "concat": 2, "multiply": 2, "matmul": 2, "attention": 3}


@pytest.mark.parametrize("kind", sorted(LAYER_TYPES))
@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("precision", [None, "bfloat16", "autocast"])
def test_every_layer_type_in_a_step(kind: str, device: str, precision: str | None) -> None:
    shape = [4, 6, 6] if kind in PICTURE | {"attention"} else [6, 8]
    options = {"type": kind, **SMALL.get(kind, {})}
    first = {"name": "first", "type": "dense", "units": shape[-1]}
    if kind == "embedding":
        spec: dict[str, Any] = {"input": {"shape": [6], "vocabulary": 9}, "layers": [options]}
    else:
        if kind in SEVERAL:
            options["from"] = ["first"] * SEVERAL[kind]
        spec = {"input": {"shape": shape}, "layers": [first, options]}
    spec |= {"dtype": "float32", "batch": 3, "loss": "mse"}
    network = gradcost.load(spec)
    found = training_step(network, Training(device=device, precision=precision, optimizer="adam"))
    alone = forward_pass(network, Training(device=device, precision=precision))
    assert found.parameters + found.gradients + found.state + found.data <= found.peak
    assert alone.parameters + alone.data <= alone.peak <= found.peak


def test_the_choices_are_declared_once() -> None:
    assert [field.name for field in fields(Training)] == list(SETTINGS)
    assert {f.name: f.default for f in fields(Training)} == {name: s.field.default for name, s in SETTINGS.items()}
    (optimizer,) = [s.field for name, s in SETTINGS.items() if name == "optimizer"]
    assert set(optimizer.allowed) == set(OPTIMIZERS)  # type: ignore[attr-defined]


LESS = [
    ({"attention": "fused"}, {"attention": "eager"}),
    ({"checkpoints": "blocks"}, {}),
    ({"checkpoints": "list:block.1,block.3"}, {}),
    ({"precision": "bfloat16"}, {}),
    ({}, {"zero_grad": "zero"}),
    ({"cross_entropy": "chunked:4"}, {}),
    ({"precision": "bfloat16", "optimizer": "adam"}, {"precision": "bfloat16", "optimizer": "adam", "master": True}),
    ({"optimizer": "adafactor"}, {"optimizer": "adam"}),
]


@pytest.mark.parametrize(("less", "more"), LESS)
def test_what_each_choice_changes(less: dict[str, Any], more: dict[str, Any]) -> None:
    assert held(LM, **less).peak < held(LM, **more).peak


def test_gradients_are_there_in_later_micro_batches() -> None:
    assert held(LM, accumulate=2).peak == held(LM, accumulate=8).peak == held(LM, zero_grad="zero").peak


def test_state_is_float32_beside_a_master_copy() -> None:
    mixed = held(LM, precision="bfloat16", optimizer="adam", master=True)
    plain = held(LM, optimizer="adam")
    parameters = mixed.parameters // 2
    assert (mixed.state, mixed.master) == (plain.state, 4 * parameters)
    assert mixed.gradients == 2 * parameters


def test_relu_is_written_over_its_operand() -> None:
    spec = {**MLP, "layers": [{"type": "dense", "units": 400, "activation": "relu"}, {"type": "dense", "units": 5}]}
    over, apart = (forward_pass(gradcost.load(spec), Training(device="cpu", inplace=each)) for each in (True, False))
    assert apart.peak - over.peak == 4 * 2 * (400 - 5), "of relu's result, less the output that is the other's peak"


def test_a_loop_may_hold_the_output_before() -> None:
    """Until the next one has its name: so it counts where the forward pass is the peak."""
    spec = {**MLP, "batch": 500, "layers": [{"type": "dense", "units": 40}], "loss": "none"}
    plain, kept = held(spec), held(spec, keep_outputs=True)
    output = 4 * 500 * 40
    assert kept.peak == kept.parameters + kept.data + 2 * output
    assert plain.peak == plain.parameters + plain.data + output + 2 * 4 + plain.gradients, "the loss, its cotangent"


def test_a_cache_holds_keys_and_values_of_every_layer() -> None:
    network = gradcost.load(LM)
    plain, cached = (forward_pass(network, Training(), cache=tokens) for tokens in (0, 100))
    assert cached.cache == 100 * 2 * 3 * 2 * 32 * 4  # tokens, samples, layers, keys and values, units, bytes
    assert cached.peak == plain.peak + cached.cache


def test_decoding_all_tokens_takes_what_their_causal_scores_take() -> None:
    """One by one, a token sees those before it and itself: S (S + 1) / 2 scores a head, where one pass counts S S."""
    network = gradcost.load(LM)
    whole = gradcost.analyze(network, strategies=["reverse"], measure=False).primal.predicted.macs
    tokens, heads, size, samples, layers = 16, 4, 8, 2, 3
    ahead = tokens * (tokens - 1) // 2
    assert sum(decoding_macs(network, before) for before in range(tokens)) == whole - (
        2 * ahead * heads * size * samples * layers
    )
    with pytest.raises(gradcost.UsageError, match="causal attention"):
        decoding_macs(gradcost.load(MLP), 4)


COMMANDS = [
    ["memory", "zoo/gpt2_small", "--memory-of", "pytorch", "--inference", "--cache", "100"],
    ["memory", "zoo/resnet18", "--memory-of", "pytorch", "--device", "cpu", "--optimizer", "adam", "--json", "-"],
    ["analyze", "zoo/resnet18", "--memory-of", "pytorch", "--checkpoints", "list:identity_4,halve_8"],
    ["sweep", "zoo/resnet18", "--memory-of", "pytorch", "--precision", "autocast", "--set", "batch=1:4:x2"],
    ["fit", "zoo/resnet18", "--memory-of", "pytorch", "--memory", "2GiB"],
]


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
def test_the_commands_speak_of_pytorch(words: list[str]) -> None:
    done = run(*words)
    assert done.returncode == 0, done.stderr
    if words[0] == "memory" and "--json" in words:
        (first, second) = json.loads(done.stdout)
        assert (first["strategy"], second["strategy"]) == ("reverse", "reverse_checkpointed")
        held = training_step(gradcost.load("zoo/resnet18"), Training(optimizer="adam", device="cpu"))
        assert first["parameters"] + first["state"] + first["rest"] == held.peak
    elif words[0] in ("memory", "fit"):
        assert "in PyTorch on cuda" in done.stdout
        assert "was read" in done.stdout


WRONG = [
    (["memory", "two_layer", "--attention", "eager"], "add --memory-of pytorch"),
    (["memory", "two_layer", "--precision", "autocast"], "autocast is PyTorch's"),
    (["memory", "two_layer", "--cache", "4"], "add --inference"),
    (["memory", "two_layer", "--inference"], "add --memory-of pytorch"),
    (["analyze", "two_layer", "--memory-of", "pytorch", "--strategy", "optimal"], "not by optimal"),
    (["analyze", "two_layer", "--memory-of", "pytorch", "--measure"], "nothing of it runs here"),
    (["analyze", "two_layer", "--memory-of", "pytorch", "--checkpoints", "sqrt"], "checkpoints cannot be"),
    (["analyze", "two_layer", "--memory-of", "pytorch", "--outputs", "hidden"], "leave --outputs"),
    (["analyze", "two_layer", "--memory-of", "pytorch", "--tensors"], "numpy's arrays"),
    (["analyze", "two_layer", "--memory-of", "jax"], "unknown memory_of 'jax'"),
]


@pytest.mark.parametrize(("words", "message"), WRONG, ids=lambda each: each[-1] if isinstance(each, list) else "")
def test_commands_that_make_no_sense(words: list[str], message: str) -> None:
    done = run(*words)
    assert done.returncode == 2
    assert message in done.stderr


def test_an_analysis_by_pytorchs_rules() -> None:
    report = gradcost.analyze("zoo/resnet18", memory_of="pytorch", optimizer="adam", device="cpu", batch=8)
    network = gradcost.load("zoo/resnet18", batch=8)
    for name, checkpoints in CHECKPOINTS.items():
        held = training_step(network, Training(optimizer="adam", device="cpu", checkpoints=checkpoints))
        assert report.strategies[name].predicted.peak_bytes == held.peak
        assert report.strategies[name].peak_at.phase == held.phase
    assert list(report.strategies) == list(CHECKPOINTS)
    assert report.settings["memory_of"] == "pytorch"
    assert report.settings["optimizer"] == "adam"
    assert gradcost.Report.from_json(report.to_json()) == report


def test_the_zoo_in_every_kind_of_step() -> None:
    """The peak of a batch of two is above that of one, and no step is below what must be there."""
    for name in ("gpt2_small", "lstm_lm", "vit_b16", "efficientnet_b0"):
        with path(f"zoo/{name}") as file:
            one, two = (gradcost.load(file, batch=batch) for batch in (1, 2))
        for device in ("cpu", "cuda"):
            small, large = (training_step(each, Training(device=device, precision="autocast")) for each in (one, two))
            assert small.parameters < small.peak < large.peak


BAD = [
    ({"optimizer": "adan"}, "optimizer cannot be the text 'adan'.*did you mean 'adam'"),
    ({"checkpoints": "list:"}, "checkpoints cannot be"),
    ({"checkpoints": "list:block.7"}, "no layer or block is called 'block.7'.*did you mean"),
    ({"cross_entropy": "chunked:3"}, "no positions that 3 chunks divide"),
    ({"accumulate": 0}, "accumulate must be from 1"),
]


@pytest.mark.parametrize(("choices", "message"), BAD)
def test_what_there_is_not_is_refused(choices: dict[str, Any], message: str) -> None:
    with pytest.raises(gradcost.UsageError, match=message):
        held(LM, **choices)


def test_a_jacobian_is_no_training_step() -> None:
    network = gradcost.load(MLP, outputs="dense_2")
    with pytest.raises(gradcost.UsageError, match="leave --outputs"):
        training_step(network, Training())


def test_the_spec_says_how_to_train() -> None:
    spec = {**LM, "training": {"optimizer": "adam", "checkpoints": "blocks", "master": True}}
    assert gradcost.load(spec).spec.training == spec["training"]
    with pytest.raises(gradcost.SpecError, match="unknown key 'optimiser' in training; did you mean 'optimizer'"):
        gradcost.load({**LM, "training": {"optimiser": "adam"}})
    with pytest.raises(gradcost.SpecError, match=r"training.*precision cannot be the text 'float8'"):
        gradcost.load({**LM, "training": {"precision": "float8"}})
