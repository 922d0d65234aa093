"""forward_jacobian: da[l]/dW[j] for every j <= l is carried forward, compact at its birth and dense after.

There is no backward walk: once the output is reached, dL/dW[j] = dL/da[L] . da[L]/dW[j].
"""

from __future__ import annotations

from math import prod

from gradcost.formula import Cost, Dims, Term
from gradcost.graph import Graph, Node
from gradcost.numerics import np
from gradcost.strategies.carried import Carried, Compact, Pusher
from gradcost.strategies.emitter import Emitter
from gradcost.strategies.program import Arrays, Buffer, Plan, Segment

DENSE = Cost(macs="B*N*p", additions="(B*N-1)*p")
COMPACT = Cost(macs="B*S*p", additions="(B*S-1)*p")
COMPACT_WITH_TRAIL = Cost(macs="B*S*T*p", additions="B*S*(T-1)*p + (B*S-1)*p", workspace="B*S*p")


def plan(graph: Graph) -> Plan:
    """Schedule one forward sweep that carries the Jacobians, the loss, and the contraction with dL/da[L]."""
    emitter = Emitter(graph)
    pusher = Pusher(emitter)
    owners: list[tuple[Node, str]] = []
    for node in graph.nodes:
        if node.layer is None:
            continue
        emitter.primal(node)
        if not node.active:
            continue
        carried = pusher.push(node)
        born = []
        for name in node.own_parameters:
            owners.append((node, name))
            born.append(_birth(pusher, node, name))
        pusher.carried[node.index] = Carried(carried.columns, carried.stack, (*carried.compact, *born))
    emitter.loss()
    cotangent = emitter.cotangent()
    carried = pusher.carried[graph.output.index]
    gradients = {}
    spans = {birth.start: span for birth, span in carried.columns}
    compact = {part.birth: part for part in carried.compact}
    for index, (node, name) in enumerate(owners):
        gradient = Buffer(f"dL/d{name}[{node.number}]", node.op.parameters[name], held=True)
        if index in compact:
            _contract_compact(emitter, node, cotangent, compact[index], gradient)
        else:
            assert carried.stack is not None
            _contract_dense(emitter, node, cotangent, carried.stack, spans[pusher.births[index].start], gradient)
        gradients[node.index, name] = gradient
    return Plan([Segment(emitter.program)], gradients)


def _birth(pusher: Pusher, node: Node, name: str) -> Compact:
    """Emit the birth of a parameter's Jacobian: diagonal in the layer's units."""
    shape = node.op.parameters[name]
    rest = prod(shape[1:])
    birth = pusher.give_birth(f"{name}[{node.number}]", shape)
    made = pusher.new_compact(node, birth, rest)
    pusher.emitter.birth(node, name, made)
    axis = node.op.unit_axis % len(node.shape)
    return Compact(birth, made, (axis, axis + 1), rest, node.dims.names["m"] if len(shape) > 1 else None)


def _contract_dense(
    emitter: Emitter, node: Node, cotangent: Buffer, stack: Buffer, span: tuple[int, int], gradient: Buffer
) -> None:
    """Emit dL/dW[j] = sum over samples and outputs of dL/da[L] da[L]/dW[j], from dense columns."""

    def run(arrays: Arrays) -> None:
        columns = arrays[stack].reshape(-1, stack.shape[-1])[:, slice(*span)]
        np.matmul(arrays[cotangent].reshape(1, -1), columns, out=arrays[gradient].reshape(1, -1))

    output = emitter.graph.output
    dims = Dims(
        {"B": emitter.graph.batch, "N": prod(output.shape), "p": gradient.elements},
        {"B": "B", "N": f"n{output.number}", "p": parameter_name(node, gradient)},
    )
    emitter.program.step(
        node.label, "contraction", run, touches=(cotangent, stack), makes=gradient, term=Term(DENSE, dims)
    )


def _contract_compact(emitter: Emitter, node: Node, cotangent: Buffer, part: Compact, gradient: Buffer) -> None:
    """Emit the same from the compact form: each unit meets its own rows alone."""
    lead, units, trail, rest = part.blocks

    def run(arrays: Arrays) -> None:
        g = arrays[cotangent].reshape(lead, 1, units).transpose(2, 1, 0)
        c = arrays[part.buffer].reshape(lead, units, rest).transpose(1, 0, 2)
        np.matmul(g, c, out=arrays[gradient].reshape(units, 1, rest))

    def run_with_trail(arrays: Arrays) -> None:
        g = arrays[cotangent].reshape(lead, units, 1, trail)
        each = np.matmul(g, arrays[part.buffer].reshape(lead, units, trail, rest))
        np.add.reduce(each.reshape(lead, units, rest), axis=0, out=arrays[gradient].reshape(units, rest))

    batch = emitter.graph.batch
    dims = Dims(
        {"B": batch, "S": lead // batch, "T": trail, "p": gradient.elements},
        {"B": "B", "T": f"T{node.number}", "p": parameter_name(node, gradient)},
    )
    emitter.program.step(
        node.label,
        "contraction",
        run if trail == 1 else run_with_trail,
        touches=(cotangent, part.buffer),
        makes=gradient,
        term=Term(COMPACT if trail == 1 else COMPACT_WITH_TRAIL, dims),
    )


def parameter_name(node: Node, gradient: Buffer) -> str:
    """Write a parameter's size in the network's symbols: ``n1*n0`` for W[1]."""
    names = node.dims.names
    own = names.get("n", "p")
    return f"{own}*{names['m']}" if len(gradient.shape) > 1 else own
