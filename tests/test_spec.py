"""The spec reader: every mistake is one error with its place and its mend."""

from __future__ import annotations

import io
import json
import random
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

import gradcost
from gradcost.cli.main import commands
from gradcost.configs import names, read
from gradcost.errors import SpecError, guess
from gradcost.graph import build_graph
from gradcost.grids import Axis, sweep
from gradcost.grids.grid import at
from gradcost.grids.run import read_tree
from gradcost.layers import LAYER_TYPES, LOSSES, VARIABLES
from gradcost.spec import foreign, read_spec
from gradcost.spec.fields import TARGETS, read_mapping
from gradcost.spec.located import parse_yaml
from gradcost.spec.network import _network
from gradcost.spec.schema import spec_schema
from gradcost.spec.source import MAX_FILE_BYTES, MODELS, read_source
from gradcost.units import DTYPES
from networks import networks

HEAD = "input: {shape: [3]}\nlayers:\n"
LAYER = "  - {name: h, type: dense, units: 4}\n"

BAD = {
    "unknown key": (
        HEAD + "  - {name: h, type: dense, unit: 4}\n",
        "3:28",
        ["unknown key 'unit'", "did you mean 'units'?"],
    ),
    "unknown top key": ("inptu: {shape: [3]}\n", "1:1", ["'inptu'", "did you mean 'input'?"]),
    "unknown type": (HEAD + "  - {type: dens, units: 4}\n", "3:12", ["'dens'", "did you mean 'dense'?"]),
    "unknown activation": (HEAD + "  - {type: dense, units: 4, activation: sigmiod}\n", "3:41", ["'sigmoid'"]),
    "unknown loss": (HEAD + LAYER + "loss: bec\n", "4:7", ["did you mean 'bce'?"]),
    "unknown targets": (HEAD + LAYER + "loss: softmax_ce\ntargets: clases\n", "5:10", ["did you mean 'classes'?"]),
    "targets of others": (
        HEAD + LAYER + "loss: softmax_ce\ntargets: one-hot\n",
        "5:10",
        ["write dense", "classes, dense"],
    ),
    "targets without classes": (HEAD + LAYER + "targets: dense\nloss: mse\n", "4:10", ["softmax_ce", "mse; remove it"]),
    "targets without a loss": (HEAD + LAYER + "targets: classes\n", "4:10", ["not none; remove it"]),
    "tokens as numbers": (
        "input: {shape: [3], vocabulary: 5}\nlayers:\n" + LAYER,
        "3:5",
        ["'input' holds tokens", "embedding"],
    ),
    "unknown dtype": (HEAD + LAYER + "dtype: bfloat16\n", "4:8", ["float16, float32, float64"]),
    "missing units": (HEAD + "  - {type: dense}\n", "3:5", ["needs the key 'units'"]),
    "missing type": (HEAD + "  - {units: 4}\n", "3:5", ["needs the key 'type'"]),
    "missing layers": ("input: {shape: [3]}\n", "1:1", ["needs the key 'layers'"]),
    "no layers": ("input: {shape: [3]}\nlayers: []\n", "2:9", ["at least one layer"]),
    "two kinds of input": ("input: {shape: [3]}\ninputs: {a: [3]}\n", "1:1", ["either"]),
    "duplicate key": (HEAD + "  - {type: dense, units: 4, units: 5}\n", "3:29", ["'units' stands twice", "3:19"]),
    "duplicate name": (HEAD + LAYER + LAYER, "4:12", ["'h' is taken", ":3:12"]),
    "dangling": (HEAD + "  - {name: h, type: dense, units: 4, from: inptu}\n", "3:44", ["did you mean 'input'?"]),
    "self": (HEAD + "  - {name: h, type: dense, units: 4, from: h}\n", "3:44", ["cannot refer to itself", "cycle"]),
    "cycle": (
        HEAD + "  - {name: a, type: add, from: [input, b]}\n  - {name: b, type: dense, units: 3, from: a}\n",
        "3:40",
        ["'b' stands further down", "4:12", "cycle"],
    ),
    "unused layer": (HEAD + LAYER + "  - {type: dense, units: 1, from: input}\n", "3:5", ["'h'", "never used"]),
    "unused input": (
        "inputs: {a: [3], b: [4]}\nlayers:\n  - {type: dense, units: 1, from: a}\n",
        "1:1",
        ["'b' is never used"],
    ),
    "several inputs, no from": ("inputs: {a: [3], b: [3]}\nlayers:\n" + LAYER, "3:5", ["say which"]),
    "shapes of add": (
        HEAD + LAYER + "  - {type: add, from: [h, input]}\n",
        "4:5",
        ["one shape", "h [4]", "input [3]"],
    ),
    "shapes of concat": (
        "inputs: {a: [3], b: [3, 2]}\nlayers:\n  - {type: concat, from: [a, b]}\n",
        "3:5",
        ["every axis but"],
    ),
    "concat axis": (HEAD + LAYER + "  - {type: concat, axis: 3, from: [h, input]}\n", "4:5", ["axis 3"]),
    "reshape": (HEAD + "  - {type: reshape, shape: [2, 2]}\n", "3:5", ["3 elements", "(4)"]),
    "too few inputs": (HEAD + "  - {type: add}\n", "3:5", ["at least 2 inputs, not 1"]),
    "too many inputs": (
        HEAD + LAYER + "  - {type: dense, units: 2, from: [h, input]}\n",
        "4:5",
        ["reads 1 input, not 2"],
    ),
    "zero units": (HEAD + "  - {type: dense, units: 0}\n", "3:26", ["from 1 to"]),
    "negative batch": (HEAD + LAYER + "batch: -2\n", "4:8", ["from 1 to"]),
    "absurd units": (HEAD + f"  - {{type: dense, units: 1{'0' * 40}}}\n", "3:26", ["from 1 to 1,000,000,000,000"]),
    "number beyond reading": (HEAD + f"  - {{type: dense, units: 1{'0' * 9000}}}\n", "3:26", ["not a usable number"]),
    "fraction": (HEAD + "  - {type: dense, units: 2.5}\n", "3:26", ["whole number"]),
    "boolean size": (HEAD + "  - {type: dense, units: true}\n", "3:26", ["whole number"]),
    "nan": (HEAD + LAYER + "  - {type: dropout, rate: .nan}\n", "4:27", ["finite"]),
    "infinite": (HEAD + LAYER + "  - {type: layernorm, eps: .inf}\n", "4:28", ["finite"]),
    "rate of one": (HEAD + LAYER + "  - {type: dropout, rate: 1.0}\n", "4:27", ["below 1"]),
    "text for number": (HEAD + "  - {type: dense, units: four}\n", "3:26", ["the text 'four'"]),
    "bias of text": (HEAD + "  - {type: dense, units: 4, bias: 'no'}\n", "3:35", ["true or false"]),
    "shape no list": ("input: {shape: 3}\nlayers:\n" + LAYER, "1:16", ["list of sizes"]),
    "shape of zero": ("input: {shape: [3, 0]}\nlayers:\n" + LAYER, "1:20", ["from 1 to"]),
    "shape empty": ("input: {shape: []}\nlayers:\n" + LAYER, "1:16", ["1 to 8 sizes"]),
    "layer no mapping": (HEAD + "  - dense\n", "3:5", ["must be a mapping"]),
    "layers no list": ("input: {shape: [3]}\nlayers: dense\n", "2:9", ["must be a list"]),
    "name with dots": (HEAD + "  - {name: a.b, type: dense, units: 4}\n", "3:12", ["cannot be a name"]),
    "repeat zero": (HEAD + "  - {repeat: 0, layers: [{type: dense, units: 4}]}\n", "3:14", ["from 1 to"]),
    "repeat too long": (HEAD + "  - {repeat: 200001, layers: [{type: dense, units: 4}]}\n", "3:14", ["to 200,000"]),
    "repeat unknown key": (HEAD + "  - {repeat: 2, layer: []}\n", "3:17", ["did you mean 'layers'?"]),
    "repeat in repeat too long": (
        HEAD + "  - {repeat: 90000, layers: [{repeat: 90000, layers: [{type: activation, activation: tanh}]}]}\n",
        "3:55",
        ["over 200,000 layers"],
    ),
    "slope elsewhere": (
        HEAD + LAYER + "  - {type: activation, activation: tanh, negative_slope: 0.1}\n",
        "4:5",
        ["leaky_relu"],
    ),
    "unknown variable": ("input: {shape: [3]}\nvars: {w: =2*q}\nlayers:\n" + LAYER, "2:11", ["variable 'q'"]),
    "code": (HEAD + "  - {type: dense, units: =__import__('os')}\n", "3:26", ["only whole numbers"]),
    "power": (HEAD + "  - {type: dense, units: =9**9**9}\n", "3:26", ["only whole numbers"]),
    "growth": (HEAD + f"  - {{type: dense, units: ={'*'.join(['99999999'] * 20)}}}\n", "3:26", ["grows beyond"]),
    "division by zero": (HEAD + "  - {type: dense, units: =4//0}\n", "3:26", ["divides by zero"]),
    "no arithmetic": (HEAD + "  - {type: dense, units: =4*}\n", "3:26", ["not arithmetic"]),
    "negative expression": (HEAD + "  - {type: dense, units: =2-3}\n", "3:26", ["from 1 to"]),
    "unknown block": (HEAD + "  - {block: a}\n", "3:13", ["no block 'a'"]),
    "block in itself": (
        "blocks: {a: {layers: [{block: a}]}}\n" + HEAD + "  - {block: a}\n",
        "1:31",
        ["'a' contains itself"],
    ),
    "unknown argument": (
        "blocks: {a: {args: [n], layers: [{type: dense, units: =n}]}}\n" + HEAD + "  - {block: a, with: {m: 3}}\n",
        "4:23",
        ["unknown key 'm'", "allowed: n"],
    ),
    "missing argument": (
        "blocks: {a: {args: [n], layers: [{type: dense, units: =n}]}}\n" + HEAD + "  - {block: a}\n",
        "4:5",
        ["needs the key 'n'"],
    ),
    "block without layers": ("blocks: {a: {args: [n]}}\n" + HEAD + LAYER, "1:13", ["needs the key 'layers'"]),
    "shared with another shape": (
        HEAD + LAYER + "  - {type: dense, units: 3, share: h}\n",
        "4:5",
        ["[4, 3]", "[3, 4]"],
    ),
    "shared with nothing": (HEAD + LAYER + "  - {type: dense, units: 3, share: input}\n", "4:5", ["with parameters"]),
    "kernel too large": (
        "input: {shape: [3, 8, 8]}\nlayers:\n  - {type: conv2d, filters: 1, kernel: 9}\n",
        "3:5",
        ["fit"],
    ),
    "groups": (
        "input: {shape: [3, 8, 8]}\nlayers:\n  - {type: conv2d, filters: 4, kernel: 1, groups: 2}\n",
        "3:5",
        ["groups 2 must divide"],
    ),
    "rank of conv2d": (HEAD + "  - {type: conv2d, filters: 4, kernel: 1}\n", "3:5", ["[channels, height, width]"]),
    "no tokens": (HEAD + "  - {type: embedding, units: 4}\n", "3:5", ["vocabulary"]),
    "heads": (
        "input: {shape: [3, 4]}\nlayers:\n  - {type: multi_head_attention, heads: 3}\n",
        "3:5",
        ["divide the 4 units"],
    ),
    "order": ("input: {shape: [3, 4]}\nlayers:\n  - {type: permute, order: [0, 0]}\n", "3:5", ["each axis"]),
    "not yaml": ("input: {shape: [3}\n", "1:18", ["not valid YAML"]),
    "control character": ("input: \x07\n", "1:8", ["not valid YAML"]),
    "python tag": ("input: !!python/object/apply:os.system ['true']\n", "1:8", ["tag", "not allowed"]),
    "plain tag": (HEAD + "  - !layer {type: dense}\n", "3:5", ["tag"]),
    "key no text": ("3: 4\n", "1:1", ["a key must be text"]),
    "list": ("- 1\n", "1:1", ["must be a mapping"]),
    "two documents": (HEAD + LAYER + "---\na: 1\n", "4:1", ["second YAML document"]),
    "unknown alias": ("input: *a\n", "1:8", ["alias"]),
    "alias in itself": ("input: &a [*a]\n", "1:12", ["contains itself"]),
    "deep": ("input: " + "[" * 5000, "1:", ["nested deeper"]),
    "bomb": (
        "a: &a [1,1,1,1,1,1,1,1,1]\n"
        + "".join(f"{c}: &{c} [{','.join([f'*{b}'] * 9)}]\n" for b, c in zip("abcdefgh", "bcdefghi", strict=True)),
        "",
        ["expands to over"],
    ),
    "empty": ("", "", ["is empty"]),
    "comment only": ("# nothing\n", "", ["is empty"]),
}


@pytest.mark.parametrize("case", BAD)
def test_mistakes_name_place_and_mend(case: str, tmp_path: Path) -> None:
    text, where, words = BAD[case]
    path = tmp_path / "net.yaml"
    path.write_text(text)
    with pytest.raises(SpecError) as caught:
        gradcost.load(path)
    message = str(caught.value)
    place = f"{path}:{where}" if where else str(path)
    assert message.startswith(place), message
    for word in words:
        assert word in message, message
    assert "\n" not in message


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="no such file"):
        gradcost.load(tmp_path / "none.yaml")
    with pytest.raises(SpecError, match="is a directory"):
        gradcost.load(tmp_path)
    with pytest.raises(SpecError, match="cannot be read"):
        gradcost.load("a\0b")
    latin = tmp_path / "latin.yaml"
    latin.write_bytes(b"input: {shape: [3]}\nname: caf\xe9\n")
    with pytest.raises(SpecError, match=r"latin.yaml:2:10: not UTF-8"):
        gradcost.load(latin)
    huge = tmp_path / "huge.yaml"
    with huge.open("wb") as stream:
        stream.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(SpecError, match="larger than"):
        gradcost.load(huge)


NET = HEAD + LAYER + "loss: mse\n"


def with_stdin(monkeypatch: pytest.MonkeyPatch, raw: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))


def test_standard_input_is_a_source(monkeypatch: pytest.MonkeyPatch) -> None:
    with_stdin(monkeypatch, NET.encode())
    network = gradcost.load("-")
    assert (network.name, network.parameters) == ("stdin", 16)
    with_stdin(monkeypatch, (HEAD + "  - {type: dens}\n").encode())
    with pytest.raises(SpecError, match="<stdin>:3:12: unknown layer type 'dens'"):
        gradcost.load("-")
    with_stdin(monkeypatch, b"name: caf\xe9\n")
    with pytest.raises(SpecError, match="<stdin>:1:10: not UTF-8"):
        gradcost.load("-")
    with_stdin(monkeypatch, b"")
    with pytest.raises(SpecError, match="<stdin>: is empty"):
        gradcost.load("-")
    monkeypatch.setattr(sys, "stdin", io.StringIO(NET))
    assert gradcost.load("-").parameters == 16
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(SpecError, match="<stdin>: is closed"):
        gradcost.load("-")


def gradcost_on(text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "gradcost", *arguments], input=text, capture_output=True, text=True)


@pytest.mark.parametrize("place", ["-", "/dev/stdin"])
def test_a_pipe_gives_its_text_once_to_all_that_read_it(place: str, tmp_path: Path) -> None:
    """A page needs the spec twice, for the report and for its growth; crossover once for each of its axes."""
    if place != "-" and not Path(place).exists():
        pytest.skip(f"needs {place}")
    page = tmp_path / "page.html"
    done = gradcost_on(NET, "analyze", place, "--no-measure", "--html", str(page), "--along", "batch=1,2,4")
    assert (done.returncode, done.stderr) == (0, "")
    assert page.stat().st_size > 0
    done = gradcost_on(NET, "crossover", place, "--along", "batch=1:4", "--along", "layers.h.units=1:4")
    assert done.returncode == 0, done.stderr
    done = gradcost_on(NET, "sweep", place, "--set", "batch=1,2", "--jsonl", str(tmp_path / "rows.jsonl"))
    assert done.returncode == 0, done.stderr


def test_networks_that_come_along_are_found_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert gradcost.load("two_layer").parameters == 21
    for name in ("resnet18", "zoo/resnet18", Path("zoo/resnet18")):
        assert gradcost.load(name).parameters == 11_689_512
    (tmp_path / "two_layer").mkdir()
    assert gradcost.load("two_layer").parameters == 21, "a folder is no spec"
    (tmp_path / "resnet18").write_text(NET)
    assert gradcost.load("resnet18").parameters == 16, "a file of that name wins"
    for wrong, right in (("two_lair", "two_layer"), ("resnt50", "resnet50"), ("configs/two_layer.yaml", "two_layer")):
        with pytest.raises(SpecError, match=f"{wrong}: no such file; did you mean '{right}'"):
            gradcost.load(wrong)


def test_models_are_told_what_to_do_instead() -> None:
    with pytest.raises(SpecError, match=r"`gradcost import my/model.onnx -o my/model.yaml`"):
        gradcost.load("my/model.onnx")
    with pytest.raises(SpecError, match=r"`gradcost import 'my model.ONNX' -o 'my model.yaml'`"):
        gradcost.load("my model.ONNX")
    assert {".pt", ".pth", ".pt2"} <= set(MODELS)
    for name in ("model.pt", "model.pth", Path("model.pt2")):
        with pytest.raises(SpecError, match=r"model.pt.*PyTorch.*gradcost.from_torch\(module, example_inputs\)"):
            gradcost.load(name)
    with pytest.raises(SpecError, match=re.escape("torch.export.load('model.pt2').module()")):
        gradcost.load("model.pt2")


@pytest.mark.parametrize("name", names())
def test_a_source_is_the_plain_mapping_that_its_yaml_is(name: str) -> None:
    assert dict(read_source(name)) == yaml.safe_load(read(name))


def test_a_source_still_knows_where_everything_stands(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(HEAD + "  - {type: dense, units: 0}\n")
    source = read_source(path)
    path.unlink()
    for read_again in (gradcost.load, gradcost.analyze):
        with pytest.raises(SpecError, match=re.escape(f"{path}:3:26: units must be")):
            read_again(source)
    assert read_source(source) is source


def test_what_looks_like_another_type_stays_the_text_that_it_is(tmp_path: Path) -> None:
    path = tmp_path / "date.yaml"
    path.write_text("name: 2024-01-01\n" + NET)
    assert read_tree(path)["name"] == gradcost.load(path).name == "2024-01-01"
    rows = list(sweep(path, [Axis("batch", (1, 2))]))
    assert [row.error for row in rows] == [None, None]
    aliased = tmp_path / "aliased.yaml"
    aliased.write_text("input: {shape: [3]}\nlayers:\n  - &l {type: dense, units: 3}\n  - *l\n")
    changed = at(read_tree(aliased), {"layers.1.units": 5})
    assert [layer["units"] for layer in changed["layers"]] == [5, 3], "one place is set, not all that look like it"


def test_one_file_reads_yaml_and_one_writes_it() -> None:
    root = Path(__file__).parent.parent
    files = [path for folder in ("analyzer", "cli", "configs") for path in (root / folder).rglob("*.py")]
    users = {path.relative_to(root).as_posix() for path in files if "import yaml" in path.read_text()}
    assert users == {"analyzer/spec/located.py", "analyzer/spec/flow.py"}


FOREIGN = {
    "ReLU": "{type: activation, activation: relu}",
    "nn.Linear": "{type: dense, units: 64}",
    "Dense": "{type: dense, units: 64}",
    "fc": "{type: dense, units: 64}",
    "Conv2d": "{type: conv2d, filters: 64, kernel: 3}",
    "tf.keras.layers.Conv2DTranspose": "{type: conv_transpose2d, filters: 64, kernel: 2, stride: 2}",
    "BatchNorm2d": "{type: batchnorm}",
    "LayerNorm": "{type: layernorm}",
    "MultiheadAttention": "{type: multi_head_attention, heads: 8}",
    "scaled_dot_product_attention": "{type: attention, from: [q, k, v]}",
    "LSTM": "{type: lstm, units: 64}",
    "MaxPool2d": "{type: max_pool, kernel: 2}",
    "Softmax": "{type: activation, activation: softmax}",
}
FOREIGN_LOSSES = {
    "CrossEntropyLoss": "softmax_ce; it takes logits",
    "cross_entropy": "softmax_ce; it takes logits",
    "nll": "softmax_ce; it takes logits",
    "MSELoss": "mse",
    "BCELoss": "bce; it takes probabilities, from a sigmoid",
    "BCEWithLogitsLoss": "bce; it takes probabilities: end the network with {type: activation, activation: sigmoid}",
}
FOREIGN_DTYPES = {
    "float": "float32",
    "double": "float64",
    "torch.float32": "float32",
    "fp32": "float32",
    "Float64": "float64",
    "half": "float16",
    "bfloat16": "float32; `gradcost memory --precision`",
}


@pytest.mark.parametrize("name", FOREIGN)
def test_layers_of_other_frameworks_are_pointed_to_ours(name: str) -> None:
    spec = {"input": {"shape": [3]}, "layers": [{"type": name}]}
    with pytest.raises(SpecError) as caught:
        gradcost.load(spec)
    assert str(caught.value).partition(";")[0] == f"layers[0].type: unknown layer type {name!r}: write {FOREIGN[name]}"


@pytest.mark.parametrize("name", FOREIGN_LOSSES)
def test_losses_of_other_frameworks_are_pointed_to_ours(name: str) -> None:
    spec = {"input": {"shape": [3]}, "layers": [{"type": "dense", "units": 1}], "loss": name}
    message = f"unknown loss {name!r}: write {FOREIGN_LOSSES[name]}"
    module: Any = None
    with pytest.raises(SpecError, match=re.escape(f"loss: {message}")):
        gradcost.load(spec)
    with pytest.raises(gradcost.UsageError, match=re.escape(message)):
        gradcost.from_onnx("none.onnx", loss=name)
    with pytest.raises(gradcost.UsageError, match=re.escape(message)):
        gradcost.from_torch(module, (), loss=name)


@pytest.mark.parametrize("name", FOREIGN_DTYPES)
def test_dtypes_of_other_frameworks_are_pointed_to_ours(name: str) -> None:
    spec = {"input": {"shape": [3]}, "layers": [{"type": "dense", "units": 1}]}
    message = re.escape(f"dtype cannot be the text {name!r}: write {FOREIGN_DTYPES[name]}")
    with pytest.raises(SpecError, match=message):
        gradcost.load({**spec, "dtype": name})
    with pytest.raises(SpecError, match=message):
        gradcost.load(spec, dtype=name)


@pytest.mark.parametrize("ours", foreign.LAYERS, ids=lambda ours: ours.text)
def test_what_is_to_be_written_for_a_foreign_layer_can_be(ours: foreign.Ours) -> None:
    layer = parse_yaml(ours.text, "text")
    kind = LAYER_TYPES[layer.value.pop("type").value]
    layer.value.pop("from", None)
    read_mapping(layer, kind.fields, ours.text)


def test_what_is_to_be_written_for_a_foreign_loss_or_dtype_can_be() -> None:
    assert {ours.text for ours in foreign.LOSSES} == set(LOSSES)
    assert {ours.text for ours in foreign.DTYPES} == set(DTYPES)
    assert {ours.text for ours in foreign.TARGETS} == set(TARGETS.allowed)


@pytest.mark.parametrize("table", [foreign.LAYERS, foreign.LOSSES, foreign.DTYPES, foreign.TARGETS])
def test_a_foreign_name_stands_once_as_it_is_looked_up(table: tuple[foreign.Ours, ...]) -> None:
    listed = [name for ours in table for name in ours.names.split()]
    assert sorted(listed) == sorted({foreign.bare(name) for name in listed})


def test_our_own_names_in_another_spelling_are_understood() -> None:
    for table, own in ((foreign.LAYERS, LAYER_TYPES), (foreign.LOSSES, LOSSES), (foreign.DTYPES, DTYPES)):
        silent = [name for name in own if not foreign.written(name.upper(), table)]
        assert silent in ([], ["activation"])  # which names none of its kinds


def test_a_name_is_close_whatever_its_case() -> None:
    assert guess("ReLU", ["relu", "gelu"]) == guess("rellu", ["RELU", "gelu"]).lower() == "; did you mean 'relu'?"
    assert guess("zzz", ["relu"]) == ""


def test_losses_and_dtypes_are_declared_once() -> None:
    """Whatever lists them reads the registry: another loss is in the reader, the editors' schema and the messages."""
    schema = spec_schema({}, [*LOSSES, "hinge"])
    assert schema["properties"]["loss"]["enum"] == [*LOSSES, "hinge", None]
    assert schema["properties"]["dtype"]["enum"] == list(DTYPES)
    assert schema["properties"]["targets"]["enum"] == list(TARGETS.allowed)
    spec = read_spec({"input": {"shape": [3]}, "layers": [{"type": "dense", "units": 1}], "loss": "hinge"})
    assert build_graph(spec, LAYER_TYPES, {**LOSSES, "hinge": LOSSES["mse"]}, VARIABLES).parameters == 4
    assert "|".join(LOSSES) in CliRunner().invoke(commands, ["import", "--help"]).output


def test_names_that_are_not_there_are_refused_before_a_grid_is_run() -> None:
    spec: dict[str, Any] = {"input": {"shape": [3]}, "layers": [{"type": "dense", "units": 1}]}
    for change in ({"loss": "hinge"}, {"layers": [{"type": "Linear"}]}):
        with pytest.raises(SpecError, match="unknown"):
            next(sweep({**spec, **change}, [Axis("batch", (1, 2))]))


def test_dict_specs_name_their_path() -> None:
    with pytest.raises(SpecError, match=r"layers\[0\]\.units: units must be"):
        gradcost.load({"input": {"shape": [3]}, "layers": [{"type": "dense", "units": 0}]})
    with pytest.raises(SpecError, match="not object"):
        gradcost.load({"input": object()})
    loop: dict[str, Any] = {}
    loop["input"] = loop
    with pytest.raises(SpecError, match="nested deeper"):
        gradcost.load(loop)


def test_overrides_are_checked_as_the_spec_is() -> None:
    spec = {"input": {"shape": [3]}, "layers": [{"type": "dense", "units": 2}]}
    assert gradcost.load(spec, batch=7, dtype="float32").batch == 7
    with pytest.raises(SpecError, match="batch must be from 1"):
        gradcost.load(spec, batch=0)
    with pytest.raises(SpecError, match="float32, float64"):
        gradcost.load(spec, dtype="float8")


def test_repeat_names_its_layers_and_scopes_its_references(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(
        HEAD
        + "  - repeat: 2\n    name: block\n    layers:\n"
        + "      - {name: up, type: dense, units: 3}\n"
        + "      - {name: skip, type: add, from: [up, input]}\n"
        + "  - {name: out, type: add, from: [block, block.1.up]}\n"
    )
    layers = gradcost.load(path).layers
    assert [(layer.name, layer.inputs) for layer in layers] == [
        ("block.1.up", ("input",)),
        ("block.1.skip", ("block.1.up", "input")),
        ("block.2.up", ("block.1.skip",)),
        ("block.2.skip", ("block.2.up", "block.1.skip")),
        ("out", ("block.2.skip", "block.1.up")),
    ]


def test_aliases_within_bounds_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text("input: {shape: &s [3]}\nlayers:\n  - &l {type: dense, units: 3}\n  - *l\n")
    assert len(gradcost.load(path).layers) == 2


def refusal(read: Callable[[], object]) -> str | None:
    """Return what a reader says against its input; None where it accepts it."""
    try:
        read()
    except SpecError as error:
        return str(error)
    return None


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda raw: raw.decode("latin-1")))
def test_any_text_is_read_or_refused_in_one_line(text: str) -> None:
    said = refusal(lambda: parse_yaml(text, "any"))
    assert said is None or said.startswith("any")


@given(st.integers(0, 2**32), st.integers(1, 6))
def test_a_damaged_spec_is_read_or_refused(seed: int, edits: int) -> None:
    rng = random.Random(seed)
    text = list(HEAD + LAYER + "  - {type: activation, activation: relu}\nloss: mse\nbatch: 2\n")
    for _ in range(edits):
        position = rng.randrange(len(text))
        text[position] = rng.choice([*"{}[]:,-&*!|>'\"%@`#?\n \t019ex", ""])
    spec = "".join(text)
    said = refusal(lambda: build_graph(_network(parse_yaml(spec, "net"), "net"), LAYER_TYPES, LOSSES, VARIABLES))
    assert said is None or said.startswith("net")


def spec_validator() -> Draft202012Validator:
    done = CliRunner().invoke(commands, ["schema", "--spec"])
    schema = json.loads(done.stdout)
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


SCHEMA = spec_validator()


@pytest.mark.parametrize("name", names())
def test_the_schema_for_editors_knows_every_example(name: str) -> None:
    SCHEMA.validate(yaml.safe_load(read(name)))


@given(networks())
def test_the_schema_for_editors_takes_what_the_reader_takes(spec: dict[str, Any]) -> None:
    SCHEMA.validate(spec)


@pytest.mark.parametrize(
    "change",
    [
        {"layers": []},
        {"layers": [{"type": "dens", "units": 1}]},
        {"layers": [{"type": "dense"}]},
        {"layers": [{"type": "dense", "units": 0}]},
        {"layers": [{"type": "dense", "units": 1, "unit": 1}]},
        {"layers": [{"repeat": 2}]},
        {"layers": [{"type": "conv2d", "filters": 1, "kernel": [1, 2, 3]}]},
        {"layers": [{"type": "activation", "activation": "rellu"}]},
        {"batch": 0},
        {"dtype": "bfloat16"},
        {"targets": "one_hot"},
        {"loss": "hinge"},
        {"input": {"shapes": [3]}},
        {"inputs": {"left": [3]}},
    ],
)
def test_the_schema_for_editors_refuses_mistakes(change: dict[str, Any]) -> None:
    good = {"input": {"shape": [3]}, "layers": [{"type": "dense", "units": "=2*3"}], "loss": "mse"}
    SCHEMA.validate(good)
    assert not SCHEMA.is_valid({**good, **change})
    with pytest.raises(SpecError):
        gradcost.load({**good, **change})


def test_blocks_in_blocks_end_somewhere() -> None:
    depth = 600
    blocks: dict[str, Any] = {f"b{i}": {"layers": [{"block": f"b{i + 1}"}]} for i in range(depth)}
    blocks[f"b{depth}"] = {"layers": [{"type": "dense", "units": 2}]}
    with pytest.raises(SpecError, match="blocks stand more than 128 deep in one another"):
        gradcost.load({"input": {"shape": [3]}, "blocks": blocks, "layers": [{"block": "b0"}]})
    gradcost.load({"input": {"shape": [3]}, "blocks": blocks, "layers": [{"block": f"b{depth - 100}"}]})


def test_what_is_no_type_names_no_layer() -> None:
    with pytest.raises(SpecError) as caught:
        gradcost.load(
            {"input": {"shape": [3]}, "layers": [{"type": "\x1b[31mred\n"}, {"type": "dense", "from": "nope"}]}
        )
    assert str(caught.value).isprintable()
