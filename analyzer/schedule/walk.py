"""The walk of cotangents: from a value's cotangent back to the gradient of each trained parameter above it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import TypeAlias

from gradcost.formula import Dims
from gradcost.graph import Elementwise, Join, Node, View
from gradcost.schedule.emitter import Emitter
from gradcost.schedule.operations import Accumulate, BySample, Repeat, StoreRows, UnitVectors
from gradcost.schedule.program import Buffer, Plan, Room, Segment

Gradients: TypeAlias = dict[tuple[int, str], Buffer]


class Walk:
    """The walk of cotangents from the output to the gradient of each trained parameter, in one go or in parts.

    Attributes:
        gradients: what has been reached so far.
        keep: whether they live to the end, as what the schedule is for.
    """

    def __init__(self, emitter: Emitter, cotangent: Buffer, *, at: Node | None = None, keep: bool = True) -> None:
        """Start at a node, the output unless told otherwise, with the cotangent of its value."""
        self.emitter = emitter
        self.keep = keep
        self.gradients: Gradients = {}
        self._cotangents = {(at or emitter.graph.output).index: cotangent}
        self._partial: set[Buffer | None] = set()  # that parts may still be added to: nobody else has seen them

    def reached(self, node: Node) -> Buffer:
        """Return the cotangent of a node that the walk has come to, and not gone over."""
        return self._cotangents[node.index]

    def back(self, nodes: Sequence[Node]) -> None:
        """Emit the walk over these nodes, the last first."""
        graph, cotangents, partial = self.emitter.graph, self._cotangents, self._partial
        for node in reversed(nodes):
            cotangent = cotangents.pop(node.index, None)
            if cotangent is None or not node.active:
                continue  # it is not on the way: a layer that is there for the parameters which it shares
            self.emitter.carried[node.index] = (cotangent,)
            parameter_gradients(self.emitter, node, cotangent, self.gradients, keep=self.keep)
            for index, source in enumerate(node.sources):
                if not graph.nodes[source].active:
                    continue
                held = cotangents.get(source)
                if node.op.partial:
                    cotangent = _for_each_sample(self.emitter, node, cotangent)
                if node.op.partial and held in partial:
                    self.emitter.call(node, "cotangent", "vjp_more", (cotangent,), into=held, sizes=_k(cotangent))
                    continue
                pulled = _pull(self.emitter, node, index, cotangent)
                if held is not None:
                    pulled = _accumulate(self.emitter, graph.nodes[source], held, pulled)
                if node.op.partial:
                    partial.add(pulled)
                cotangents[source] = pulled


def parameter_gradients(
    emitter: Emitter, node: Node, cotangent: Buffer, gradients: Gradients, *, keep: bool = True
) -> None:
    """Emit the gradients of a node's own parameters from the cotangent of its output."""
    for name in node.own_parameters:
        gradient = new_gradient(emitter, node, name, gradients, cotangent.shape[0], keep=keep)
        if emitter.graph.per_sample and not node.sources:  # a variable's gradients are the cotangents of its value
            emitter.do(node, "gradient", BySample(), (cotangent,), makes=gradient, view_of=cotangent)
            gradients[node.key(name)] = gradient
            continue
        sizes, samples = _k(cotangent), 0
        if emitter.graph.per_sample:
            sizes, samples = {**sizes, "B": 1}, emitter.graph.batch_of(node)
        emitter.call(node, "gradient", f"vjp_{name}", (cotangent,), makes=gradient, sizes=sizes, samples=samples)
        add_gradient(emitter, node, name, gradient, gradients)


def new_gradient(
    emitter: Emitter, node: Node, name: str, gradients: Gradients, cotangents: int = 1, *, keep: bool = True
) -> Buffer:
    """Return the buffer of a parameter's gradients, which are kept to the end if they are the parameter's first.

    They are (K, \\*shape), sums over the samples, or (B, K, \\*shape) where each sample has its own.
    """
    graph = emitter.graph
    held = keep and node.key(name) not in gradients
    symbol, shape = f"dL/d{node.parameter_symbol(name)}", node.op.gradient_shape(name)
    if graph.per_sample:
        return emitter.buffer(symbol, (graph.batch_of(node), cotangents, *shape), held=held)
    return emitter.pulled(symbol, shape, cotangents, held=held)


def add_gradient(emitter: Emitter, node: Node, name: str, gradient: Buffer, gradients: Gradients) -> None:
    """Keep a gradient; emit its sum with that of another layer which shares the parameter."""
    held = gradients.setdefault(node.key(name), gradient)
    if held is not gradient:
        dims = Dims({"p": gradient.elements}, {"p": f"p{node.number}"})
        emitter.do(node, "gradient", Accumulate(), (gradient,), rule="gradients", into=held, dims=dims)


def _pull(emitter: Emitter, node: Node, index: int, cotangent: Buffer) -> Buffer:
    """Emit the cotangent of one input from that of the output.

    A cotangent that is the same for every sample, as a unit vector is, stays so until it meets what is not: products of
    weights alone are done once.
    """
    source = emitter.graph.nodes[node.sources[index]]
    if isinstance(node.op, View) or (isinstance(node.op, Join) and node.op.passes):
        pulled = _pulled(emitter, source, cotangent)
        emitter.view(node, "cotangent", cotangent, pulled)
    elif isinstance(node.op, Elementwise):
        pulled = emitter.pulled(cotangent_symbol(source), emitter.shaped(node), cotangent.shape[0])
        over = _over(node, cotangent, pulled)
        rule = "vjp_fused" if over and emitter.fuses(node) else "vjp"
        if rule == "vjp":
            emitter.slope_of(node, rule)
        emitter.call(node, "cotangent", rule, (cotangent,), makes=pulled, over=over, sizes=_k(cotangent))
    else:
        place = index if isinstance(node.op, Join) else None
        rule = node.op.vjp_rule(index) if isinstance(node.op, Join) else "vjp"
        if emitter.reads_samples(node, rule, place):
            cotangent = _for_each_sample(emitter, node, cotangent)
        pulled = _pulled(emitter, source, cotangent)
        sizes = {**_k(cotangent), **({"B": 1} if _alike(emitter, node, cotangent) else {})}
        over = _over(node, cotangent, pulled)
        emitter.call(node, "cotangent", rule, (cotangent,), makes=pulled, index=place, sizes=sizes, over=over)
    return _over_samples(emitter, node, pulled) if node.batched and not source.batched else pulled


def _over(node: Node, cotangent: Buffer, pulled: Buffer) -> tuple[Buffer, ...]:
    """Return the cotangent, if what is pulled may be written over it (see ``Step``)."""
    return (cotangent,) if node.op.pulls_in_place and cotangent.shape == pulled.shape else ()


def _pulled(emitter: Emitter, source: Node, cotangent: Buffer) -> Buffer:
    """Return a buffer for a source's cotangents, as many of them and for as many samples as another's."""
    cotangents, batch = cotangent.shape[:2]
    return emitter.pulled(cotangent_symbol(source), (batch, *source.shape), cotangents)


def _alike(emitter: Emitter, node: Node, cotangent: Buffer) -> bool:
    """Whether a cotangent of a batch is the same for every sample."""
    return cotangent.shape[1] < emitter.graph.batch_of(node)


def _for_each_sample(emitter: Emitter, node: Node, cotangent: Buffer) -> Buffer:
    """Emit a copy of a cotangent for each sample, where it is the same for all."""
    if not _alike(emitter, node, cotangent):
        return cotangent
    every = emitter.pulled(cotangent.symbol, emitter.shaped(node), cotangent.shape[0])
    emitter.do(node, "cotangent", Repeat(), (cotangent,), makes=every)
    return every


def _over_samples(emitter: Emitter, node: Node, pulled: Buffer) -> Buffer:
    """Emit the sum of the samples' cotangents of a value that is one for all of them."""
    cotangents, batch, *shape = pulled.shape
    total = emitter.pulled(pulled.symbol, (1, *shape), cotangents)
    dims = Dims({"B": batch, "N": prod(shape), "K": cotangents}, {"B": "B", "N": f"N{node.number}"})
    emitter.do(node, "cotangent", Accumulate(), (pulled,), rule="samples", makes=total, dims=dims)
    return total


def _k(cotangent: Buffer) -> dict[str, int]:
    """Return the symbol K, how many cotangents are pulled at once; one is what a layer's closed forms are for."""
    return {"K": cotangent.shape[0]} if cotangent.shape[0] > 1 else {}


def cotangent_symbol(node: Node) -> str:
    """Name a node's cotangent: delta[1] for the pre-activation z[1], as the textbooks do, and dL/da[1] otherwise."""
    return f"delta{node.symbol[1:]}" if node.letter == "z" else f"dL/d{node.symbol}"


def _accumulate(emitter: Emitter, node: Node, held: Buffer, more: Buffer) -> Buffer:
    """Emit the sum of two cotangents of a value that several layers read."""
    batch = max(held.shape[1], more.shape[1])
    total = emitter.pulled(held.symbol, (batch, *node.shape), held.shape[0])
    sizes = {"B": batch, "N": prod(node.shape), "K": held.shape[0]}
    dims = Dims(sizes, {"B": "B", "N": f"N{node.number}"})
    both = (held, more)
    over = tuple(buffer for buffer in both if buffer.shape == total.shape)
    emitter.do(node, "cotangent", Accumulate(), both, rule="cotangents", makes=total, dims=dims, over=over)
    return total


def rows(
    emitter: Emitter, nodes: Sequence[Node], chunk: int | None = None, finish: Callable[[Walk], None] | None = None
) -> Plan:
    """Emit pulls of unit vectors, one for each output, into the rows of the Jacobian (jacrev).

    Args:
        emitter: with the values that the walk reads.
        nodes: that the walk goes back over.
        chunk: how many are pulled at once; None: all.
        finish: emits the gradients of parameters above those.
    """
    graph, program = emitter.graph, emitter.program
    size = min(chunk or graph.rows, graph.rows)
    jacobian = {key: _jacobian(emitter, key) for key in graph.trained}
    if size == graph.rows:
        for key, gradient in _pull_rows(emitter, nodes, 0, size, finish, keep=True).items():
            emitter.view(graph.nodes[key[0]], "jacobian", gradient, jacobian[key])
        return Plan([Segment(program)], jacobian, carried=emitter.carried)
    for key, whole in jacobian.items():
        emitter.do(graph.nodes[key[0]], "jacobian", Room(), makes=whole)
    for first, turns, together in ((0, graph.rows // size, size), (graph.rows // size * size, 1, graph.rows % size)):
        if not together:
            continue
        with program.loop(turns):
            for key, gradient in _pull_rows(emitter, nodes, first, together, finish, keep=False).items():
                store = StoreRows(graph.rows, first, together, per_sample=graph.per_sample)
                emitter.do(graph.nodes[key[0]], "jacobian", store, (gradient,), into=jacobian[key])
    return Plan([Segment(program)], jacobian, carried=emitter.carried)


def _jacobian(emitter: Emitter, key: tuple[int, str]) -> Buffer:
    """Return the buffer of the Jacobian by one parameter: (B, \\*output, \\*shape)."""
    graph = emitter.graph
    symbol = f"d{graph.output.symbol}/d{graph.nodes[key[0]].parameter_symbol(key[1])}"
    return emitter.buffer(symbol, (*emitter.shaped(graph.output), *graph.trained[key]), held=True)


def _pull_rows(
    emitter: Emitter, nodes: Sequence[Node], first: int, size: int, finish: Callable[[Walk], None] | None, *, keep: bool
) -> Gradients:
    """Emit the pull of some unit vectors together."""
    output = emitter.graph.output
    per_sample = emitter.graph.per_sample
    seed = emitter.pulled(f"e:{output.symbol}", (1, *output.shape) if per_sample else emitter.shaped(output), size)
    emitter.do(output, "seed", UnitVectors(first, size, per_sample=per_sample), makes=seed)
    walk = Walk(emitter, seed, keep=keep)
    walk.back(nodes)
    if finish is not None:
        finish(walk)
    return walk.gradients
