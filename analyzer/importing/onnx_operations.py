"""What each ONNX operation is as layers: one handler each, with the operation's inputs."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gradcost.importing import onnx_patterns as patterns
from gradcost.importing.axes import UnsupportedError, Value
from gradcost.importing.handlers import Handlers, as_value
from gradcost.importing.onnx_patterns import Causal, Gelu
from gradcost.importing.recipes import convolutions, elementwise, moves, norms, pooling, products, recurrent, tables
from gradcost.importing.weights import Weight, own
from gradcost.numerics import np

if TYPE_CHECKING:
    from gradcost.importing.onnx_model import Reader

HANDLERS = Handlers()
handles = HANDLERS.handles


# ---- layers ----


@handles("Gemm")
def _gemm(reader: Reader, x: Any, weight: Any, bias: Any = None) -> Value:
    given = reader.attributes
    if given.get("alpha", 1.0) != 1 or given.get("beta", 1.0) != 1 or given.get("transA", 0):
        raise UnsupportedError("it scales or transposes its input")
    if not isinstance(weight, Weight):
        return products.matmul(reader.draft, reader.name, x, weight)
    units = weight.shape[0] if given.get("transB", 0) else weight.shape[1]
    return products.dense(reader.draft, reader.name, x, weight, bias, units=units)


@handles("MatMul")
def _matmul(reader: Reader, a: Any, b: Any) -> Value:
    if isinstance(b, Weight) and len(b.shape) == 2:
        return products.dense(reader.draft, reader.name, a, b, units=b.shape[1])
    if isinstance(a, Causal) and a.weights:
        return reader.draft.attention(reader.name, a.q, a.k, as_value(b), causal=True, scale=1.0)
    made = products.matmul(reader.draft, reader.name, a, b)
    reader.products[made.layer] = as_value(a), as_value(b).swapped(-1, -2)
    return made


@handles("Conv", "ConvTranspose")
def _conv(reader: Reader, x: Any, weight: Any, bias: Any = None) -> Value:
    given = reader.attributes
    if "output_shape" in given:
        raise UnsupportedError("a convolution with an output_shape")
    return convolutions.convolution(
        reader.draft,
        reader.name,
        x,
        weight,
        bias,
        reader.sizes,
        stride=given.get("strides", 1),
        padding=reader.pads(),
        dilation=given.get("dilations", 1),
        groups=given.get("group", 1),
        transposed=reader.node.op_type == "ConvTranspose",
        output_padding=given.get("output_padding", 0),
    )


@handles("BatchNormalization")
def _batch_norm(reader: Reader, x: Any, scale: Any, bias: Any, mean: Any, var: Any) -> Value:
    training = bool(reader.attributes.get("training_mode", 0))
    return norms.batchnorm(reader.draft, reader.name, x, scale, bias, batch=training, eps=_eps(reader))


@handles("InstanceNormalization", "GroupNormalization")
def _group_norm(reader: Reader, x: Any, scale: Any, bias: Any) -> Value:
    channels = as_value(x).sizes[1]
    groups = reader.attributes.get("num_groups", channels)
    if isinstance(scale, Weight) and scale.shape != (channels,):
        raise UnsupportedError("it has a gamma for each group, not for each channel")
    return norms.groupnorm(reader.draft, reader.name, x, scale, bias, groups=groups, eps=_eps(reader))


@handles("LayerNormalization")
def _layer_norm(reader: Reader, x: Any, scale: Any, bias: Any = None) -> Value:
    rank = len(as_value(x).axes)
    over_last = reader.attributes.get("axis", -1) % rank == rank - 1
    return norms.layernorm(reader.draft, reader.name, x, scale, bias, over_last=over_last, eps=_eps(reader))


def _eps(reader: Reader) -> float:
    """Return epsilon, which a file holds in single precision."""
    return round(float(reader.attributes.get("epsilon", norms.EPS)), 10)


@handles("Gather")
def _gather(reader: Reader, data: Any, indices: Any) -> Any:
    draft, axis = reader.draft, reader.attributes.get("axis", 0)
    if isinstance(data, Weight) and isinstance(indices, Value):
        if axis != 0:
            raise UnsupportedError("an embedding reads an input of tokens")
        return tables.embedding(draft, reader.name, indices, data)
    if isinstance(data, Weight):
        return tables.all_rows(data, reader.integers(indices))
    places = reader.constant(indices)
    if places.size != 1:
        raise UnsupportedError("it picks several places at once")
    return moves.pick(draft, reader.name, data, axis, int(places.reshape(-1)[0]), keep=places.ndim > 0)


@handles("LSTM", "GRU", "RNN")
def _recurrent(
    reader: Reader, x: Any, W: Any, R: Any, bias: Any = None, lengths: Any = None, *states: Any
) -> tuple[Any, ...]:
    given, kind = reader.attributes, reader.node.op_type.lower()
    if given.get("direction", b"forward") != b"forward":
        raise UnsupportedError("it reads the sequence backwards, or in both directions")
    if any(each is not None and reader.constant(each).any() for each in states):
        raise UnsupportedError("its first state is not zero, or it has peepholes")
    if given.get("layout", 0) or (kind == "gru" and not given.get("linear_before_reset", 0)):
        raise UnsupportedError("layout 1, or a reset gate in front of the product")
    usual = {"lstm": [b"Sigmoid", b"Tanh", b"Tanh"], "gru": [b"Sigmoid", b"Tanh"], "rnn": [b"Tanh"]}[kind]
    names = list(given.get("activations", usual))
    if "clip" in given or (names != usual and not (kind == "rnn" and names == [b"Relu"])):
        raise UnsupportedError("it clips, or has activations of its own")
    made = recurrent.recurrent(
        reader.draft,
        reader.name,
        kind,
        x,
        {"W": W, "R": R, "B": bias},
        units=R.shape[2],
        bias=bias is not None,
        batch_axis=1,
        activation="relu" if names == [b"Relu"] else None,
    )
    steps = made.sizes[0]
    if any(reader.uses[name] for name in list(reader.node.output)[1:2] if name):
        return made.with_axis(1), reader.draft.slice(f"{reader.name}_last", made, 0, steps - 1, steps)
    return (made.with_axis(1),)


# ---- pooling ----


@handles("MaxPool", "AveragePool")
def _pool(reader: Reader, x: Any) -> Value:
    given, kind = reader.attributes, "max_pool" if reader.node.op_type == "MaxPool" else "avg_pool"
    kernel = given["kernel_shape"]
    if len(kernel) != 2:
        raise UnsupportedError("windows over another number of axes than two")
    return pooling.pool(
        reader.draft,
        reader.name,
        kind,
        x,
        reader.sizes,
        kernel=kernel,
        stride=given.get("strides", 1),
        padding=reader.pads(),
        dilation=given.get("dilations", 1),
        rounds_up=bool(given.get("ceil_mode", 0)),
        counts_padding=bool(given.get("count_include_pad", 0)),
    )


@handles("GlobalAveragePool")
def _global_pool(reader: Reader, x: Any) -> Value:
    return pooling.mean(reader.draft, reader.name, x, range(2, len(as_value(x).axes)), keep=True)


@handles("ReduceMean")
def _mean(reader: Reader, x: Any, axes: Any = None) -> Value:
    keep = bool(reader.attributes.get("keepdims", 1))
    return pooling.mean(reader.draft, reader.name, x, reader.axes(axes), keep=keep)


# ---- elementwise ----

ACTIVATIONS = {"Relu": "relu", "Sigmoid": "sigmoid", "Tanh": "tanh", "HardSwish": "hardswish", "Softplus": "softplus"}


@handles(*ACTIVATIONS)
def _activation(reader: Reader, x: Any) -> Value:
    return elementwise.activation(reader.draft, reader.name, x, ACTIVATIONS[reader.node.op_type])


@handles("Gelu")
def _gelu(reader: Reader, x: Any) -> Value:
    exact = reader.attributes.get("approximate", b"none") == b"none"
    return elementwise.gelu(reader.draft, reader.name, x, exact=exact)


@handles("Erf")
def _erf(reader: Reader, x: Any) -> Gelu:
    return patterns.erf(reader, as_value(x))


@handles("LeakyRelu")
def _leaky_relu(reader: Reader, x: Any) -> Value:
    slope = round(reader.attributes.get("alpha", 0.01), 8)
    return elementwise.leaky_relu(reader.draft, reader.name, x, slope)


@handles("HardSigmoid")
def _hard_sigmoid(reader: Reader, x: Any) -> Value:
    if not math.isclose(reader.attributes.get("alpha", 0.2), 1 / 6, rel_tol=1e-5):
        raise UnsupportedError("a hardsigmoid of another slope than 1/6")
    return elementwise.activation(reader.draft, reader.name, x, "hardsigmoid")


@handles("Clip")
def _clip(reader: Reader, x: Any, low: Any = None, high: Any = None) -> Value:
    given = reader.attributes
    ends = [given.get("min"), given.get("max")] if "min" in given or "max" in given else [low, high]
    low, high = (None if end is None else float(reader.constant(end).reshape(())) for end in ends)
    return elementwise.activation(reader.draft, reader.name, x, elementwise.clamp(low, high))


@handles("Softmax", "LogSoftmax")
def _softmax(reader: Reader, x: Any) -> Any:
    if isinstance(x, Causal) and reader.node.op_type == "Softmax":
        return replace(x, weights=True)
    axis = reader.attributes.get("axis", -1 if reader.opsets.get("", 1) >= 13 else 1)
    if reader.node.op_type == "LogSoftmax":
        read = bool(reader.uses[reader.node.output[0]])
        return elementwise.log_softmax(reader.draft, elementwise.along_last(x, axis), read=read)
    return elementwise.softmax(reader.draft, reader.name, x, axis)


@handles("Add")
def _add(reader: Reader, a: Any, b: Any) -> Any:
    if not isinstance(a, Value | Gelu | Causal):
        a, b = b, a
    if isinstance(a, Gelu):
        return patterns.gelu_sum(reader, a, b)
    value = as_value(a)
    if isinstance(b, Value):
        return reader.draft.join(reader.name, "add", [value, b])
    if value.layer in reader.products and patterns.hides_what_is_ahead(reader.constant(b), value.sizes):
        return Causal(*reader.products[value.layer])
    if not isinstance(b, Weight):
        raise UnsupportedError("it adds a constant")
    entry = reader.draft.entries[-1] if reader.draft.entries else None
    dense = entry is not None and entry.name == value.layer and entry.type == "dense"
    if dense and entry and entry.options.get("bias") is False and b.shape == (entry.options["units"],):
        del entry.options["bias"]  # the bias of the product just before
        own(reader.draft, entry.name, b=b)
        return value
    return tables.positions(reader.draft, reader.name, value, b)


@handles("Sub")
def _sub(reader: Reader, a: Any, b: Any) -> Value:
    return elementwise.subtract(reader.draft, reader.name, a, b)


@handles("Mul")
def _mul(reader: Reader, a: Any, b: Any) -> Any:
    if isinstance(b, Gelu) or not isinstance(a, Value | Gelu | Causal):
        a, b = b, a
    if isinstance(a, Gelu):
        return patterns.gelu_product(reader, a, b)
    return elementwise.multiply(reader.draft, reader.name, a, b, reader.scalar(b))


@handles("Div")
def _div(reader: Reader, a: Any, b: Any) -> Value:
    return elementwise.divide(reader.draft, reader.name, a, reader.scalar(b))


@handles("Neg")
def _neg(reader: Reader, x: Any) -> Value:
    return elementwise.scale(reader.draft, reader.name, x, -1.0)


# ---- views and moves ----


@handles("Identity", "Cast", "Dropout")
def _same(reader: Reader, x: Any, *rest: Any) -> Any:
    return x


@handles("Reshape", "Flatten")
def _reshape(reader: Reader, x: Any, *rest: Any) -> Any:
    if isinstance(x, Weight):
        return replace(x, shape=reader.sizes)
    return as_value(x).reshaped(reader.sizes)


@handles("Transpose")
def _transpose(reader: Reader, x: Any) -> Any:
    rank = len(x.shape) if isinstance(x, Weight) else len(as_value(x).axes)
    order = list(reader.attributes.get("perm", range(rank - 1, -1, -1)))
    if isinstance(x, Weight):
        return replace(x, shape=tuple(x.shape[axis] for axis in order))
    return as_value(x).moved(order)


@handles("Unsqueeze")
def _unsqueeze(reader: Reader, x: Any, axes: Any = None) -> Any:
    if isinstance(x, Weight):
        return replace(x, shape=reader.sizes)
    return moves.unsqueeze(x, reader.axes(axes) or [])


@handles("Squeeze")
def _squeeze(reader: Reader, x: Any, axes: Any = None) -> Value:
    return moves.squeeze(x, reader.axes(axes))


@handles("Expand")
def _expand(reader: Reader, x: Any, shape: Any) -> Any:
    sizes = x.shape if isinstance(x, Weight) else as_value(x).sizes
    wanted = tuple(np.broadcast_shapes(sizes, tuple(reader.integers(shape))))
    return replace(x, shape=wanted) if isinstance(x, Weight) else moves.expand(x, wanted)


@handles("Concat")
def _concat(reader: Reader, *parts: Any) -> Value:
    axis, first = reader.attributes["axis"], parts[0]
    if isinstance(first, Weight) and len(parts) == 2:
        return tables.class_token(reader.draft, reader.name, parts[1], first, axis)
    return moves.concat(reader.draft, reader.name, parts, axis)


@handles("Slice")
def _slice(reader: Reader, x: Any, starts: Any = None, ends: Any = None, axes: Any = None, steps: Any = None) -> Value:
    given, value = reader.attributes, as_value(x)
    first = list(given["starts"]) if "starts" in given else reader.integers(starts)
    last = list(given["ends"]) if "ends" in given else reader.integers(ends)
    places = reader.axes(axes) or list(range(len(first)))
    by = [1] * len(first) if steps is None else reader.integers(steps)
    for axis, start, stop, step in zip(places, first, last, by, strict=True):
        value = moves.take(reader.draft, reader.name, value, axis, start, stop, step)
    return value


@handles("Split")
def _split(reader: Reader, x: Any, given: Any = None) -> tuple[Value, ...]:
    value, axis = as_value(x), reader.attributes.get("axis", 0) % len(as_value(x).axes)
    count = len(reader.node.output)
    if "split" in reader.attributes:
        sizes = list(reader.attributes["split"])
    elif given is not None:
        sizes = reader.integers(given)
    else:
        each = -(-value.sizes[axis] // count)
        sizes = [min(each, value.sizes[axis] - each * place) for place in range(count)]
    return moves.split(reader.draft, reader.name, value, axis, sizes)
