"""The table: for each ATen operation, what the derivative by each input reads, and how autocast casts it.

The rows that stand in PyTorch's own ``derivatives.yaml`` have its names, and a test compares them. What a derivative
reads is saved when the input that it belongs to is differentiated, ``result`` standing for what the operation makes.
A ``joint`` derivative is one function for all inputs, which saves all that it reads whoever asks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

from gradcost.memory_of.tensors import Tensor
from gradcost.units import ITEM_BYTES, Shape


class Cast(Enum):
    """What autocast does with the operation's floating-point operands (``aten/src/ATen/autocast_mode.h``)."""

    LOW = "bfloat16"
    FULL = "float32"
    FOLLOW = "as they are; the result has the widest dtype of its operands"


class Pull(Enum):
    """What the cotangent of an input is."""

    NEW = "an array of its own"
    WIDE = "an array of the result's shape, then summed to the input's where that was broadcast"
    SAME = "the result's cotangent itself, summed to the input's shape where that was broadcast"
    VIEW = "a view of the result's cotangent, or a copy where no view has the shape"
    POSITIONS = "an array of its own, laid out (batch, positions, heads, units)"
    PADDED = "zeros of the input's shape, with the cotangent copied in"


RESULTS = ("result", "result0", "output")  # names that derivatives.yaml has for what an operation makes

Extra: TypeAlias = Callable[[Mapping[str, Tensor]], tuple[Shape, str]]
LOW, FULL, FOLLOW = Cast.LOW, Cast.FULL, Cast.FOLLOW


@dataclass(frozen=True)
class Operation:
    """A row of the table.

    Attributes:
        reads: for each differentiable input, the operands and results that its derivative reads.
        joint: whether one function makes all the derivatives.
        pull: what a cotangent is.
        cast: see ``Cast``.
        cuda: the same under autocast on a GPU, where its list says otherwise; read there, not run here.
        extra: further results, by name, that the forward call makes: shape and dtype.
        work: arrays of the input's shape that a derivative makes and drops.
        read: of a row that runs on a GPU alone: where it was read. Empty: it is held against a run.
    """

    reads: Mapping[str, str]
    joint: bool = False
    pull: Pull = Pull.NEW
    cast: Cast = FOLLOW
    cuda: Cast | None = None
    extra: Mapping[str, Extra] = field(default_factory=dict)
    work: int = 0
    read: str = ""

    def differentiates(self, operand: str) -> bool:
        """Whether there is a derivative by an operand; of several of a kind, such as those of cat, by each."""
        return operand in self.reads or operand.rstrip("0123456789") in self.reads

    def saved(self, operands: Mapping[str, Tensor], wanted: Mapping[str, Tensor], instead: str | None) -> list[str]:
        """Return the names of what is saved, where some operands are differentiated; or what is said instead."""
        asked = [self.reads[key] for key in self.reads if self.joint or key in wanted] if instead is None else [instead]
        known = {*operands, *RESULTS, *self.extra}
        return [name for name in dict.fromkeys(" ".join(asked).split()) if name in known]


def _per(axes: Callable[[Mapping[str, Tensor]], Shape], dtype: str = "") -> Extra:
    """Return an extra result of a shape, in a dtype or, for statistics, in the parameters' own."""

    def extra(operands: Mapping[str, Tensor]) -> tuple[Shape, str]:
        parameter = operands.get("weight") or next(iter(operands.values()))
        return axes(operands), dtype or parameter.dtype

    return extra


_rows = _per(lambda o: (*next(iter(o.values())).shape[:-1], 1))
_channels = _per(lambda o: o["weight"].shape)
_scores = _per(lambda o: o["query"].shape[:-1], "float32")


PAGE = 4096
_RECURRENT = ("input", "weight0", "weight1", "weight2")
_state = _per(lambda o: o["hx_"].shape)


def _workspace(operands: Mapping[str, Tensor]) -> tuple[Shape, str]:
    """Return what oneDNN's LSTM keeps for its derivative, a region for each kind of array, in whole pages.

    Gates; states of the layer below and of the step before, for this layer and its input; what goes into the next step;
    cells in float32; and room for the cotangents of all states in float32 (oneDNN, ``rnn_utils.cpp``). Rows are padded
    to 64 bytes, and by 64 more where they would be a multiple of 256 elements.
    """
    (steps, batch, inputs), units = operands["input"].shape, operands["result"].shape[-1]
    size = ITEM_BYTES[operands["input"].dtype]

    def padded(row: int, item: int) -> int:
        whole = -(-row * item // 64) * 64 // item
        return whole + 64 // item if whole % 256 == 0 else whole

    widest, later = max(inputs, units), 2 * (steps + 1)
    regions = (
        (steps, padded(4 * units, size), size),
        (later, padded(widest, size), size),
        (later, units, size),
        (steps, padded(units, size), size),
        (later, units, 4),
        (later, padded(widest, 4), 4),
        (later, padded(widest, 4), 4),
    )
    return (sum(-(-rows * batch * row * item // PAGE) * PAGE for rows, row, item in regions),), "bool"


def _steps(count: int) -> Extra:
    """Return so many states for each step of a recurrent layer's result (T, B, n)."""
    return _per(lambda o: (*o["result"].shape[:-1], count * o["result"].shape[-1]))


def _attention(logsumexp: Extra, read: str = "") -> Operation:
    """Fused attention: what is kept of the scores is a number for each query."""
    return Operation(
        dict.fromkeys(("query", "key", "value"), "query key value output logsumexp"),
        joint=True,
        pull=Pull.POSITIONS,
        cast=LOW,
        extra={"logsumexp": logsumexp},
        read=read,
    )


def unary(reads: str, cast: Cast = FOLLOW, cuda: Cast | None = None, *, work: int = 0) -> Operation:
    """An elementwise function of ``self``, or a reduction of it."""
    return Operation({"self": reads}, cast=cast, cuda=cuda, work=work)


_VIEW = Operation({"self": ""}, pull=Pull.VIEW)

OPERATIONS: Mapping[str, Operation] = {
    # products
    "addmm": Operation({"self": "", "mat1": "mat2", "mat2": "mat1"}, cast=LOW),
    "mm": Operation({"self": "mat2", "mat2": "self"}, cast=LOW),
    "bmm": Operation({"self": "mat2", "mat2": "self"}, cast=LOW),
    "convolution": Operation(dict.fromkeys(("input", "weight", "bias"), "input weight"), joint=True, cast=LOW),
    # elementwise, one operand
    "relu": unary("result"),
    "sigmoid": unary("result"),
    "tanh": unary("result"),
    "exp": unary("result", cuda=FULL),
    "rsqrt": unary("result", cuda=FULL),
    "hardtanh": unary("self"),
    "hardsigmoid": unary("self"),
    "hardswish": unary("self"),
    "leaky_relu": unary("self"),
    "gelu": unary("self"),
    "silu": unary("self"),
    "softplus": unary("self", cuda=FULL),
    "log": unary("self", cuda=FULL),
    "neg": unary(""),
    "mul.Scalar": unary(""),
    "pow.Tensor_Scalar": unary("self", cuda=FULL, work=2),
    "masked_fill": Operation({"self": "mask"}),
    "_softmax": unary("result", cuda=FULL),
    "_log_softmax": unary("result", cast=FULL),
    "native_dropout": Operation(
        {"input": "result1"},
        extra={"result1": _per(lambda o: o["input"].shape, "bool")},
        read="aten/src/ATen/native/Dropout.cpp: is_fused_kernel_acceptable",
    ),
    # elementwise, two operands
    "add.Tensor": Operation({"self": "", "other": ""}, pull=Pull.SAME),
    "mul.Tensor": Operation({"self": "other", "other": "self"}, pull=Pull.WIDE),
    # norms
    "native_batch_norm": Operation(
        dict.fromkeys(("input", "weight", "bias"), "input weight result1 result2"),
        joint=True,
        extra={"result1": _channels, "result2": _channels},
    ),
    "native_layer_norm": Operation(
        dict.fromkeys(("input", "weight", "bias"), "input weight bias result1 result2"),
        joint=True,
        cuda=FULL,
        extra={"result1": _rows, "result2": _rows},
    ),
    "native_group_norm": Operation(
        dict.fromkeys(("input", "weight", "bias"), "input weight result1 result2"),
        joint=True,
        cuda=FULL,
        extra={"result1": _rows, "result2": _rows},
    ),
    # windows
    "max_pool2d_with_indices": Operation(
        {"self": "self result1"}, extra={"result1": _per(lambda o: o["result"].shape, "int64")}
    ),
    "avg_pool2d": unary("self"),
    "_adaptive_avg_pool2d": unary("self"),
    "constant_pad_nd": unary(""),
    # reductions
    "mean.dim": unary(""),
    "sum": Operation({"self": ""}, pull=Pull.VIEW, cuda=FULL),
    # tokens
    "embedding": Operation({"weight": "indices"}),
    # moves
    "view": _VIEW,
    "permute": _VIEW,
    "expand": Operation({"self": ""}, pull=Pull.SAME),
    "clone": Operation({"self": ""}, pull=Pull.SAME),
    "slice.Tensor": Operation({"self": ""}, pull=Pull.PADDED),
    "select.int": Operation({"self": ""}, pull=Pull.PADDED),
    "split.Tensor": Operation({"self": ""}, pull=Pull.PADDED),
    "cat": Operation({"tensors": ""}, pull=Pull.VIEW),
    "_to_copy": Operation({"self": ""}, pull=Pull.SAME),
    # attention
    "_scaled_dot_product_flash_attention_for_cpu": _attention(_scores),
    "_scaled_dot_product_flash_attention": _attention(
        _scores, read="aten/src/ATen/native/transformers/cuda/attention.cu"
    ),
    "_scaled_dot_product_efficient_attention": _attention(
        _per(lambda o: (*o["query"].shape[:2], -(-o["query"].shape[2] // 32) * 32), "float32"),
        read="aten/src/ATen/native/transformers/cuda/attention.cu",
    ),
    # recurrence: a layer of all steps, over x (T, B, m)
    "mkldnn_rnn_layer": Operation(
        dict.fromkeys(_RECURRENT, "input weight0 weight1 weight2 weight3 hx_ cx_ result0 result1 result2 result3"),
        joint=True,
        cast=LOW,
        extra={"result1": _state, "result2": _state, "result3": _workspace},
    ),
    "_cudnn_rnn": Operation(
        dict.fromkeys(_RECURRENT, "input weight0 weight1 weight2 hx_ cx_ result0 result3"),
        joint=True,
        cast=LOW,
        extra={"result1": _state, "result2": _state, "result3": _steps(6)},
        read="aten/src/ATen/native/cudnn/RNN.cpp; that its reserve holds gates and cells of each step is assumed",
    ),
    # steps of a module that has no kernel of its own: what each keeps
    "lstm": Operation({"gates": "kept weight", "weight": "kept"}, joint=True, extra={"kept": _steps(6)}),
    "gru": Operation({"gates": "kept weight", "weight": "kept"}, joint=True, extra={"kept": _steps(6)}),
    "rnn": Operation({"gates": "kept weight", "weight": "kept"}, joint=True, extra={"kept": _steps(1)}),
    # losses
    "nll_loss_forward": Operation({"self": "self target"}, cast=FULL),
    "mse_loss": Operation({"self": "self target"}, cast=FULL),
    "binary_cross_entropy": Operation({"self": "self target"}, cast=FULL),
}
