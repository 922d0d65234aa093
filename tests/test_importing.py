"""Models from elsewhere: axes followed through views, drafts as readable specs, ONNX files built here."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import gradcost
from gradcost.cli.main import commands
from gradcost.importing.axes import Atom, UnsupportedError, Value, fresh
from gradcost.importing.draft import Draft
from gradcost.importing.recipes import products
from gradcost.importing.spec_text import spec_of, text_of
from gradcost.importing.weights import Weight
from gradcost.spec.located import parse_yaml


@st.composite
def regroupings(draw: st.DrawFn, sizes: Sequence[int]) -> list[int]:
    """Draw another shape of the same size: neighbours merged, axes split, ones put in."""
    found: list[int] = []
    for size in sizes:
        merged = draw(st.booleans())
        if found and merged:
            found[-1] *= size
        else:
            found.append(size)
    split: list[int] = []
    for size in found:
        factors = [factor for factor in range(1, size + 1) if size % factor == 0]
        factor = draw(st.sampled_from(factors))
        halved = draw(st.booleans())
        split += [factor, size // factor] if halved else [size]
    return split


@given(st.data())
def test_views_are_followed_as_numpy_does_them(data: st.DataObject) -> None:
    """Any run of reshapes and transposes, the batch anywhere: the layers that come of it move the same elements."""
    shape = tuple(data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=3)))
    batch = data.draw(st.sampled_from((1, 5)))
    numbers = np.arange(batch * prod(shape)).reshape(batch, *shape)
    draft = Draft("views", "float32", Atom(batch, batch=True))
    value, expected = draft.input("x", numbers.shape), numbers
    for _ in range(data.draw(st.integers(0, 5))):
        if data.draw(st.booleans()):
            order = data.draw(st.permutations(range(len(value.axes))))
            value, expected = value.moved(order), expected.transpose(order)
            continue
        wanted = data.draw(regroupings(value.sizes))
        try:
            value, expected = value.reshaped(wanted), expected.reshape(wanted)
        except UnsupportedError:
            continue
    assert value.sizes == expected.shape
    laid = draft.laid_out(value)
    assert laid.shape == (value.own_shape or (1,))
    for sample in range(batch):
        moved = numbers[sample]
        for entry in draft.entries:
            if entry.type == "permute":
                moved = moved.transpose(entry.options["order"])
            else:
                moved = moved.reshape(entry.options.get("shape", -1))
        own = expected.reshape(-1)[np.isin(expected.reshape(-1), numbers[sample])]
        assert np.array_equal(moved.reshape(-1), own), "what is left of a sample, in the order of the tensor"


def test_a_reshape_across_axes_is_refused() -> None:
    batch = Atom(2, batch=True)
    value = fresh("x", (3, 4), batch)
    for wanted in ((4, 6), (2, 5), (24, 2), (2, 3)):
        with pytest.raises(UnsupportedError, match="reshapes"):
            value.reshaped(wanted)
    with pytest.raises(UnsupportedError, match="along the batch axis"):
        value.position(0)


def residual(blocks: int) -> Draft:
    draft = Draft("net", "float64", Atom(2, batch=True))
    value = draft.dense("stem", draft.input("x", [2, 6]), 4, bias=True)
    for number in range(blocks):
        up = draft.dense(f"layers_{number}_up", value, 8, bias=True)
        up = draft.elementwise("relu", "activation", up, activation="relu")
        down = draft.dense(f"layers_{number}_down", up, 4, bias=False)
        value = draft.join("add", "add", [down, value])
    draft.end(draft.dense("head", value, 3, bias=True))
    return draft


@pytest.mark.parametrize("blocks", [1, 2, 5])
def test_repeated_runs_become_blocks_of_the_same_network(blocks: int) -> None:
    draft = residual(blocks)
    text = text_of(draft, "mse")
    folded, plain = gradcost.load(parse_dict(text)), gradcost.load(spec_of(draft, "mse"))
    assert ("repeat: 5" in text) == (blocks == 5)
    for first, second in zip(folded.nodes, plain.nodes, strict=True):
        assert (type(first.layer), first.shape, first.sources) == (type(second.layer), second.shape, second.sources)
    assert folded.parameters == plain.parameters == 6 * 4 + 4 + blocks * (4 * 8 + 8 + 8 * 4) + 4 * 3 + 3
    if blocks == 5:
        assert "      - {name: up, type: dense, units: 8, activation: relu}" in text.splitlines()
        assert "      - {name: add, type: add, from: [down, input]}" in text.splitlines()
        assert len(text.splitlines()) == 15


def runs(count: int) -> tuple[Draft, list[Value]]:
    """A chain of runs that can be folded, and what the first layer of each makes."""
    draft = Draft("net", "float64", Atom(2, batch=True))
    value, inner = draft.input("x", [2, 4]), []
    for number in range(count):
        inner.append(products.dense(draft, f"layers_{number}_up", value, Weight((4, 4), number), units=4))
        value = draft.over_last(f"layers_{number}_norm", "rmsnorm", inner[-1])
    return draft, [*inner, value]


def same_network(draft: Draft) -> str:
    """Return a draft's YAML, once it has been seen to be the network of its dict."""
    text = text_of(draft, "mse")
    folded, plain = gradcost.load(parse_dict(text)), gradcost.load(spec_of(draft, "mse"))
    ours, theirs = ([(type(node.layer), node.sources, node.shared) for node in each.nodes] for each in (folded, plain))
    assert ours == theirs
    return text


def test_a_run_that_is_read_from_outside_is_no_block() -> None:
    draft, values = runs(4)
    draft.end(values[-1])
    assert "repeat: 4" in same_network(draft)
    draft, values = runs(4)
    draft.end(draft.join("sum", "add", [values[-1], values[2]]))
    assert "repeat: 2" in same_network(draft), "the first two; the third has a reader further down"


def test_a_layer_whose_parameters_others_share_is_in_no_block() -> None:
    draft, values = runs(4)
    draft.end(products.dense(draft, "again", values[-1], Weight((4, 4), 2), units=4))
    text = same_network(draft)
    assert "repeat: 2" in text
    assert "share: layers_2_up" in text


def parse_dict(text: str) -> dict[str, Any]:
    import yaml

    assert parse_yaml(text, "net.yaml") is not None
    found: dict[str, Any] = yaml.safe_load(text)
    return found


def test_tied_weights_are_shared_and_counted_once() -> None:
    draft = Draft("tied", "float32", Atom(1, batch=True))
    value = draft.input("x", [1, 3])
    for name in ("first", "second"):
        value = draft.dense(name, value, 3, bias=True)
        draft.own(value.layer, {"W": "weight", "b": "bias"})
    value = draft.dense("third", value, 3, bias=True)
    draft.own(value.layer, {"W": "weight", "b": "another"})
    draft.end(value)
    assert [layer.get("share") for layer in spec_of(draft)["layers"]] == [None, "first", None]
    assert gradcost.load(spec_of(draft)).parameters == 24
    assert len(draft.notes) == 1, "a spec cannot share a half of a layer's parameters, and says so"


def test_parameters_are_kept_frozen_and_shared_as_they_are() -> None:
    draft = Draft("net", "float32", Atom(1, batch=True))
    x = draft.input("x", [1, 3])
    frozen, other = (Weight((3, 3), key, trainable=False) for key in ("frozen", "other"))
    one = products.dense(draft, "one", x, frozen, units=3)
    two = products.dense(draft, "two", one, frozen, units=3)
    three = products.dense(draft, "three", two, other, Weight((3,), "free", trainable=False), units=3)
    draft.end(products.dense(draft, "four", three, Weight((3, 3), "trained"), units=3))
    layers = spec_of(draft)["layers"]
    assert [layer.get("trainable", True) for layer in layers] == [False, False, False, True]
    assert [layer.get("share") for layer in layers] == [None, "one", None, None]
    with pytest.raises(UnsupportedError, match="some of its parameters are frozen"):
        products.dense(draft, "five", x, frozen, Weight((3,), "bias"), units=3)
    with pytest.raises(UnsupportedError, match="its weights are computed"):
        products.dense(draft, "six", x, one, units=3)


# ---- ONNX ----

onnx = pytest.importorskip("onnx")


def model(nodes: list[Any], weights: dict[str, Any], shape: Sequence[Any], path: Path, kind: int = 1) -> Path:
    from onnx import helper, numpy_helper

    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", 1, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
    )
    built = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    onnx.save(built, str(path))
    return path


def ones(*shape: int) -> Any:
    return np.random.default_rng(prod(shape)).normal(size=shape).astype(np.float32)


def test_a_convolutional_file(tmp_path: Path) -> None:
    from onnx.helper import make_node

    nodes = [
        make_node("Conv", ["x", "w", "b"], ["c"], strides=[2, 2], pads=[1, 1, 1, 1], name="/stem/conv/Conv"),
        make_node("BatchNormalization", ["c", "g", "h", "m", "v"], ["n"], name="/stem/bn/BatchNormalization"),
        make_node("Relu", ["n"], ["r"]),
        make_node("MaxPool", ["r"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        make_node("GlobalAveragePool", ["p"], ["a"]),
        make_node("Conv", ["a", "q"], ["e"]),
        make_node("Sigmoid", ["e"], ["s"]),
        make_node("Mul", ["p", "s"], ["o"]),
        make_node("Flatten", ["o"], ["f"]),
        make_node("Gemm", ["f", "k", "l"], ["y"], transB=1),
    ]
    weights = {"w": ones(4, 3, 3, 3), "b": ones(4), "g": ones(4), "h": ones(4), "m": ones(4), "v": abs(ones(4))}
    weights |= {"q": ones(4, 4, 1, 1), "k": ones(5, 64), "l": ones(5)}
    imported = gradcost.from_onnx(model(nodes, weights, ["batch", 3, 16, 16], tmp_path / "m.onnx"), batch=3, loss="mse")
    assert imported.spec["layers"][0] == {
        "name": "stem_conv",
        "type": "conv2d",
        "filters": 4,
        "kernel": 3,
        "stride": 2,
        "padding": 1,
    }
    assert imported.spec["layers"][1] == {"name": "stem_bn", "type": "batchnorm", "activation": "relu"}
    report = gradcost.analyze(imported.spec, strategies=["reverse"], measure=True)
    assert not report.mismatches
    assert report.network.parameters == sum(value.size for key, value in weights.items() if key not in "mv")
    assert report.primal.predicted.macs == 3 * (8 * 8 * 4 * 27 + 4 * 4 + 64 * 5)


def test_an_attention_file(tmp_path: Path) -> None:
    """Tokens, an erf written out as a gelu, a mask that hides what is ahead, and sizes computed from shapes."""
    from onnx.helper import make_node

    mask = np.triu(np.full((4, 4), -np.inf, np.float32), 1)
    nodes = [
        make_node("Gather", ["table", "x"], ["e"]),
        make_node("Add", ["e", "positions"], ["h"]),
        make_node("MatMul", ["h", "w"], ["p"]),
        make_node("Add", ["p", "b"], ["z"]),
        make_node("Split", ["z"], ["q", "k", "v"], axis=-1, num_outputs=3),
        make_node("Transpose", ["k"], ["t"], perm=[0, 2, 1]),
        make_node("MatMul", ["q", "t"], ["s"]),
        make_node("Add", ["s", "mask"], ["d"]),
        make_node("Softmax", ["d"], ["u"]),
        make_node("Shape", ["v"], ["shape"]),
        make_node("Reshape", ["v", "shape"], ["same"]),
        make_node("MatMul", ["u", "same"], ["o"]),
        make_node("Div", ["o", "root"], ["i"]),
        make_node("Erf", ["i"], ["f"]),
        make_node("Add", ["f", "one"], ["f1"]),
        make_node("Mul", ["o", "f1"], ["of"]),
        make_node("Mul", ["of", "half"], ["g"]),
        make_node("LayerNormalization", ["g", "gamma", "beta"], ["y"]),
    ]
    weights: dict[str, Any] = {"table": ones(9, 6), "positions": ones(4, 6), "w": ones(6, 18), "b": ones(18)}
    weights |= {"gamma": ones(6), "beta": ones(6)}
    constants = {"mask": mask, "root": np.float32(np.sqrt(2)), "one": np.float32(1), "half": np.float32(0.5)}
    path = model(nodes, weights | constants, [2, 4], tmp_path / "m.onnx", kind=7)
    imported = gradcost.from_onnx(path, loss="mse")
    kinds = [layer["type"] for layer in imported.spec["layers"]]
    assert kinds[:3] == ["embedding", "positional", "dense"]
    attention = next(layer for layer in imported.spec["layers"] if layer["type"] == "attention")
    assert (attention["causal"], attention["scale"]) == (True, 1.0)
    assert "gelu" in [layer.get("activation") for layer in imported.spec["layers"]]
    assert imported.spec["input"] == {"shape": [4], "vocabulary": 9}
    report = gradcost.analyze(imported.spec, strategies=["reverse"], measure=True)
    assert not report.mismatches
    assert report.network.parameters == sum(value.size for value in weights.values())
    assert report.primal.predicted.macs == 2 * (4 * 6 * 18 + 2 * 4 * 4 * 6)


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_a_recurrent_file(kind: str, tmp_path: Path) -> None:
    from onnx.helper import make_node

    gates, units, steps = {"LSTM": 4, "GRU": 3, "RNN": 1}[kind], 5, 3
    given: dict[str, Any] = {"linear_before_reset": 1} if kind == "GRU" else {}
    nodes = [
        make_node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
        make_node(kind, ["t", "W", "R", "B"], ["out", "last"], hidden_size=units, **given),
        make_node("Squeeze", ["last", "axis"], ["h"]),
        make_node("Gemm", ["h", "k"], ["y"]),
    ]
    weights = {"W": ones(1, gates * units, 2), "R": ones(1, gates * units, units), "B": ones(1, 2 * gates * units)}
    weights |= {"k": ones(units, 4)}
    path = model(nodes, weights | {"axis": np.array([0])}, [2, steps, 2], tmp_path / "m.onnx")
    report = gradcost.analyze(gradcost.from_onnx(path).spec, strategies=["reverse"], measure=True)
    assert not report.mismatches
    assert report.network.parameters == sum(value.size for value in weights.values())
    macs = 2 * (steps * gates * units * (2 + units) + units * 4)
    assert report.primal.predicted.macs == macs


def test_what_has_no_counterpart_is_named_all_at_once(tmp_path: Path) -> None:
    from onnx.helper import make_node

    nodes = [
        make_node("Einsum", ["x", "x"], ["e"], equation="ij,ij->ij", name="first"),
        make_node("Relu", ["x"], ["r"]),
        make_node("Cumsum", ["r"], ["c"], name="second"),
        make_node("Softmax", ["c"], ["s"]),
        make_node("Add", ["e", "s"], ["y"]),
    ]
    path = model(nodes, {}, [2, 3], tmp_path / "m.onnx")
    with pytest.raises(gradcost.UsageError) as raised:
        gradcost.from_onnx(path)
    text = str(raised.value)
    assert "Einsum at first, reading [2, 3]: no layer type does this" in text
    assert "Cumsum at second, reading [2, 3]" in text
    assert "Softmax" not in text, "what only reads those is not to blame"


def test_import_from_the_command_line(tmp_path: Path) -> None:
    from onnx.helper import make_node

    path = model([make_node("Gemm", ["x", "k"], ["y"])], {"k": ones(3, 4)}, ["n", "m"], tmp_path / "m.onnx")
    error = CliRunner().invoke(commands, ["import", str(path)]).exception
    assert isinstance(error, gradcost.UsageError)
    assert "leaves sizes open (n,m)" in str(error)
    out = tmp_path / "net.yaml"
    done = CliRunner().invoke(commands, ["import", str(path), "--shape", "x=2,3", "-o", str(out), "--loss", "mse"])
    assert done.exit_code == 0
    assert gradcost.load(out).parameters == 12
    for bad in ("x", "x=", "x=1,0", "x=2,3,4", "z=2,3"):
        done = CliRunner().invoke(commands, ["import", str(path), "--shape", bad])
        assert isinstance(done.exception, gradcost.UsageError)
    for content in (b"", b"layers: []", bytes(range(256))):
        path.write_bytes(content)
        done = CliRunner().invoke(commands, ["import", str(path)])
        assert isinstance(done.exception, gradcost.UsageError), content


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    from onnx.helper import make_node

    nodes = [
        make_node("Conv", ["x", "w"], ["c"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], name="conv"),
        make_node("Relu", ["c"], ["r"]),
        make_node("MaxPool", ["r"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        make_node("Shape", ["p"], ["s"], end=1),
        make_node("Concat", ["s", "rest"], ["t"], axis=0),
        make_node("Reshape", ["p", "t"], ["f"]),
        make_node("Gemm", ["f", "k"], ["y"], transB=1),
    ]
    weights = {"w": ones(2, 1, 3, 3), "rest": np.array([-1]), "k": ones(3, 8)}
    return model(nodes, weights, [2, 1, 4, 4], tmp_path_factory.mktemp("onnx") / "m.onnx").read_bytes()


@given(data=st.data())
def test_a_damaged_file_is_one_error(
    data: st.DataObject, sound: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    damaged = bytearray(sound)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(damaged) - 1))
        if data.draw(st.booleans()):
            damaged[place] = data.draw(st.integers(0, 255))
        else:
            del damaged[place : place + data.draw(st.integers(1, 8))]
            if not damaged:
                break
    path = tmp_path_factory.getbasetemp() / f"damaged_{len(damaged)}.onnx"
    path.write_bytes(damaged)
    with suppress(gradcost.UsageError, gradcost.SpecError):  # and nothing else
        gradcost.load(gradcost.from_onnx(path).spec)


def test_a_file_of_half_the_size_whose_loss_reads_classes(tmp_path: Path) -> None:
    from onnx.helper import make_node

    nodes = [make_node("Gemm", ["x", "k", "l"], ["y"], transB=1)]
    weights = {"k": ones(5, 4).astype(np.float16), "l": ones(5).astype(np.float16)}
    file = model(nodes, weights, ["batch", 4], tmp_path / "m.onnx", kind=onnx.TensorProto.FLOAT16)
    imported = gradcost.from_onnx(file, batch=3, loss="softmax_ce")
    assert imported.spec["dtype"] == "float16"
    network, dense = imported.network(), gradcost.load({**imported.spec, "targets": "dense"})
    assert (network.loss.target_shape(3), network.loss.target_dtype(network.dtype)) == ((3,), "int64")
    assert (dense.loss.target_shape(3), dense.loss.target_dtype(dense.dtype)) == ((3, 5), "float16")
    assert not gradcost.analyze(network, measure=True).mismatches
