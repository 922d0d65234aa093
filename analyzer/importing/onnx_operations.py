"""What each ONNX operation is as layers: one handler each, with the operation's inputs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from gradcost.importing.axes import Atom, UnsupportedError, Value
from gradcost.importing.handlers import Handlers, as_value
from gradcost.importing.options import short, unless
from gradcost.numerics import Array, np

if TYPE_CHECKING:
    from gradcost.importing.onnx_model import Reader

HANDLERS = Handlers()
handles = HANDLERS.handles
HALF_ROOT = math.sqrt(0.5)


@dataclass(frozen=True, eq=False)
class Initial:
    """An initializer: a parameter where an operation expects one, a constant where it is small and read as such."""

    shape: tuple[int, ...]
    key: object
    tensor: Any


@dataclass(frozen=True)
class Gelu:
    """A part of x (1 + erf(x / sqrt 2)) / 2, as files write a gelu that is older than its operation."""

    stage: str
    base: Value


@dataclass(frozen=True)
class Causal:
    """Scores of attention with a mask added that hides what is ahead, and then their softmax."""

    q: Value
    k: Value
    weights: bool = False


# ---- layers ----


@handles("Gemm")
def _gemm(reader: Reader, x: Any, weight: Any, bias: Any = None) -> Value:
    given = reader.attributes
    if given.get("alpha", 1.0) != 1 or given.get("beta", 1.0) != 1 or given.get("transA", 0):
        raise UnsupportedError("it scales or transposes its input")
    if not isinstance(weight, Initial):
        return reader.draft.matmul(reader.name, as_value(x), as_value(weight))
    units = weight.shape[0] if given.get("transB", 0) else weight.shape[1]
    made = reader.draft.dense(reader.name, as_value(x), units, bias=bias is not None)
    reader.own(made.layer, W=weight, b=bias)
    return made


@handles("MatMul")
def _matmul(reader: Reader, a: Any, b: Any) -> Value:
    if isinstance(b, Initial) and len(b.shape) == 2:
        made = reader.draft.dense(reader.name, as_value(a), b.shape[1], bias=False)
        reader.own(made.layer, W=b)
        return made
    if isinstance(a, Causal) and a.weights:
        return reader.draft.attention(reader.name, a.q, a.k, as_value(b), causal=True, scale=1.0)
    made = reader.draft.matmul(reader.name, as_value(a), as_value(b))
    reader.products[made.layer] = as_value(a), as_value(b).swapped(-1, -2)
    return made


@handles("Conv", "ConvTranspose")
def _conv(reader: Reader, x: Any, weight: Any, bias: Any = None) -> Value:
    if not isinstance(weight, Initial):
        raise UnsupportedError("its weights are computed")
    given, rank = reader.attributes, len(weight.shape) - 2
    groups, transposed = given.get("group", 1), reader.node.op_type == "ConvTranspose"
    if rank > 2 or (transposed and rank != 2) or "output_shape" in given:
        raise UnsupportedError(f"a convolution over {rank} axes" + (", or with an output_shape" if transposed else ""))
    options = {
        "filters": weight.shape[1] * groups if transposed else weight.shape[0],
        "kernel": short(weight.shape[2:]),
        "stride": unless(short(given.get("strides", [1])), 1),
        "padding": unless(reader.pads(rank), 0),
        "dilation": unless(short(given.get("dilations", [1])), 1),
        "groups": unless(groups, 1),
        "bias": None if bias is not None else False,
    }
    if transposed:
        options["output_padding"] = unless(short(given.get("output_padding", [0])), 0)
    kind = "conv_transpose2d" if transposed else f"conv{rank}d"
    value = reader.draft.channels_first(as_value(x), rank + 1)
    made = reader.draft.geometry(reader.name, kind, value, reader.sizes, **options)
    reader.own(made.layer, W=weight, b=bias)
    return made


@handles("BatchNormalization")
def _batch_norm(reader: Reader, x: Any, scale: Any, bias: Any, mean: Any, var: Any) -> Any:
    training = bool(reader.attributes.get("training_mode", 0))
    eps = unless(round(reader.attributes.get("epsilon", 1e-5), 10), 1e-5) if training else None
    options = {"statistics": "batch" if training else None, "eps": eps}
    made = reader.draft.channelwise(reader.name, "batchnorm", as_value(x), **options)
    reader.own(made.layer, gamma=scale, beta=bias)
    return made


@handles("InstanceNormalization", "GroupNormalization")
def _group_norm(reader: Reader, x: Any, scale: Any, bias: Any) -> Value:
    channels = as_value(x).sizes[1]
    groups = reader.attributes.get("num_groups", channels)
    if isinstance(scale, Initial) and scale.shape != (channels,):
        raise UnsupportedError("it has a gamma for each group, not for each channel")
    eps = unless(round(reader.attributes.get("epsilon", 1e-5), 10), 1e-5)
    made = reader.draft.channelwise(reader.name, "groupnorm", as_value(x), groups=groups, eps=eps)
    reader.own(made.layer, gamma=scale, beta=bias)
    return made


@handles("LayerNormalization")
def _layer_norm(reader: Reader, x: Any, scale: Any, bias: Any = None) -> Value:
    value = as_value(x)
    if bias is None or reader.attributes.get("axis", -1) % len(value.axes) != len(value.axes) - 1:
        raise UnsupportedError("a layernorm has gamma and beta, over the last axis")
    eps = unless(round(reader.attributes.get("epsilon", 1e-5), 10), 1e-5)
    made = reader.draft.over_last(reader.name, "layernorm", value, eps=eps)
    reader.own(made.layer, gamma=scale, beta=bias)
    return made


@handles("Gather")
def _gather(reader: Reader, data: Any, indices: Any) -> Any:
    draft, axis = reader.draft, reader.attributes.get("axis", 0)
    if isinstance(data, Initial) and isinstance(indices, Value):
        if axis != 0 or len(data.shape) != 2 or indices.layer not in draft.inputs:
            raise UnsupportedError("an embedding reads an input of tokens")
        rows, units = data.shape
        if draft.vocabularies.setdefault(indices.layer, rows) != rows:
            raise UnsupportedError("two embeddings of different sizes read the same tokens")
        layer = draft.add(reader.name, "embedding", [indices], units=units)
        reader.own(layer, W=data)
        new = Atom(units)
        return Value(layer, (*indices.shape, units), (*indices.stored, new), (*indices.axes, (new,)))
    if isinstance(data, Initial):
        if not np.array_equal(reader.constant(indices).reshape(-1), np.arange(data.shape[0])):
            raise UnsupportedError("it looks up fixed rows of a table: only all of them, in order, are positions")
        return replace(data)
    places = reader.constant(indices)
    if places.size != 1:
        raise UnsupportedError("it picks several places at once")
    value, index = as_value(data), int(places.reshape(-1)[0])
    index %= value.sizes[axis]
    part = draft.slice(reader.name, value, axis, index, index + 1)
    return part.without_axis(axis) if places.ndim == 0 else part


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
    value = reader.draft.laid_out(as_value(x))
    if value.batch_axis != 1 or len(value.own_shape) != 2:
        raise UnsupportedError("it reads a sequence without a batch")
    units = R.shape[2]
    options = {
        "units": units,
        "sequence": True,
        "activation": "relu" if names == [b"Relu"] else None,
        "bias": None if bias is not None else False,
        "hidden_bias": True if bias is not None and kind != "gru" else None,
    }
    layer = reader.draft.add(reader.name, kind, [value], **options)
    reader.own(layer, W=W, R=R, B=bias)
    made = reader.draft.with_last(value, layer, units)
    steps = value.sizes[0]
    if any(reader.uses[name] for name in list(reader.node.output)[1:2] if name):
        return made.with_axis(1), reader.draft.slice(f"{reader.name}_last", made, 0, steps - 1, steps)
    return (made.with_axis(1),)


# ---- pooling ----


@handles("MaxPool", "AveragePool")
def _pool(reader: Reader, x: Any) -> Value:
    given, kind = reader.attributes, "max_pool" if reader.node.op_type == "MaxPool" else "avg_pool"
    kernel = short(given["kernel_shape"])
    if len(given["kernel_shape"]) != 2 or short(given.get("dilations", [1])) != 1 or given.get("ceil_mode", 0):
        raise UnsupportedError("windows over one axis, dilated ones, or sizes rounded up (ceil_mode)")
    padding = reader.pads(2)
    if kind == "avg_pool" and padding != 0 and not given.get("count_include_pad", 0):
        raise UnsupportedError("a mean that leaves its padding out")
    options = {"kernel": kernel, "stride": unless(short(given.get("strides", [1, 1])), kernel)}
    value = reader.draft.channels_first(as_value(x), 3)
    return reader.draft.geometry(reader.name, kind, value, reader.sizes, **options, padding=unless(padding, 0))


@handles("GlobalAveragePool")
def _global_pool(reader: Reader, x: Any) -> Value:
    value = as_value(x)
    return reader.draft.mean(reader.name, value, range(2, len(value.axes)), keep=True)


@handles("ReduceMean")
def _mean(reader: Reader, x: Any, axes: Any = None) -> Value:
    places = reader.axes(axes)
    if not places:
        raise UnsupportedError("it takes the mean over the batch too")
    return reader.draft.mean(reader.name, as_value(x), places, keep=bool(reader.attributes.get("keepdims", 1)))


# ---- elementwise ----

ACTIVATIONS = {"Relu": "relu", "Sigmoid": "sigmoid", "Tanh": "tanh", "HardSwish": "hardswish", "Softplus": "softplus"}


@handles(*ACTIVATIONS)
def _activation(reader: Reader, x: Any) -> Value:
    return activation(reader, as_value(x), ACTIVATIONS[reader.node.op_type])


def activation(reader: Reader, x: Value, kind: str, **options: Any) -> Value:
    """Add an activation."""
    return reader.draft.elementwise(reader.name, "activation", x, activation=kind, **options)


@handles("Gelu")
def _gelu(reader: Reader, x: Any) -> Value:
    if reader.attributes.get("approximate", b"none") != b"none":
        reader.draft.note("Its gelu is the tanh approximation; here it is the exact one, which counts erf for tanh.")
    return activation(reader, as_value(x), "gelu")


@handles("Erf")
def _erf(reader: Reader, x: Any) -> Gelu:
    base = _scaled(reader, as_value(x), HALF_ROOT)
    if base is None:
        raise UnsupportedError("an erf that is not part of a gelu")
    return Gelu("erf", base)


def _scaled(reader: Reader, value: Value, factor: float) -> Value | None:
    """Return what a value is a multiple of; None where it is none, or another."""
    entry = next((entry for entry in reader.draft.entries if entry.name == value.layer), None)
    if entry is None or entry.type != "scale" or not math.isclose(entry.options["factor"], factor, rel_tol=1e-5):
        return None
    return replace(value, layer=entry.sources[0])


@handles("LeakyRelu")
def _leaky_relu(reader: Reader, x: Any) -> Value:
    slope = round(reader.attributes.get("alpha", 0.01), 8)
    return activation(reader, as_value(x), "leaky_relu", negative_slope=unless(slope, 0.01))


@handles("HardSigmoid")
def _hard_sigmoid(reader: Reader, x: Any) -> Value:
    if not math.isclose(reader.attributes.get("alpha", 0.2), 1 / 6, rel_tol=1e-5):
        raise UnsupportedError("a hardsigmoid of another slope than 1/6")
    return activation(reader, as_value(x), "hardsigmoid")


@handles("Clip")
def _clip(reader: Reader, x: Any, low: Any = None, high: Any = None) -> Value:
    given = reader.attributes
    ends = [given.get("min"), given.get("max")] if "min" in given or "max" in given else [low, high]
    found = [None if end is None else float(reader.constant(end).reshape(())) for end in ends]
    if found == [0, 6]:
        return activation(reader, as_value(x), "relu6")
    if found == [0, None]:
        return activation(reader, as_value(x), "relu")
    raise UnsupportedError(f"it clips to {found[0]} and {found[1]}; a spec has relu6, 0 and 6")


@handles("Softmax", "LogSoftmax")
def _softmax(reader: Reader, x: Any) -> Any:
    if isinstance(x, Causal) and reader.node.op_type == "Softmax":
        return replace(x, weights=True)
    value = as_value(x)
    axis = reader.attributes.get("axis", -1 if reader.opsets.get("", 1) >= 13 else 1)
    if axis % len(value.axes) != len(value.axes) - 1:
        raise UnsupportedError("a softmax that is not over the last axis")
    if reader.node.op_type == "LogSoftmax":
        if reader.uses[reader.node.output[0]]:
            raise UnsupportedError("a log_softmax that is not the last operation")
        reader.draft.note("Its last log_softmax is part of the loss softmax_ce, which takes logits.")
        return value
    return reader.draft.over_last(reader.name, "activation", value, activation="softmax")


@handles("Add")
def _add(reader: Reader, a: Any, b: Any) -> Any:
    if not isinstance(a, Value | Gelu | Causal):
        a, b = b, a
    if isinstance(a, Gelu):
        if a.stage != "erf" or float(reader.constant(b).reshape(())) != 1:
            raise UnsupportedError("an erf that is not part of a gelu")
        return Gelu("1+erf", a.base)
    value = as_value(a)
    if isinstance(b, Value):
        return reader.draft.join(reader.name, "add", [value, b])
    if value.layer in reader.products and _hides_what_is_ahead(reader.constant(b), value.sizes):
        return Causal(*reader.products[value.layer])
    if not isinstance(b, Initial):
        raise UnsupportedError("it adds a constant")
    entry = reader.draft.entries[-1] if reader.draft.entries else None
    dense = entry is not None and entry.name == value.layer and entry.type == "dense"
    if dense and entry and entry.options.get("bias") is False and b.shape == (entry.options["units"],):
        del entry.options["bias"]  # the bias of the product just before
        reader.own(entry.name, b=b)
        return value
    laid = reader.draft.laid_out(value)
    given = list(b.shape)
    while len(given) > len(laid.own_shape) and given[0] == 1:
        given = given[1:]
    if tuple(given) != laid.own_shape:
        raise UnsupportedError(f"it adds a parameter of shape {list(b.shape)} to {list(value.sizes)}")
    made = reader.draft.elementwise(reader.name, "positional", laid)
    reader.own(made.layer, W=b)
    return made


def _hides_what_is_ahead(mask: Array, sizes: Sequence[int]) -> bool:
    """Whether a mask is 0 up to the diagonal, and minus infinity, or nearly, behind it."""
    if mask.shape[-2:] != tuple(sizes[-2:]) or mask.size != math.prod(sizes[-2:]) or sizes[-1] != sizes[-2]:
        return False
    ahead = np.triu(np.ones(mask.shape[-2:], bool), 1)
    plain = mask.reshape(mask.shape[-2:])
    return bool((plain[~ahead] == 0).all() and (plain[ahead] < -1e4).all())


@handles("Sub")
def _sub(reader: Reader, a: Any, b: Any) -> Value:
    less = reader.draft.elementwise(f"{reader.name}_minus", "scale", as_value(b), factor=-1.0)
    return reader.draft.join(reader.name, "add", [as_value(a), less])


@handles("Mul")
def _mul(reader: Reader, a: Any, b: Any) -> Any:
    if isinstance(b, Gelu) or not isinstance(a, Value | Gelu | Causal):
        a, b = b, a
    if isinstance(a, Gelu):
        return _gelu_product(reader, a, b)
    factor = _scalar(reader, b)
    if factor is not None:
        return reader.draft.elementwise(reader.name, "scale", as_value(a), factor=factor)
    return reader.draft.join(reader.name, "multiply", [as_value(a), as_value(b)])


def _gelu_product(reader: Reader, part: Gelu, other: Any) -> Any:
    """Return gelu(x) once x, 1 + erf(x / sqrt 2) and a half have met, in any order."""
    if isinstance(other, Value) and part.stage == "1+erf":
        if other.layer == part.base.layer:
            return Gelu("x (1+erf)", part.base)
        half = _scaled(reader, other, 0.5)
        if half is not None and half.layer == part.base.layer:
            return activation(reader, part.base, "gelu")
    elif not isinstance(other, Value | Gelu | Causal) and part.stage == "x (1+erf)" and _scalar(reader, other) == 0.5:
        return activation(reader, part.base, "gelu")
    raise UnsupportedError("an erf that is not part of a gelu")


@handles("Div")
def _div(reader: Reader, a: Any, b: Any) -> Value:
    divisor = None if isinstance(b, Value | Gelu | Causal) else _scalar(reader, b)
    if divisor is None:
        raise UnsupportedError("it divides by a tensor")
    return reader.draft.elementwise(reader.name, "scale", as_value(a), factor=1 / divisor)


@handles("Neg")
def _neg(reader: Reader, x: Any) -> Value:
    return reader.draft.elementwise(reader.name, "scale", as_value(x), factor=-1.0)


def _scalar(reader: Reader, each: Any) -> float | None:
    """Return a constant of one element; None for a tensor."""
    if isinstance(each, Value | Gelu | Causal) or (isinstance(each, Initial) and math.prod(each.shape) != 1):
        return None
    found = reader.constant(each)
    return float(found.reshape(())) if found.size == 1 else None


# ---- views and moves ----


@handles("Identity", "Cast", "Dropout")
def _same(reader: Reader, x: Any, *rest: Any) -> Any:
    return x


@handles("Reshape", "Flatten")
def _reshape(reader: Reader, x: Any, *rest: Any) -> Any:
    if isinstance(x, Initial):
        return Initial(reader.sizes, x.key, x.tensor)
    return as_value(x).reshaped(reader.sizes)


@handles("Transpose")
def _transpose(reader: Reader, x: Any) -> Any:
    rank = len(x.shape) if isinstance(x, Initial) else len(as_value(x).axes)
    order = list(reader.attributes.get("perm", range(rank - 1, -1, -1)))
    if isinstance(x, Initial):
        return Initial(tuple(x.shape[axis] for axis in order), x.key, x.tensor)
    return as_value(x).moved(order)


@handles("Unsqueeze")
def _unsqueeze(reader: Reader, x: Any, axes: Any = None) -> Any:
    if isinstance(x, Initial):
        return Initial(reader.sizes, x.key, x.tensor)
    value, places = as_value(x), reader.axes(axes) or []
    rank = len(value.axes) + len(places)
    for axis in sorted(axis % rank for axis in places):
        value = value.with_axis(axis)
    return value


@handles("Squeeze")
def _squeeze(reader: Reader, x: Any, axes: Any = None) -> Value:
    value, places = as_value(x), reader.axes(axes)
    count = len(value.axes)
    wanted = range(count) if places is None else [axis % count for axis in places]
    for axis in sorted(wanted, reverse=True):
        if value.sizes[axis] == 1 and axis != value.batch_axis:
            value = value.without_axis(axis)
    return value


@handles("Expand")
def _expand(reader: Reader, x: Any, shape: Any) -> Any:
    if isinstance(x, Initial):
        return Initial(tuple(np.broadcast_shapes(x.shape, tuple(reader.integers(shape)))), x.key, x.tensor)
    if tuple(np.broadcast_shapes(as_value(x).sizes, tuple(reader.integers(shape)))) != as_value(x).sizes:
        raise UnsupportedError("it repeats a tensor along an axis")
    return x


@handles("Concat")
def _concat(reader: Reader, *parts: Any) -> Value:
    axis, first = reader.attributes["axis"], parts[0]
    if isinstance(first, Initial) and len(parts) == 2:
        value = reader.draft.channels_first(as_value(parts[1]), 2)
        if axis % 3 != 1 or tuple(first.shape[1:]) != (1, value.own_shape[-1]):
            raise UnsupportedError(f"it puts a parameter of shape {list(first.shape)} in front")
        made = reader.draft.geometry(reader.name, "class_token", value, reader.sizes)
        reader.own(made.layer, c=first)
        return made
    values = [as_value(each) for each in parts]
    return values[0] if len(values) == 1 else reader.draft.concat(reader.name, values, axis)


@handles("Slice")
def _slice(reader: Reader, x: Any, starts: Any = None, ends: Any = None, axes: Any = None, steps: Any = None) -> Value:
    given, value = reader.attributes, as_value(x)
    first = list(given["starts"]) if "starts" in given else reader.integers(starts)
    last = list(given["ends"]) if "ends" in given else reader.integers(ends)
    places = reader.axes(axes) or list(range(len(first)))
    if steps is not None and set(reader.integers(steps)) != {1}:
        raise UnsupportedError("it takes every second element, or fewer, or turns an axis round")
    for axis, start, stop in zip(places, first, last, strict=True):
        size = value.sizes[axis]
        start, stop = (max(each + size, 0) if each < 0 else min(each, size) for each in (start, stop))
        value = reader.draft.slice(reader.name, value, axis, start, stop)
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
    parts, start = [], 0
    for place, size in enumerate(sizes):
        parts.append(reader.draft.slice(f"{reader.name}_{place}", value, axis, start, start + size))
        start += size
    return tuple(parts)
