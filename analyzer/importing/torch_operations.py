"""What each ATen operation is as layers: one handler each, with the operation's own arguments."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gradcost.importing.axes import Atom, UnsupportedError, Value
from gradcost.importing.handlers import Handlers, as_value
from gradcost.importing.options import short, unless

if TYPE_CHECKING:
    import torch

    from gradcost.importing.torch_export import Reader

HANDLERS = Handlers()
handles = HANDLERS.handles


@dataclass(frozen=True, eq=False)
class Parameter:
    """A parameter of the module, where an operation expects one."""

    tensor: torch.Tensor
    key: object
    trainable: bool

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""
        return tuple(self.tensor.shape)


def getitem(reader: Reader, values: Any, index: int) -> Any:
    """Return one of several results."""
    return values[index]


# ---- layers ----


@handles("linear")
def _linear(reader: Reader, x: Value, weight: Parameter, bias: Parameter | None = None) -> Value:
    made = reader.draft.dense(reader.name, as_value(x), weight.shape[0], bias=bias is not None)
    reader.own(made.layer, W=weight, b=bias)
    return made


@handles("matmul", "bmm")
def _matmul(reader: Reader, a: Any, b: Any) -> Value:
    if isinstance(b, Parameter) and isinstance(a, Value) and len(b.shape) == 2:
        made = reader.draft.dense(reader.name, a, b.shape[1], bias=False)
        reader.own(made.layer, W=b)
        return made
    return reader.draft.matmul(reader.name, as_value(a), as_value(b))


@handles("conv1d", "conv2d")
def _conv(
    reader: Reader,
    x: Value,
    weight: Parameter,
    bias: Parameter | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Value:
    kind = f"conv{len(weight.shape) - 2}d"
    return _convolution(reader, kind, x, weight, bias, weight.shape[0], stride, padding, dilation, groups)


@handles("conv_transpose2d")
def _conv_transpose(
    reader: Reader,
    x: Value,
    weight: Parameter,
    bias: Parameter | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Value:
    extra = {"output_padding": unless(short(output_padding), 0)}
    filters = weight.shape[1] * groups
    return _convolution(
        reader, "conv_transpose2d", x, weight, bias, filters, stride, padding, dilation, groups, **extra
    )


def _convolution(
    reader: Reader,
    kind: str,
    x: Value,
    weight: Parameter,
    bias: Parameter | None,
    filters: int,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
    **extra: Any,
) -> Value:
    options = {
        "filters": filters,
        "kernel": short(weight.shape[2:]),
        "stride": unless(short(stride), 1),
        "padding": unless(padding if isinstance(padding, str) else short(padding), 0),
        "dilation": unless(short(dilation), 1),
        "groups": unless(groups, 1),
        "bias": None if bias is not None else False,
    }
    value = reader.draft.channels_first(as_value(x), len(weight.shape) - 1)
    made = reader.draft.geometry(reader.name, kind, value, reader.sizes, **options, **extra)
    reader.own(made.layer, W=weight, b=bias)
    return made


@handles("batch_norm")
def _batch_norm(
    reader: Reader,
    x: Value,
    weight: Any,
    bias: Any,
    mean: Any,
    var: Any,
    training: bool,
    momentum: float,
    eps: float,
    cudnn: bool = False,
) -> Value:
    if weight is None or bias is None:
        raise UnsupportedError("a batchnorm has gamma and beta")
    statistics = "batch" if training or mean is None else None
    options = {"statistics": statistics, "eps": unless(eps, 1e-5) if statistics else None}
    made = reader.draft.channelwise(reader.name, "batchnorm", as_value(x), **options)
    reader.own(made.layer, gamma=weight, beta=bias)
    return made


@handles("group_norm")
def _group_norm(
    reader: Reader, x: Value, groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5, cudnn: bool = True
) -> Value:
    if weight is None or bias is None:
        raise UnsupportedError("a groupnorm has gamma and beta")
    made = reader.draft.channelwise(reader.name, "groupnorm", as_value(x), groups=groups, eps=unless(eps, 1e-5))
    reader.own(made.layer, gamma=weight, beta=bias)
    return made


@handles("layer_norm")
def _layer_norm(
    reader: Reader,
    x: Value,
    shape: Sequence[int],
    weight: Any = None,
    bias: Any = None,
    eps: float = 1e-5,
    cudnn: bool = True,
) -> Value:
    if weight is None or bias is None or len(shape) != 1:
        raise UnsupportedError("a layernorm has gamma and beta, over the last axis")
    made = reader.draft.over_last(reader.name, "layernorm", as_value(x), eps=unless(eps, 1e-5))
    reader.own(made.layer, gamma=weight, beta=bias)
    return made


@handles("rms_norm")
def _rms_norm(reader: Reader, x: Value, shape: Sequence[int], weight: Any = None, eps: float | None = None) -> Value:
    if weight is None or len(shape) != 1:
        raise UnsupportedError("an rmsnorm has gamma, over the last axis")
    made = reader.draft.over_last(reader.name, "rmsnorm", as_value(x), eps=unless(eps, None))
    reader.own(made.layer, gamma=weight)
    return made


@handles("embedding")
def _embedding(reader: Reader, weight: Parameter, tokens: Any, *rest: Any) -> Any:
    rows, units = weight.shape
    if not isinstance(tokens, Value):
        if tokens.numel() != rows or not bool((tokens.flatten() == reader.torch.arange(rows)).all()):
            raise UnsupportedError(
                f"it looks up fixed rows of a table of {rows:,}: only all of them, in order, are positions"
            )
        return weight  # learned positions: the table itself
    draft = reader.draft
    if tokens.layer not in draft.inputs:
        raise UnsupportedError("an embedding reads an input of tokens")
    if draft.vocabularies.setdefault(tokens.layer, rows) != rows:
        raise UnsupportedError("two embeddings of different sizes read the same tokens")
    layer = draft.add(reader.name, "embedding", [tokens], units=units)
    reader.own(layer, W=weight)
    stored = (*tokens.stored, new := Atom(units))
    return Value(layer, (*tokens.shape, units), stored, (*tokens.axes, (new,)))


@handles("lstm.input", "gru.input", "rnn_tanh.input", "rnn_relu.input")
def _recurrent(
    reader: Reader,
    x: Value,
    state: Any,
    weights: Sequence[Parameter],
    has_biases: bool,
    layers: int,
    dropout: float,
    training: bool,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[Any, ...]:
    kind = str(reader.node.target).removeprefix("aten.").split(".")[0]
    states = state if isinstance(state, list | tuple) else [state]
    if bidirectional:
        raise UnsupportedError("it reads the sequence in both directions")
    if any(isinstance(each, Value | Parameter) or bool((each != 0).any()) for each in states):
        raise UnsupportedError("its first state is not zero")
    if training and dropout and layers > 1:
        raise UnsupportedError("it drops out between its layers; use one module for each, with a dropout between them")
    value = as_value(x)
    each = 4 if has_biases else 2
    if len(weights) != each * layers:
        raise UnsupportedError("it projects its state (proj_size)")
    second = {"gru": None}.get(kind, True if has_biases else None)
    activation = "relu" if kind == "rnn_relu" else None
    for number in range(layers):
        own = weights[number * each : (number + 1) * each]
        value = reader.draft.laid_out(value)
        if value.batch_axis != (0 if batch_first else 1) or len(value.own_shape) != 2:
            raise UnsupportedError("it reads a sequence without a batch")
        units = own[1].shape[1]
        name = reader.name if layers == 1 else f"{reader.name}_{number}"
        layer = reader.draft.add(
            name,
            kind.partition("_")[0],
            [value],
            units=units,
            sequence=True,
            activation=activation,
            bias=None if has_biases else False,
            hidden_bias=second,
        )
        reader.own(layer, **{str(place): each for place, each in enumerate(own)})
        value = reader.draft.with_last(value, layer, units)
    return (value, *(None for _ in states))


@handles("scaled_dot_product_attention")
def _attention(
    reader: Reader,
    q: Value,
    k: Value,
    v: Value,
    mask: Any = None,
    dropout: float = 0.0,
    causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Value:
    if mask is not None:
        raise UnsupportedError("it has a mask of its own; is_causal=True is the one that a spec has")
    if dropout:
        raise UnsupportedError("it drops out attention weights; call eval(), or set that dropout to 0")
    q, k, v = as_value(q), as_value(k), as_value(v)
    if len(q.axes) != 4:
        raise UnsupportedError("it reads [batch, heads, positions, units]")
    usual = scale is None or math.isclose(scale, 1 / math.sqrt(q.sizes[-1]))
    return reader.draft.attention(f"{reader.name}_attend", q, k, v, causal=causal, scale=None if usual else scale)


# ---- pooling ----


@handles("max_pool2d", "avg_pool2d")
def _pool(reader: Reader, x: Value, kernel: Any, stride: Any = (), padding: Any = 0, *rest: Any) -> Value:
    kind = str(reader.node.target).removeprefix("aten.").split("2d")[0]
    dilation, ceil = (rest[0], rest[1:]) if kind == "max_pool" and rest else (1, rest)
    if short(dilation) != 1 or (ceil and ceil[0]):
        raise UnsupportedError("a dilated window, or sizes rounded up (ceil_mode)")
    counted = kind == "max_pool" or short(padding) == 0 or len(rest) < 2 or rest[1]
    if not counted or (kind == "avg_pool" and len(rest) > 2 and rest[2] is not None):
        raise UnsupportedError("a mean that leaves its padding out, or has a divisor of its own")
    value = reader.draft.channels_first(as_value(x), 3)
    kernel, stride = short(kernel), short(stride or kernel)
    options = {"kernel": kernel, "stride": unless(stride, kernel), "padding": unless(short(padding), 0)}
    return reader.draft.geometry(reader.name, kind, value, reader.sizes, **options)


@handles("adaptive_avg_pool2d")
def _adaptive(reader: Reader, x: Value, size: Sequence[int]) -> Value:
    value = reader.draft.channels_first(as_value(x), 3)
    if list(size) == [1, 1]:
        made = reader.draft.geometry(reader.name, "global_avg_pool", value, reader.sizes[:2])
        return made.with_axis(2).with_axis(3)
    wanted = reader.sizes[2:]
    if tuple(wanted) == value.own_shape[1:]:
        return value
    return reader.draft.geometry(reader.name, "adaptive_avg_pool", value, reader.sizes, size=short(wanted))


@handles("mean.dim")
def _mean(reader: Reader, x: Value, axes: Sequence[int] | None, keepdim: bool = False, **kwargs: Any) -> Value:
    if not axes:
        raise UnsupportedError("it takes the mean over the batch too")
    return reader.draft.mean(reader.name, as_value(x), axes, keep=keepdim)


# ---- elementwise ----

ACTIVATIONS = {
    "relu": "relu",
    "relu_": "relu",
    "sigmoid": "sigmoid",
    "tanh": "tanh",
    "silu": "silu",
    "silu_": "silu",
    "hardswish": "hardswish",
    "hardswish_": "hardswish",
    "hardsigmoid": "hardsigmoid",
    "hardsigmoid_": "hardsigmoid",
    "relu6": "relu6",
    "relu6_": "relu6",
    "sigmoid_": "sigmoid",
    "tanh_": "tanh",
}


@handles(*ACTIVATIONS)
def _activation(reader: Reader, x: Value) -> Value:
    kind = ACTIVATIONS[str(reader.node.target).removeprefix("aten.").split(".")[0]]
    return activation(reader, as_value(x), kind)


def activation(reader: Reader, x: Value, kind: str, **options: Any) -> Value:
    """Add an activation."""
    return reader.draft.elementwise(reader.name_of(kind), "activation", x, activation=kind, **options)


@handles("gelu")
def _gelu(reader: Reader, x: Value, *, approximate: str = "none") -> Value:
    if approximate != "none":
        reader.draft.note("Its gelu is the tanh approximation; here it is the exact one, which counts erf for tanh.")
    return activation(reader, as_value(x), "gelu")


@handles("leaky_relu", "leaky_relu_")
def _leaky_relu(reader: Reader, x: Value, slope: float = 0.01) -> Value:
    return activation(reader, as_value(x), "leaky_relu", negative_slope=unless(slope, 0.01))


@handles("softplus")
def _softplus(reader: Reader, x: Value, beta: float = 1.0, threshold: float = 20.0) -> Value:
    if beta != 1.0:
        raise UnsupportedError("a softplus with a beta other than 1")
    return activation(reader, as_value(x), "softplus")


@handles("hardtanh", "hardtanh_", "clamp", "clamp_")
def _clamp(reader: Reader, x: Value, low: float | None = -1.0, high: float | None = 1.0) -> Value:
    if (low, high) == (0, 6):
        return activation(reader, as_value(x), "relu6")
    if (low, high) == (0, None):
        return activation(reader, as_value(x), "relu")
    raise UnsupportedError(f"it clamps to {low} and {high}; a spec has relu6, 0 and 6")


@handles("softmax", "_softmax")
def _softmax(reader: Reader, x: Value, axis: int, *rest: Any) -> Value:
    value = as_value(x)
    if axis % len(value.axes) != len(value.axes) - 1:
        raise UnsupportedError("a softmax that is not over the last axis")
    return reader.draft.over_last(reader.name_of("softmax"), "activation", value, activation="softmax")


@handles("log_softmax", "_log_softmax")
def _log_softmax(reader: Reader, x: Value, axis: int, *rest: Any) -> Value:
    if any(user.op != "output" for user in reader.node.users):
        raise UnsupportedError("a log_softmax that is not the last operation")
    reader.draft.note("Its last log_softmax is part of the loss softmax_ce, which takes logits.")
    return as_value(x)


@handles("dropout", "dropout_", "feature_dropout")
def _dropout(reader: Reader, x: Value, rate: float, training: bool) -> Value:
    return (
        reader.draft.elementwise(reader.name, "dropout", as_value(x), rate=rate) if training and rate else as_value(x)
    )


@handles("add", "add_")
def _add(reader: Reader, a: Any, b: Any, *, alpha: float = 1) -> Value:
    if alpha != 1:
        raise UnsupportedError("it adds a multiple")
    if isinstance(a, Parameter):
        a, b = b, a
    if isinstance(b, Parameter):
        value = reader.draft.laid_out(as_value(a))
        own, given = value.own_shape, list(b.shape)
        while len(given) > len(own) and given[0] == 1:
            given = given[1:]
        if tuple(given) != own:
            raise UnsupportedError(f"it adds a parameter of shape {list(b.shape)} to {list(value.sizes)}")
        made = reader.draft.elementwise(reader.node.name, "positional", value)
        reader.own(made.layer, W=b)
        return made
    return reader.draft.join(reader.node.name, "add", [as_value(a), as_value(b)])


@handles("sub", "sub_")
def _sub(reader: Reader, a: Any, b: Any, *, alpha: float = 1) -> Value:
    if alpha != 1:
        raise UnsupportedError("it subtracts a multiple")
    less = reader.draft.elementwise(f"{reader.node.name}_minus", "scale", as_value(b), factor=-1.0)
    return reader.draft.join(reader.node.name, "add", [as_value(a), less])


@handles("mul", "mul_")
def _mul(reader: Reader, a: Any, b: Any) -> Value:
    if isinstance(a, int | float):
        a, b = b, a
    factor = scalar(b)
    if factor is not None:
        return reader.draft.elementwise(reader.node.name, "scale", as_value(a), factor=factor)
    return reader.draft.join(reader.node.name, "multiply", [as_value(a), as_value(b)])


@handles("div", "div_")
def _div(reader: Reader, a: Any, b: Any) -> Value:
    factor = scalar(b)
    if factor is None:
        raise UnsupportedError("it divides by a tensor")
    return reader.draft.elementwise(reader.node.name, "scale", as_value(a), factor=1 / factor)


@handles("neg")
def _neg(reader: Reader, a: Any) -> Value:
    return reader.draft.elementwise(reader.node.name, "scale", as_value(a), factor=-1.0)


# ---- views and moves ----


@handles(
    "contiguous", "clone", "detach", "alias", "lift_fresh_copy", "_to_copy", "to", "type_as", "_assert_tensor_metadata"
)
def _same(reader: Reader, x: Any, *rest: Any, **kwargs: Any) -> Any:
    return x


@handles("view", "reshape", "_unsafe_view")
def _view(reader: Reader, x: Any, shape: Any) -> Any:
    return as_value(x).reshaped(reader.sizes)


@handles("flatten", "unflatten")
def _flatten(reader: Reader, x: Any, *rest: Any) -> Any:
    return as_value(x).reshaped(reader.sizes)


@handles("transpose", "swapaxes")
def _transpose(reader: Reader, x: Any, first: int, second: int) -> Any:
    return as_value(x).swapped(first, second)


@handles("t", "numpy_T")
def _t(reader: Reader, x: Any) -> Any:
    return as_value(x).swapped(0, 1)


@handles("permute")
def _permute(reader: Reader, x: Any, order: Sequence[int]) -> Any:
    return as_value(x).moved([axis % len(order) for axis in order])


@handles("unsqueeze")
def _unsqueeze(reader: Reader, x: Any, axis: int) -> Any:
    if isinstance(x, Parameter):
        return Parameter(x.tensor.unsqueeze(axis), x.key, x.trainable)
    return as_value(x).with_axis(axis)


@handles("squeeze")
def _squeeze(reader: Reader, x: Any, axes: Any = None) -> Any:
    value = as_value(x)
    places = range(len(value.axes)) if axes is None else [axes] if isinstance(axes, int) else axes
    for axis in sorted((axis % len(value.axes) for axis in places), reverse=True):
        if value.sizes[axis] == 1 and axis != value.batch_axis:
            value = value.without_axis(axis)
    return value


@handles("expand")
def _expand(reader: Reader, x: Any, sizes: Sequence[int], *, implicit: bool = False) -> Any:
    if isinstance(x, Parameter):
        return Parameter(x.tensor.expand(*sizes), x.key, x.trainable)
    if as_value(x).sizes != tuple(reader.sizes):
        raise UnsupportedError("it repeats a tensor along an axis")
    return x


@handles("cat")
def _cat(reader: Reader, parts: Sequence[Any], axis: int = 0) -> Value:
    first = parts[0]
    if isinstance(first, Parameter) and len(parts) == 2:
        value = reader.draft.channels_first(as_value(parts[1]), 2)
        units = value.own_shape[-1]
        if axis % 3 != 1 or first.shape[1:] != (1, units):
            raise UnsupportedError(f"it puts a parameter of shape {list(first.shape)} in front")
        made = reader.draft.geometry(reader.node.name, "class_token", value, reader.sizes)
        reader.own(made.layer, c=first)
        return made
    values = [as_value(each) for each in parts]
    return values[0] if len(values) == 1 else reader.draft.concat(reader.node.name, values, axis)


@handles("slice")
def _slice(reader: Reader, x: Any, axis: int = 0, start: Any = None, stop: Any = None, step: int = 1) -> Any:
    if isinstance(x, Parameter):
        if tuple(reader.sizes) != x.shape:
            raise UnsupportedError("it takes a part of a parameter")
        return x
    value = as_value(x)
    size = value.sizes[axis]
    first, last = (
        each if each is None else max(each + size, 0) if each < 0 else min(each, size) for each in (start, stop)
    )
    first, last = first or 0, size if last is None else last
    if (first, last, step) == (0, size, 1):
        return value
    if step != 1:
        raise UnsupportedError("it takes every second element, or fewer")
    return reader.draft.slice(reader.node.name, value, axis, first, last)


@handles("select")
def _select(reader: Reader, x: Any, axis: int, index: int) -> Any:
    value = as_value(x)
    index %= value.sizes[axis]
    axis %= len(value.axes)
    return reader.draft.slice(reader.node.name, value, axis, index, index + 1).without_axis(axis)


@handles("split", "split_with_sizes", "chunk", "unsafe_split", "unbind")
def _split(reader: Reader, x: Any, *rest: Any) -> Any:
    kind = str(reader.node.target).removeprefix("aten.").split(".")[0]
    value = as_value(x)
    axis = int(rest[-1]) if kind == "unbind" and rest else int(rest[1]) if len(rest) > 1 else 0
    axis %= len(value.axes)
    start = 0
    parts: list[Value] = []
    for made in reader.node.meta["val"]:
        size = 1 if kind == "unbind" else int(made.shape[axis])
        part = reader.draft.slice(f"{reader.node.name}_{len(parts)}", value, axis, start, start + size)
        parts.append(part.without_axis(axis) if kind == "unbind" else part)
        start += size
    return parts


def scalar(value: Any) -> float | None:
    """Return a number, or a constant tensor of one; None for anything else."""
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, Value | Parameter) or value.numel() != 1:
        return None
    return float(value.item())
