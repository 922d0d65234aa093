"""From our layers to PyTorch's operations: for each layer, what a module written in PyTorch calls.

A function takes the machine, the node, the values that it reads (B, \\*shape) and the layer's parameters by name. What
several layers become together, such as fused attention, stands in ``composites``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any, TypeAlias

from gradcost.memory_of.eager import Eager
from gradcost.memory_of.operations import Cast
from gradcost.memory_of.tensors import Tensor, broadcast, contiguous
from gradcost.units import Shape

LOW = Cast.LOW.value
Parameters: TypeAlias = Mapping[str, Tensor]
Lower: TypeAlias = Callable[[Eager, Any, list[Tensor], Parameters], Tensor]


def linear(eager: Eager, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """``F.linear``: addmm or mm on the rows, as a view; weights are read through a transposed view."""
    rows, units = prod(x.shape[:-1]), weight.shape[0]
    if eager.autocast:
        x, weight = eager.cast(x, LOW), eager.cast(weight, LOW)
        bias = None if bias is None else eager.cast(bias, LOW)
    flat = eager.reshape(x, (rows, x.shape[-1])) if len(x.shape) > 2 else x
    turned = eager.permute(weight, (1, 0))
    if bias is None:
        made = eager.call("mm", (rows, units), self=flat, mat2=turned)
    elif flat.storage is not x.storage:  # rows that had to be copied: matmul, then the bias
        made = eager.call("mm", (rows, units), self=flat, mat2=turned)
        made = eager.call("add.Tensor", made.shape, over=made, self=made, other=bias)
    else:
        made = eager.call("addmm", (rows, units), self=bias, mat1=flat, mat2=turned)
    return eager.reshape(made, (*x.shape[:-1], units)) if len(x.shape) > 2 else made


def matmul(eager: Eager, a: Tensor, b: Tensor) -> Tensor:
    """``torch.matmul`` of two stacks of matrices: bmm on views, or copies, with one axis for the stack."""
    lead, (rows, inner), columns = a.shape[:-2], a.shape[-2:], b.shape[-1]
    if eager.autocast:
        a, b = eager.cast(a, LOW), eager.cast(b, LOW)
    count = prod(lead)
    a, b = eager.reshape(a, (count, rows, inner)), eager.reshape(b, (count, inner, columns))
    made = eager.call("bmm", (count, rows, columns), self=a, mat2=b)
    return eager.reshape(made, (*lead, rows, columns))


def unary(name: str) -> Lower:
    """A function of each element."""
    return lambda eager, node, xs, p: eager.call(name, xs[0].shape, self=xs[0])


def in_place(name: str) -> Lower:
    """A function that is written over its operand where autograd allows: its derivative reads the result then."""

    def lower(eager: Eager, node: Any, xs: list[Tensor], p: Parameters) -> Tensor:
        if eager.may_overwrite(xs[0]):
            return eager.call(name, xs[0].shape, over=xs[0], saves="result", self=xs[0])
        return eager.call(name, xs[0].shape, self=xs[0])

    return lower


def _convolution(eager: Eager, node: Any, xs: list[Tensor], p: Parameters) -> Tensor:
    x = _padded(eager, node, xs[0])
    return eager.call("convolution", (x.shape[0], *node.shape), input=x, weight=p["W"], bias=p.get("b"))


def _padded(eager: Eager, node: Any, x: Tensor) -> Tensor:
    """Pad by an operation of its own where the two sides differ."""
    rows, cols = node.op.windows.rows, node.op.windows.cols
    if rows.before == rows.after and cols.before == cols.after:
        return x
    return eager.call("constant_pad_nd", (*x.shape[:2], rows.padded, cols.padded), self=x)


def _conv_transpose(eager: Eager, node: Any, xs: list[Tensor], p: Parameters) -> Tensor:
    return eager.call("convolution", (xs[0].shape[0], *node.shape), input=xs[0], weight=p["W"], bias=p.get("b"))


def _pool(name: str) -> Lower:
    def lower(eager: Eager, node: Any, xs: list[Tensor], p: Parameters) -> Tensor:
        x = _padded(eager, node, xs[0])
        return eager.call(name, (x.shape[0], *node.shape), self=x)

    return lower


def _mean(eager: Eager, node: Any, xs: list[Tensor], p: Parameters) -> Tensor:
    return eager.call("mean.dim", (xs[0].shape[0], *node.shape), self=xs[0])


def _adaptive(eager: Eager, node: Any, xs: list[Tensor], p: Parameters) -> Tensor:
    name = "mean.dim" if prod(node.shape[1:]) == 1 else "_adaptive_avg_pool2d"
    return eager.call(name, (xs[0].shape[0], *node.shape), self=xs[0])


def _norm(name: str) -> Lower:
    def lower(eager: Eager, node: Any, xs: list[Tensor], p: Parameters) -> Tensor:
        return eager.call(name, xs[0].shape, dtype=xs[0].dtype, input=xs[0], weight=p["gamma"], bias=p["beta"])

    return lower


def _groupnorm(eager: Eager, node: Any, xs: list[Tensor], p: Parameters) -> Tensor:
    (x,), group = xs, (xs[0].shape[0], node.op.view[0])
    results = {"result1": (group, x.dtype), "result2": (group, x.dtype)}
    return eager.call(
        "native_group_norm", x.shape, dtype=x.dtype, results=results, input=x, weight=p["gamma"], bias=p["beta"]
    )


def _rmsnorm(eager: Eager, node: Any, xs: list[Tensor], p: Parameters) -> Tensor:
    """x * rsqrt(mean(x^2) + eps) * weight, operation by operation."""
    (x,) = xs
    wide = eager.cast(x, "float32") if eager.autocast else x
    squares = eager.call("pow.Tensor_Scalar", x.shape, self=wide)
    mean = eager.call("mean.dim", (*x.shape[:-1], 1), self=squares)
    root = eager.call("rsqrt", mean.shape, self=eager.call("add.Tensor", mean.shape, self=mean))
    scaled = eager.call("mul.Tensor", x.shape, self=wide, other=root)
    return eager.call("mul.Tensor", x.shape, self=scaled, other=p["gamma"])


def _add(eager: Eager, node: Any, xs: list[Tensor], p: Parameters) -> Tensor:
    total, *others = xs
    for other in others:
        total = eager.call("add.Tensor", broadcast((total.shape, other.shape)), self=total, other=other)
    return total


def _multiply(eager: Eager, node: Any, xs: list[Tensor], p: Parameters) -> Tensor:
    product, *others = xs
    for other in others:
        wide = eager.reshape(other, (*other.shape, *(1,) * (len(product.shape) - len(other.shape))))
        product = eager.call("mul.Tensor", broadcast((product.shape, wide.shape)), self=product, other=wide)
    return product


def _concat(eager: Eager, node: Any, xs: list[Tensor], p: Parameters) -> Tensor:
    return cat(eager, xs, node.op.axis + 1)


def cat(eager: Eager, xs: list[Tensor], axis: int) -> Tensor:
    """``torch.cat``: the cotangents are parts of the whole's."""
    shape = list(xs[0].shape)
    shape[axis] = sum(x.shape[axis] for x in xs)
    operands: dict[str, Any] = {f"tensors{i}": x for i, x in enumerate(xs)}
    return eager.call("cat", tuple(shape), **operands)


def _slice(eager: Eager, node: Any, xs: list[Tensor], p: Parameters) -> Tensor:
    return eager.call("slice.Tensor", (xs[0].shape[0], *node.shape), view=xs[0].strides, self=xs[0])


def split(eager: Eager, x: Tensor, count: int, axis: int = -1) -> list[Tensor]:
    """``x.chunk(count, axis)``: views, whose cotangents are put together at once."""
    shape = list(x.shape)
    shape[axis] //= count
    made = eager.call("split.Tensor", tuple(shape), view=x.strides, self=x)
    return [made] + [eager.another(made) for _ in range(count - 1)]


def select(eager: Eager, x: Tensor) -> Tensor:
    """``x[i]``: a view, whose cotangent is put among zeros."""
    return eager.call("select.int", x.shape[1:], view=x.strides[1:], self=x)


def _permute(eager: Eager, node: Any, xs: list[Tensor], p: Parameters) -> Tensor:
    return eager.permute(xs[0], (0, *(axis + 1 for axis in node.op.order)))


def _reshape(eager: Eager, node: Any, xs: list[Tensor], p: Parameters) -> Tensor:
    return eager.reshape(xs[0], (xs[0].shape[0], *node.shape))


def _class_token(eager: Eager, node: Any, xs: list[Tensor], p: Parameters) -> Tensor:
    (x,), token = xs, p["c"]
    shape: Shape = (x.shape[0], 1, *token.shape)
    row = eager.call("expand", shape, view=(0, 0, *contiguous(token.shape)), self=token)
    return cat(eager, [row, x], 1)


def _positional(eager: Eager, node: Any, xs: list[Tensor], p: Parameters) -> Tensor:
    return eager.call("add.Tensor", xs[0].shape, self=xs[0], other=p["P"])


def _embedding(eager: Eager, node: Any, xs: list[Tensor], p: Parameters) -> Tensor:
    return eager.call("embedding", (xs[0].shape[0], *node.shape), dtype=p["W"].dtype, weight=p["W"], indices=xs[0])


def _dropout(eager: Eager, node: Any, xs: list[Tensor], p: Parameters) -> Tensor:
    """On cuda one operation that keeps which elements stay; on the cpu a product with a mask of the value's dtype."""
    (x,) = xs
    if node.op.rate == 0:
        return x
    if eager.device == "cuda":
        return eager.call("native_dropout", x.shape, input=x)
    eager.moment()
    mask = eager.new(x.shape, x.dtype)
    return eager.call("mul.Tensor", x.shape, self=x, other=mask)


def _scores(eager: Eager, node: Any, xs: list[Tensor], p: Parameters) -> Tensor:
    rank = len(xs[1].shape)
    return matmul(eager, xs[0], eager.permute(xs[1], (*range(rank - 2), rank - 1, rank - 2)))


def _causal_softmax(eager: Eager, node: Any, xs: list[Tensor], p: Parameters) -> Tensor:
    return softmax(eager, xs[0], causal=True)


def softmax(eager: Eager, x: Tensor, *, causal: bool = False) -> Tensor:
    """Softmax over the last axis; what is ahead is filled with -inf before, by an operation of its own."""
    if causal:
        mask = eager.new(x.shape[-2:], "bool")
        x = eager.call("masked_fill", x.shape, self=x, mask=mask)
    return eager.call("_softmax", x.shape, self=x)


LOWER: Mapping[str, Lower] = {
    "AdaptiveAvgPool": _adaptive,
    "Add": _add,
    "AvgPool": _pool("avg_pool2d"),
    "BatchNorm": _norm("native_batch_norm"),
    "BatchNormTraining": _norm("native_batch_norm"),
    "CausalSoftmax": _causal_softmax,
    "ClassToken": _class_token,
    "Concat": _concat,
    "Conv2d": _convolution,
    "ConvTranspose2d": _conv_transpose,
    "Dense": lambda eager, node, xs, p: linear(eager, xs[0], p["W"], p.get("b")),
    "Dropout": _dropout,
    "Embedding": _embedding,
    "Gate": _multiply,
    "Gelu": unary("gelu"),
    "GroupNorm": _groupnorm,
    "HardSigmoid": unary("hardsigmoid"),
    "HardSwish": unary("hardswish"),
    "Identity": lambda eager, node, xs, p: xs[0],
    "LayerNorm": _norm("native_layer_norm"),
    "LeakyRelu": in_place("leaky_relu"),
    "MaxPool": _pool("max_pool2d_with_indices"),
    "Mean": _mean,
    "Multiply": _multiply,
    "Permute": _permute,
    "Positional": _positional,
    "Relu": in_place("relu"),
    "Relu6": unary("hardtanh"),
    "Reshape": _reshape,
    "RmsNorm": _rmsnorm,
    "Scale": unary("mul.Scalar"),
    "Scores": _scores,
    "Sigmoid": unary("sigmoid"),
    "Silu": unary("silu"),
    "Slice": _slice,
    "Softmax": lambda eager, node, xs, p: softmax(eager, xs[0]),
    "Softplus": unary("softplus"),
    "Tanh": unary("tanh"),
    "Weighted": lambda eager, node, xs, p: matmul(eager, xs[0], xs[1]),
}
