"""The walk of cotangents: from a value's cotangent back to the gradient of each trained parameter above it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import TypeAlias

from gradcost.formula import Dims
from gradcost.graph import Elementwise, Join, Node, View
from gradcost.schedule.emitter import Emitter
from gradcost.schedule.operations import Accumulate, StoreRow, UnitVector
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
            if not node.active:
                continue
            cotangent = cotangents.pop(node.index)
            self.emitter.carried[node.index] = (cotangent,)
            parameter_gradients(self.emitter, node, cotangent, self.gradients, keep=self.keep)
            for index, source in enumerate(node.sources):
                if not graph.nodes[source].active:
                    continue
                held = cotangents.get(source)
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
        emitter.call(node, "gradient", f"vjp_{name}", (cotangent,), makes=gradient, sizes=_k(cotangent))
        add_gradient(emitter, node, name, gradient, gradients)


def new_gradient(
    emitter: Emitter, node: Node, name: str, gradients: Gradients, cotangents: int = 1, *, keep: bool = True
) -> Buffer:
    """Return the buffer of a parameter's gradients, which are kept to the end if they are the parameter's first."""
    held = keep and node.key(name) not in gradients
    return emitter.pulled(f"dL/d{node.parameter_symbol(name)}", node.op.parameters[name], cotangents, held=held)


def add_gradient(emitter: Emitter, node: Node, name: str, gradient: Buffer, gradients: Gradients) -> None:
    """Keep a gradient; emit its sum with that of another layer which shares the parameter."""
    held = gradients.setdefault(node.key(name), gradient)
    if held is not gradient:
        dims = Dims({"p": gradient.elements}, {"p": f"p{node.number}"})
        emitter.do(node, "gradient", Accumulate(), (gradient,), rule="gradients", into=held, dims=dims)


def _pull(emitter: Emitter, node: Node, index: int, cotangent: Buffer) -> Buffer:
    """Emit the cotangent of one input from that of the output."""
    source = emitter.graph.nodes[node.sources[index]]
    shape = (emitter.graph.batch_of(node), *source.shape)
    pulled = emitter.pulled(cotangent_symbol(source), shape, cotangent.shape[0])
    sizes = _k(cotangent)
    if isinstance(node.op, View) or (isinstance(node.op, Join) and node.op.passes):
        emitter.view(node, "cotangent", cotangent, pulled)
    elif isinstance(node.op, Join):
        rule = node.op.vjp_rule(index)
        emitter.call(node, "cotangent", rule, (cotangent,), makes=pulled, index=index, sizes=sizes)
    elif isinstance(node.op, Elementwise):
        emitter.derivative(node)
        emitter.call(node, "cotangent", "vjp", (cotangent,), makes=pulled, over=(cotangent,), sizes=sizes)
    else:
        emitter.call(node, "cotangent", "vjp", (cotangent,), makes=pulled, sizes=sizes)
    return _over_samples(emitter, node, pulled) if node.batched and not source.batched else pulled


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
    total = emitter.pulled(held.symbol, held.shape[1:], held.shape[0])
    batch = emitter.graph.batch_of(node)
    sizes = {"B": batch, "N": prod(node.shape), "K": held.shape[0]}
    dims = Dims(sizes, {"B": "B", "N": f"N{node.number}"})
    over = (held, more)
    emitter.do(node, "cotangent", Accumulate(), over, rule="cotangents", makes=total, dims=dims, over=over)
    return total


def rows(emitter: Emitter, nodes: Sequence[Node], finish: Callable[[Walk], None] | None = None) -> Plan:
    """Emit one pull for each output of the batch, seeded with a unit vector, into the rows of the Jacobian (jacrev).

    Args:
        emitter: with the values that the walk reads.
        nodes: that the walk goes back over.
        finish: emits the gradients of parameters above those.
    """
    graph, program = emitter.graph, emitter.program
    jacobian: Gradients = {}
    for key, shape in graph.trained.items():
        node = graph.nodes[key[0]]
        symbol = f"d{graph.output.symbol}/d{node.parameter_symbol(key[1])}"
        jacobian[key] = emitter.buffer(symbol, (*emitter.shaped(graph.output), *shape), held=True)
        emitter.do(node, "jacobian", Room(), makes=jacobian[key])
    with program.loop(graph.rows):
        seed = emitter.pulled(f"e:{graph.output.symbol}", emitter.shaped(graph.output))
        emitter.do(graph.output, "seed", UnitVector(), makes=seed)
        walk = Walk(emitter, seed, keep=False)
        walk.back(nodes)
        if finish is not None:
            finish(walk)
        for key, gradient in walk.gradients.items():
            emitter.do(graph.nodes[key[0]], "jacobian", StoreRow(graph.rows), (gradient,), into=jacobian[key])
    return Plan([Segment(program)], jacobian, carried=emitter.carried)
