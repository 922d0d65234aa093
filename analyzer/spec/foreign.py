"""What other frameworks call our layer types, losses and dtypes, so that an error can say how a spec writes them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gradcost.errors import nearest


@dataclass(frozen=True, slots=True)
class Ours:
    """How a spec writes something.

    Attributes:
        text: what to write.
        names: what others call it: lower case, without the places that ``bare`` takes away, in one text.
        remark: what else there is to know.
    """

    text: str
    names: str
    remark: str = ""


LAYERS = (
    Ours("{type: dense, units: 64}", "dense linear lazylinear fc fullyconnected gemm innerproduct mlp"),
    Ours("{type: conv1d, filters: 64, kernel: 3}", "conv1d convolution1d"),
    Ours("{type: conv2d, filters: 64, kernel: 3}", "conv2d conv convolution convolution2d"),
    Ours(
        "{type: conv2d, filters: 64, kernel: 3, groups: 64}",
        "depthwiseconv2d depthwiseconv",
        "a group for each channel",
    ),
    Ours(
        "{type: conv_transpose2d, filters: 64, kernel: 2, stride: 2}",
        "convtranspose2d conv2dtranspose convtranspose deconv deconv2d deconvolution",
    ),
    Ours("{type: max_pool, kernel: 2}", "maxpool maxpool2d maxpooling maxpooling2d"),
    Ours("{type: avg_pool, kernel: 2}", "avgpool avgpool2d averagepool averagepooling averagepooling2d"),
    Ours("{type: adaptive_avg_pool, size: 7}", "adaptiveavgpool adaptiveavgpool2d"),
    Ours("{type: global_avg_pool}", "globalavgpool globalaveragepool globalaveragepooling globalaveragepooling2d gap"),
    Ours("{type: mean, axis: 0}", "mean reducemean"),
    Ours("{type: batchnorm}", "batchnorm batchnorm1d batchnorm2d batchnormalization bn"),
    Ours("{type: layernorm}", "layernorm layernormalization ln"),
    Ours("{type: rmsnorm}", "rmsnorm rmsnormalization"),
    Ours("{type: groupnorm, groups: 8}", "groupnorm groupnormalization gn"),
    Ours(
        "{type: groupnorm, groups: 64}",
        "instancenorm instancenorm1d instancenorm2d instancenormalization",
        "a group for each channel",
    ),
    Ours("{type: activation, activation: relu}", "relu rectifier"),
    Ours("{type: activation, activation: relu6}", "relu6"),
    Ours("{type: activation, activation: leaky_relu}", "leakyrelu lrelu"),
    Ours("{type: activation, activation: gelu}", "gelu"),
    Ours("{type: activation, activation: silu}", "silu swish"),
    Ours("{type: activation, activation: sigmoid}", "sigmoid logistic"),
    Ours("{type: activation, activation: tanh}", "tanh"),
    Ours("{type: activation, activation: softplus}", "softplus"),
    Ours("{type: activation, activation: hardsigmoid}", "hardsigmoid"),
    Ours("{type: activation, activation: hardswish}", "hardswish hardsilu"),
    Ours("{type: activation, activation: softmax}", "softmax", "it is part of the loss softmax_ce, which takes logits"),
    Ours("{type: activation, activation: identity}", "identity"),
    Ours("{type: dropout, rate: 0.5}", "dropout"),
    Ours("{type: embedding, units: 64}", "embedding embed lookup", "the input says its vocabulary"),
    Ours("{type: positional}", "positional positionalembedding positionalencoding positionembedding"),
    Ours("{type: class_token}", "classtoken clstoken cls"),
    Ours("{type: multi_head_attention, heads: 8}", "multiheadattention multiheadedattention mha selfattention"),
    Ours("{type: attention, from: [q, k, v]}", "attention scaleddotproductattention sdpa dotproductattention"),
    Ours("{type: matmul, from: [a, b]}", "matmul bmm mm"),
    Ours("{type: rnn, units: 64}", "rnn simplernn elman"),
    Ours("{type: lstm, units: 64}", "lstm"),
    Ours("{type: gru, units: 64}", "gru"),
    Ours("{type: add, from: [a, b]}", "add sum residual shortcut"),
    Ours("{type: multiply, from: [a, b]}", "multiply mul"),
    Ours("{type: concat, from: [a, b]}", "concat cat concatenate"),
    Ours("{type: scale, factor: 0.5}", "scale rescaling"),
    Ours("{type: flatten}", "flatten"),
    Ours("{type: reshape, shape: [4, 4]}", "reshape view unflatten"),
    Ours("{type: permute, order: [1, 0]}", "permute transpose"),
    Ours("{type: slice, axis: 0, start: 0, stop: 4}", "slice narrow crop"),
)
LOSSES = (
    Ours(
        "softmax_ce",
        "softmaxce crossentropy ce nll categoricalcrossentropy sparsecategoricalcrossentropy softmaxcrossentropy",
        "it takes logits, without a softmax before it",
    ),
    Ours("bce", "bce binarycrossentropy", "it takes probabilities, from a sigmoid"),
    Ours(
        "bce",
        "bcewithlogits sigmoidcrossentropy",
        "it takes probabilities: end the network with {type: activation, activation: sigmoid}",
    ),
    Ours("mse", "mse meansquarederror squarederror l2"),
    Ours("none", "none no"),
)
DTYPES = (
    Ours("float32", "float32 float single fp32 f32"),
    Ours("float64", "float64 double fp64 f64"),
    Ours("float16", "half float16 fp16 f16"),
    Ours("float32", "bfloat16 bf16", "`gradcost memory --precision` tells what training holds in half the size"),
)

TARGETS = (
    Ours("classes", "class ids labels indices index sparse integers int64"),
    Ours("dense", "onehot soft probabilities distribution floats"),
)


def bare(name: str) -> str:
    """Return a name as the tables have it: ``torch.nn.CrossEntropyLoss`` and ``cross_entropy`` are ``crossentropy``."""
    last = name.rpartition(".")[2]
    return last.lower().replace("_", "").replace("-", "").replace(" ", "").removesuffix("loss")


def written(name: str, table: Iterable[Ours]) -> str:
    """Return ``": write ..."`` where a table has the name, the tail of a message; else nothing."""
    wanted = bare(name)
    found = next((ours for ours in table if wanted in ours.names.split()), None)
    if found is None:
        return ""
    return f": write {found.text}; {found.remark}" if found.remark else f": write {found.text}"


def instead(name: str, table: Iterable[Ours], allowed: Iterable[str]) -> str:
    """Return what to write for a name that others have for ours, or else the nearest of those allowed."""
    return written(name, table) or nearest(name, allowed)
