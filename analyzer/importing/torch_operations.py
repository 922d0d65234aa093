"""What each ATen operation is as layers: one handler each, with the operation's own arguments."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gradcost.importing.axes import UnsupportedError, Value
from gradcost.importing.handlers import Handlers, as_value
from gradcost.importing.recipes import convolutions, elementwise, moves, norms, pooling, products, recurrent, tables
from gradcost.importing.weights import Weight

if TYPE_CHECKING:
    from gradcost.importing.torch_export import Reader

HANDLERS = Handlers()
handles = HANDLERS.handles


def getitem(reader: Reader, values: Any, index: int) -> Any:
    """Return one of several results."""
    return values[index]


# ---- products ----


@handles("linear")
def _linear(reader: Reader, x: Any, weight: Any, bias: Any = None) -> Value:
    return products.dense(reader.draft, reader.name, x, weight, bias, units=weight.shape[0])


@handles("matmul", "bmm")
def _matmul(reader: Reader, a: Any, b: Any) -> Value:
    if isinstance(b, Weight) and isinstance(a, Value) and len(b.shape) == 2:
        return products.dense(reader.draft, reader.name, a, b, units=b.shape[1])
    return products.matmul(reader.draft, reader.name, a, b)


@handles("conv1d", "conv2d")
def _conv(
    reader: Reader,
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Value:
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return convolutions.convolution(reader.draft, reader.name, x, weight, bias, reader.sizes, **options)


@handles("conv_transpose2d")
def _conv_transpose(
    reader: Reader,
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Value:
    return convolutions.convolution(
        reader.draft,
        reader.name,
        x,
        weight,
        bias,
        reader.sizes,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        transposed=True,
        output_padding=output_padding,
    )


@handles("scaled_dot_product_attention")
def _attention(
    reader: Reader,
    q: Any,
    k: Any,
    v: Any,
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


# ---- norms ----


@handles("batch_norm")
def _batch_norm(
    reader: Reader,
    x: Any,
    weight: Any,
    bias: Any,
    mean: Any,
    var: Any,
    training: bool,
    momentum: float,
    eps: float,
    cudnn: bool = False,
) -> Value:
    batch = training or mean is None
    return norms.batchnorm(reader.draft, reader.name, x, weight, bias, batch=batch, eps=eps)


@handles("group_norm")
def _group_norm(
    reader: Reader,
    x: Any,
    groups: int,
    weight: Any = None,
    bias: Any = None,
    eps: float = norms.EPS,
    cudnn: bool = True,
) -> Value:
    return norms.groupnorm(reader.draft, reader.name, x, weight, bias, groups=groups, eps=eps)


@handles("layer_norm")
def _layer_norm(
    reader: Reader,
    x: Any,
    shape: Sequence[int],
    weight: Any = None,
    bias: Any = None,
    eps: float = norms.EPS,
    cudnn: bool = True,
) -> Value:
    return norms.layernorm(reader.draft, reader.name, x, weight, bias, over_last=len(shape) == 1, eps=eps)


@handles("rms_norm")
def _rms_norm(reader: Reader, x: Any, shape: Sequence[int], weight: Any = None, eps: float | None = None) -> Value:
    return norms.rmsnorm(reader.draft, reader.name, x, weight, over_last=len(shape) == 1, eps=eps)


# ---- tables and sequences ----


@handles("embedding")
def _embedding(reader: Reader, weight: Any, tokens: Any, *rest: Any) -> Any:
    if isinstance(tokens, Value):
        return tables.embedding(reader.draft, reader.name, tokens, weight)
    return tables.all_rows(weight, tokens.flatten().tolist())


@handles("lstm.input", "gru.input", "rnn_tanh.input", "rnn_relu.input")
def _recurrent(
    reader: Reader,
    x: Any,
    state: Any,
    weights: Sequence[Any],
    has_biases: bool,
    layers: int,
    dropout: float,
    training: bool,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[Any, ...]:
    states = state if isinstance(state, list | tuple) else [state]
    if bidirectional:
        raise UnsupportedError("it reads the sequence in both directions")
    if any(isinstance(each, Value | Weight) or bool((each != 0).any()) for each in states):
        raise UnsupportedError("its first state is not zero")
    if training and dropout and layers > 1:
        raise UnsupportedError("it drops out between its layers; use one module for each, with a dropout between them")
    value = as_value(x)
    count = 4 if has_biases else 2
    if len(weights) != count * layers:
        raise UnsupportedError("it projects its state (proj_size)")
    kind, _, nonlinearity = reader.operation.partition("_")
    for number in range(layers):
        own = weights[number * count : (number + 1) * count]
        value = recurrent.recurrent(
            reader.draft,
            reader.name if layers == 1 else f"{reader.name}_{number}",
            kind,
            value,
            {str(place): each for place, each in enumerate(own)},
            units=own[1].shape[1],
            bias=has_biases,
            batch_axis=0 if batch_first else 1,
            activation="relu" if nonlinearity == "relu" else None,
        )
    return (value, *(None for _ in states))


# ---- pooling ----


@handles("max_pool2d")
def _max_pool(
    reader: Reader,
    x: Any,
    kernel: Any,
    stride: Any = (),
    padding: Any = 0,
    dilation: Any = 1,
    ceil: bool = False,
) -> Value:
    options = {"kernel": kernel, "stride": stride or kernel, "padding": padding}
    return pooling.pool(
        reader.draft, reader.name, "max_pool", x, reader.sizes, **options, dilation=dilation, rounds_up=ceil
    )


@handles("avg_pool2d")
def _avg_pool(
    reader: Reader,
    x: Any,
    kernel: Any,
    stride: Any = (),
    padding: Any = 0,
    ceil: bool = False,
    counts_padding: bool = True,
    divisor: int | None = None,
) -> Value:
    if divisor is not None:
        raise UnsupportedError("a mean with a divisor of its own")
    options = {"kernel": kernel, "stride": stride or kernel, "padding": padding}
    return pooling.pool(
        reader.draft, reader.name, "avg_pool", x, reader.sizes, **options, rounds_up=ceil, counts_padding=counts_padding
    )


@handles("adaptive_avg_pool2d")
def _adaptive(reader: Reader, x: Any, size: Sequence[int]) -> Value:
    return pooling.adaptive(reader.draft, reader.name, x, reader.sizes)


@handles("mean.dim")
def _mean(reader: Reader, x: Any, axes: Sequence[int] | None, keepdim: bool = False, **kwargs: Any) -> Value:
    return pooling.mean(reader.draft, reader.name, x, axes, keep=keepdim)


# ---- elementwise ----


@handles("relu", "sigmoid", "tanh", "silu", "hardswish", "hardsigmoid", "relu6")
def _activation(reader: Reader, x: Any) -> Value:
    return _named(reader, x, reader.operation)


def _named(reader: Reader, x: Any, kind: str) -> Value:
    return elementwise.activation(reader.draft, reader.name_of(kind), x, kind)


@handles("gelu")
def _gelu(reader: Reader, x: Any, *, approximate: str = "none") -> Value:
    return elementwise.gelu(reader.draft, reader.name_of("gelu"), x, exact=approximate == "none")


@handles("leaky_relu")
def _leaky_relu(reader: Reader, x: Any, slope: float = 0.01) -> Value:
    return elementwise.leaky_relu(reader.draft, reader.name_of("leaky_relu"), x, slope)


@handles("softplus")
def _softplus(reader: Reader, x: Any, beta: float = 1.0, threshold: float = 20.0) -> Value:
    if beta != 1.0:
        raise UnsupportedError("a softplus with a beta other than 1")
    return _named(reader, x, "softplus")


@handles("hardtanh", "clamp")
def _clamp(reader: Reader, x: Any, low: float | None = -1.0, high: float | None = 1.0) -> Value:
    return _named(reader, x, elementwise.clamp(low, high))


@handles("softmax", "_softmax")
def _softmax(reader: Reader, x: Any, axis: int, *rest: Any) -> Value:
    return elementwise.softmax(reader.draft, reader.name_of("softmax"), x, axis)


@handles("log_softmax", "_log_softmax")
def _log_softmax(reader: Reader, x: Any, axis: int, *rest: Any) -> Value:
    read = any(user.op != "output" for user in reader.node.users)
    return elementwise.log_softmax(reader.draft, x, read=read)


@handles("dropout", "feature_dropout")
def _dropout(reader: Reader, x: Any, rate: float, training: bool) -> Value:
    if not (training and rate):
        return as_value(x)
    return reader.draft.elementwise(reader.name, "dropout", as_value(x), rate=rate)


@handles("add")
def _add(reader: Reader, a: Any, b: Any, *, alpha: float = 1) -> Value:
    if alpha != 1:
        raise UnsupportedError("it adds a multiple")
    if isinstance(a, Weight):
        a, b = b, a
    if isinstance(b, Weight):
        return tables.positions(reader.draft, reader.node.name, a, b)
    return reader.draft.join(reader.node.name, "add", [as_value(a), as_value(b)])


@handles("sub")
def _sub(reader: Reader, a: Any, b: Any, *, alpha: float = 1) -> Value:
    if alpha != 1:
        raise UnsupportedError("it subtracts a multiple")
    return elementwise.subtract(reader.draft, reader.node.name, a, b)


@handles("mul")
def _mul(reader: Reader, a: Any, b: Any) -> Value:
    if isinstance(a, int | float):
        a, b = b, a
    return elementwise.multiply(reader.draft, reader.node.name, a, b, scalar(b))


@handles("div")
def _div(reader: Reader, a: Any, b: Any) -> Value:
    return elementwise.divide(reader.draft, reader.node.name, a, scalar(b))


@handles("neg")
def _neg(reader: Reader, a: Any) -> Value:
    return elementwise.scale(reader.draft, reader.node.name, a, -1.0)


# ---- views and moves ----


@handles(
    "contiguous", "clone", "detach", "alias", "lift_fresh_copy", "_to_copy", "to", "type_as", "_assert_tensor_metadata"
)
def _same(reader: Reader, x: Any, *rest: Any, **kwargs: Any) -> Any:
    return x


@handles("view", "reshape", "_unsafe_view", "flatten", "unflatten")
def _reshape(reader: Reader, x: Any, *rest: Any) -> Value:
    return as_value(x).reshaped(reader.sizes)


@handles("transpose", "swapaxes")
def _transpose(reader: Reader, x: Any, first: int, second: int) -> Value:
    return as_value(x).swapped(first, second)


@handles("t", "numpy_T")
def _t(reader: Reader, x: Any) -> Value:
    return as_value(x).swapped(0, 1)


@handles("permute")
def _permute(reader: Reader, x: Any, order: Sequence[int]) -> Value:
    return as_value(x).moved([axis % len(order) for axis in order])


@handles("unsqueeze")
def _unsqueeze(reader: Reader, x: Any, axis: int) -> Any:
    return _seen(reader, x) if isinstance(x, Weight) else moves.unsqueeze(x, [axis])


@handles("squeeze")
def _squeeze(reader: Reader, x: Any, axes: Any = None) -> Value:
    return moves.squeeze(x, [axes] if isinstance(axes, int) else axes)


@handles("expand")
def _expand(reader: Reader, x: Any, sizes: Sequence[int], *, implicit: bool = False) -> Any:
    return _seen(reader, x) if isinstance(x, Weight) else moves.expand(x, reader.sizes)


def _seen(reader: Reader, weight: Weight) -> Weight:
    """Return a parameter as a view sees it."""
    return replace(weight, shape=tuple(reader.sizes))


@handles("cat")
def _cat(reader: Reader, parts: Sequence[Any], axis: int = 0) -> Value:
    first = parts[0]
    if isinstance(first, Weight) and len(parts) == 2:
        return tables.class_token(reader.draft, reader.node.name, parts[1], first, axis)
    return moves.concat(reader.draft, reader.node.name, parts, axis)


@handles("slice")
def _slice(reader: Reader, x: Any, axis: int = 0, start: Any = None, stop: Any = None, step: int = 1) -> Any:
    if not isinstance(x, Weight):
        return moves.take(reader.draft, reader.node.name, x, axis, start, stop, step)
    if tuple(reader.sizes) != x.shape:
        raise UnsupportedError("it takes a part of a parameter")
    return x


@handles("select")
def _select(reader: Reader, x: Any, axis: int, index: int) -> Value:
    return moves.pick(reader.draft, reader.node.name, x, axis, index)


@handles("split", "split_with_sizes", "chunk", "unsafe_split")
def _split(reader: Reader, x: Any, given: Any, axis: int = 0) -> tuple[Value, ...]:
    sizes = [int(made.shape[axis]) for made in reader.node.meta["val"]]
    return moves.split(reader.draft, reader.node.name, x, axis, sizes)


@handles("unbind")
def _unbind(reader: Reader, x: Any, axis: int = 0) -> tuple[Value, ...]:
    parts = moves.split(reader.draft, reader.node.name, x, axis, [1] * len(reader.node.meta["val"]))
    return tuple(part.without_axis(axis) for part in parts)


def scalar(value: Any) -> float | None:
    """Return a number, or a constant tensor of one; None for anything else."""
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, Value | Weight) or value.numel() != 1:
        return None
    return float(value.item())
