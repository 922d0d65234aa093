"""What several operations of the graph become together: fused attention, and recurrent layers as one kernel."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TypeAlias

from gradcost.errors import UsageError
from gradcost.graph import Graph, Node
from gradcost.layers.dense import Dense
from gradcost.memory_of.eager import Eager
from gradcost.memory_of.lowering import LOWER, linear, matmul, select, softmax, split
from gradcost.memory_of.tensors import Tensor
from gradcost.spec.training import Training
from gradcost.units import Shape

Key: TypeAlias = tuple[tuple[int, str], ...]  # of a parameter: the graph's, of which PyTorch has several as one
Parameters: TypeAlias = Mapping[Key, Tensor]
Weights: TypeAlias = Mapping[str, Tensor]
Run: TypeAlias = Callable[[Eager, list[Tensor], Parameters], Tensor]


@dataclass(frozen=True)
class Unit:
    """Nodes of the graph that become one call of a module or function.

    Attributes:
        nodes: those that it covers; the value of the last one is what it makes.
        sources: the nodes whose values it reads.
        parameters: the shape of each parameter that it reads.
        run: makes the value.
        cached: elements of a token's keys and values, of a sample, that decoding holds.
    """

    nodes: Sequence[Node]
    sources: tuple[int, ...]
    parameters: Mapping[Key, Shape]
    run: Run
    cached: int = 0

    @property
    def last(self) -> Node:
        """The node whose value it makes."""
        return self.nodes[-1]


def units(graph: Graph, training: Training) -> list[Unit]:
    """Cut a graph's operations into units, in order.

    Raises:
        UsageError: a layer for which there is no rule.
    """
    found: list[Unit] = []
    nodes, index = graph.nodes, 0
    while index < len(nodes):
        if nodes[index].layer is None:
            index += 1
            continue
        unit = (
            _recurrent(graph, index)
            or _multi_head(nodes, index, training)
            or _attention(nodes, index, training.attention)
            or _single(nodes[index])
        )
        found.append(unit)
        index += len(unit.nodes)
    return found


def _single(node: Node) -> Unit:
    lower = LOWER.get(type(node.op).__name__)
    if lower is None:
        raise UsageError(f"layer {node.label!r}: there is no rule for how PyTorch runs a {type(node.op).__name__}")

    def run(eager: Eager, xs: list[Tensor], parameters: Parameters) -> Tensor:
        return lower(eager, node, xs, {name: parameters[node.key(name),] for name in node.op.parameters})

    return Unit((node,), node.sources, {(node.key(name),): shape for name, shape in node.op.parameters.items()}, run)


def _attention(nodes: Sequence[Node], index: int, kind: str) -> Unit | None:
    """Find what an attention layer multiplies: reshape, scale, scores, softmax, weighted, reshape."""
    part = nodes[index : index + 6]
    names = [type(node.layer).__name__ for node in part]
    if names[:3] != ["Reshape", "Scale", "Scores"] or names[4:] != ["Weighted", "Reshape"]:
        return None
    causal, (q,) = names[3] == "CausalSoftmax", part[0].sources
    k, v = part[2].sources[1], part[4].sources[1]

    def run(eager: Eager, xs: list[Tensor], parameters: Parameters) -> Tensor:
        return attend(eager, *xs, causal=causal, kind=kind)

    cached = sum(nodes[each].shape[0] * nodes[each].shape[-1] for each in (k, v)) if causal else 0
    return Unit(part, (q, k, v), {}, run, cached)


# The kernel that scaled_dot_product_attention chooses, by device and by whether it computes in 16 bits; on a GPU there
# is none for float64, and attention runs as its products.
FUSED = {
    ("cpu", False): "_scaled_dot_product_flash_attention_for_cpu",
    ("cpu", True): "_scaled_dot_product_flash_attention_for_cpu",
    ("cuda", False): "_scaled_dot_product_efficient_attention",
    ("cuda", True): "_scaled_dot_product_flash_attention",
}
GATES = {"lstm": 4, "gru": 3, "rnn": 1}


def _recurrent(graph: Graph, index: int) -> Unit | None:
    """Find a recurrent layer, all its steps: x (B, T, m) to (B, T, n), or to the last (B, n)."""
    label = graph.nodes[index].label
    kind = next((layer.type for layer in graph.layers if layer.name == label), "")
    if kind not in GATES:
        return None
    part = [node for node in graph.nodes[index:] if node.label == label]
    inside = {node.index for node in part}
    source = next(s for node in part for s in node.sources if s not in inside)
    first = {node.part: node for node in part if isinstance(node.layer, Dense) and node.owner == node.index}
    last, units = part[-1], part[-1].shape[-1]
    shapes: dict[Key, Shape] = {
        (node.key(name),): shape for node in first.values() for name, shape in node.op.parameters.items()
    }
    of_input, of_state = (first[each] for each in ("", ",h"))

    def run(eager: Eager, xs: list[Tensor], parameters: Parameters) -> Tensor:
        batch, steps, _ = xs[0].shape
        x = eager.permute(xs[0], (1, 0, 2))
        w, u, b = parameters[of_input.key("W"),], parameters[of_state.key("W"),], parameters.get((of_input.key("b"),))
        eager.moment()
        state = eager.new((batch, units), x.dtype)
        if kind == "lstm" and (eager.device == "cuda" or (eager.onednn and x.dtype != "float64")):
            flat = eager.reshape(x, (prod(x.shape),))  # a copy, unless the layer below left it in this order
            x = eager.reshape(flat, x.shape)
            cell = eager.new((batch, units), x.dtype)
            name = "_cudnn_rnn" if eager.device == "cuda" else "mkldnn_rnn_layer"
            made = eager.call(
                name, (steps, batch, units), input=x, weight0=w, weight1=u, weight2=b, hx_=state, cx_=cell
            )
        else:
            gates = linear(eager, x, w, b)
            made = eager.call(kind, (steps, batch, units), gates=gates, weight=u)
        out = eager.permute(made, (1, 0, 2))
        if last.shape == (units,):
            return select(eager, eager.permute(out, (1, 0, 2)))
        return out

    return Unit(part, (source,), shapes, run)


def _multi_head(nodes: Sequence[Node], index: int, training: Training) -> Unit | None:
    """Find a multi_head_attention of one input whose queries, keys and values are as wide: one product makes them."""
    project = ["Dense", "Reshape", "Permute"]
    part = nodes[index : index + 18]
    names = [type(node.layer).__name__ for node in part]
    if training.projections == "separate" or names[:9] != 3 * project or names[15:] != ["Permute", "Reshape", "Dense"]:
        return None
    dense, (heads, _, size), causal = part[0:9:3], part[2].shape, names[12] == "CausalSoftmax"
    if len({(node.sources, node.shape) for node in dense}) > 1 or part[11].sources[1] != part[5].index:
        return None
    last, units = part[-1], dense[0].shape[-1]
    packed = {name: tuple(node.key(name) for node in dense) for name in dense[0].op.parameters}
    own = {name: (last.key(name),) for name in last.op.parameters}
    shapes = {key: (3 * units, *dense[0].op.parameters[name][1:]) for name, key in packed.items()}
    shapes |= {key: last.op.parameters[name] for name, key in own.items()}
    run_as = {"packed": _by_split, "module": _by_module}[training.projections]

    def run(eager: Eager, xs: list[Tensor], parameters: Parameters) -> Tensor:
        first, second = ({name: parameters[key] for name, key in keys.items()} for keys in (packed, own))
        return run_as(eager, xs[0], first, second, (heads, size), causal, training.attention)

    return Unit(part, dense[0].sources, shapes, run, 2 * heads * size if causal else 0)


def _by_split(
    eager: Eager, x: Tensor, first: Weights, second: Weights, sizes: Shape, causal: bool, kind: str
) -> Tensor:
    """As GPT-2 does: one product, split along its last axis into views."""
    batch, rows, _ = x.shape
    made = linear(eager, x, first["W"], first.get("b"))
    each = split(eager, made, 3)
    q, k, v = (eager.permute(eager.reshape(part, (batch, rows, *sizes)), (0, 2, 1, 3)) for part in each)
    mixed = eager.permute(attend(eager, q, k, v, causal=causal, kind=kind), (0, 2, 1, 3))
    return linear(eager, eager.reshape(mixed, (batch, rows, prod(sizes))), second["W"], second.get("b"))


def _by_module(
    eager: Eager, x: Tensor, first: Weights, second: Weights, sizes: Shape, causal: bool, kind: str
) -> Tensor:
    """As ``nn.MultiheadAttention(batch_first=True)`` does: positions first, and a copy that parts the three."""
    batch, rows, _ = x.shape
    made = linear(eager, eager.permute(x, (1, 0, 2)), first["W"], first.get("b"))
    parted = eager.permute(eager.reshape(made, (rows, batch, 3, prod(sizes))), (2, 0, 1, 3))
    parted = eager.call("clone", parted.shape, self=parted)
    q, k, v = (
        eager.permute(eager.reshape(select(eager, parted), (rows, batch, *sizes)), (1, 2, 0, 3)) for _ in range(3)
    )
    mixed = eager.permute(attend(eager, q, k, v, causal=causal, kind=kind), (2, 0, 1, 3))
    flat = eager.reshape(mixed, (rows * batch, prod(sizes)))
    out = linear(eager, flat, second["W"], second.get("b"))
    return eager.permute(eager.reshape(out, (rows, batch, out.shape[-1])), (1, 0, 2))


def attend(eager: Eager, q: Tensor, k: Tensor, v: Tensor, *, causal: bool, kind: str) -> Tensor:
    """``F.scaled_dot_product_attention``, or its parts: q (B, H, m, d), k (B, G, n, d), v (B, G, n, e)."""
    if kind != "grouped":
        k, v = (_repeated(eager, each, q.shape[1]) for each in (k, v))
    shape: Shape = (*q.shape[:-1], v.shape[-1])
    if kind != "eager" and (eager.device == "cpu" or q.dtype != "float64"):
        low = eager.autocast or q.dtype in ("bfloat16", "float16")
        return eager.call(FUSED[eager.device, low], shape, strides=q.strides, query=q, key=k, value=v)
    scores = matmul(eager, q, eager.permute(k, (0, 1, 3, 2)))
    scores = eager.call("mul.Scalar", scores.shape, self=scores)
    return matmul(eager, softmax(eager, scores, causal=causal), v)


def _repeated(eager: Eager, x: Tensor, heads: int) -> Tensor:
    """Repeat keys or values for each head that shares them, as a copy."""
    batch, groups, rows, size = x.shape
    if groups == heads:
        return x
    b, g, r, s = x.strides
    wide = (batch, groups, heads // groups, rows, size)
    spread = eager.call("expand", wide, view=(b, g, 0, r, s), self=x)
    return eager.reshape(spread, (batch, heads, rows, size))
