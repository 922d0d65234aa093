"""forward_factored: da[l]/dz[j] (n_l x n_j) is carried instead of da[l]/dW[j].

da[l]/dW[j] = da[l]/dz[j] (x) a[j-1] is separable, so the last factor can wait: at the output dL/dz[j] comes from one
contraction, and the layer's own vjp makes dL/dW[j] of it. The activations a[j-1] are kept meanwhile.

A layer may have fewer parameters than outputs, as convolutions and norms do, or share them with others, as the steps of
a recurrent layer do; then da[l]/dW[j] is the smaller, and it is carried as forward_jacobian does. So it is where a
later layer couples the samples of a batch: da[l]/dz[j] would be B times as large. The tensors' symbols say which.
"""

from __future__ import annotations

from math import prod

from gradcost.carrying.carried import Compact
from gradcost.carrying.parameters import contract_parameter, parameter_births
from gradcost.carrying.pusher import Pusher, accumulate_forward
from gradcost.formula import Cost, Dims, Term
from gradcost.graph import Graph, Node
from gradcost.numerics import np
from gradcost.schedule import equations
from gradcost.schedule.emitter import Emitter
from gradcost.schedule.program import Arrays, Buffer, Plan, Segment
from gradcost.schedule.walk import Gradients, cotangent_symbol, parameter_gradients

DENSE = Cost(macs="B*N*n", additions="B*(N-1)*n")
COMPACT = Cost(products="B*N")


def plan(graph: Graph) -> Plan:
    """Schedule one forward sweep that carries da[l]/dz[j], the loss, and each layer's contraction and gradient."""
    emitter = Emitter(graph)
    pusher = Pusher(emitter)
    owners: dict[int, tuple[Node, str | None]] = {}  # of each birth: a node and its parameter, or None for its value

    outputs: dict[int, int] = {}  # of all nodes that share one's parameters
    for node in graph.nodes:
        outputs[node.owner] = outputs.get(node.owner, 0) + prod(node.shape)
    coupled = max((node.index for node in graph.nodes if node.layer is not None and node.layer.couples), default=-1)

    def births(node: Node) -> tuple[Compact, ...]:
        columns = sum(prod(node.op.parameters[name]) for name in node.own_parameters)
        if node.index < coupled or columns < outputs[node.owner]:
            born = parameter_births(pusher, node)
            for part, name in zip(born, node.own_parameters, strict=True):
                owners.setdefault(part.birth, (node, name))
            return born
        identity = _birth(pusher, node)
        owners[identity.birth] = (node, None)
        return (identity,)

    carried = accumulate_forward(pusher, births)
    cotangent = emitter.cotangent()
    gradients: Gradients = {}
    for index, (node, name) in owners.items():
        columns = carried.find(index)
        if name is not None:
            contract_parameter(emitter, node, name, cotangent, columns, gradients)
            continue
        delta = Buffer(cotangent_symbol(node), emitter.shaped(node))
        if isinstance(columns, Compact):
            _contract_compact(emitter, node, cotangent, columns.buffer, delta)
        else:
            _contract_dense(emitter, node, cotangent, *columns, delta)
        parameter_gradients(emitter, node, delta, gradients)
    return Plan([Segment(emitter.program)], gradients)


def _birth(pusher: Pusher, node: Node) -> Compact:
    """Emit dz[j]/dz[j]: the identity, diagonal in all axes, so a view of a single one."""
    emitter = pusher.emitter
    birth = pusher.give_birth(node.symbol, node.shape)
    made = pusher.new_compact(node, birth, 1)
    one = emitter.one()
    emitter.program.step(
        node.label,
        "birth",
        lambda arrays: np.broadcast_to(arrays[one], made.shape),
        touches=(one,),
        makes=made,
        view_of=one,
        says="1 on the diagonal",
    )
    return Compact(birth, made, (0, len(node.shape)), 1, None)


def _contract_dense(
    emitter: Emitter, node: Node, cotangent: Buffer, stack: Buffer, span: tuple[int, int], delta: Buffer
) -> None:
    """Emit dL/dz[j] = dL/da[L] . da[L]/dz[j] for each sample, from dense columns."""
    batch, width = emitter.graph.batch, stack.shape[-1]

    def run(arrays: Arrays) -> None:
        columns = arrays[stack].reshape(batch, -1, width)[:, :, slice(*span)]
        np.matmul(arrays[cotangent].reshape(batch, 1, -1), columns, out=arrays[delta].reshape(batch, 1, -1))

    output = emitter.graph.output
    dims = Dims(
        {"B": batch, "N": prod(output.shape), "n": prod(node.shape)},
        {"B": "B", "N": f"n{output.number}", "n": f"n{node.number}"},
    )
    emitter.program.step(
        node.label,
        "contraction",
        run,
        touches=(cotangent, stack),
        makes=delta,
        term=Term(DENSE, dims),
        says=lambda: f"{delta.name} = {cotangent.name} . {equations.part(stack, span)}",
    )


def _contract_compact(emitter: Emitter, node: Node, cotangent: Buffer, diagonal: Buffer, delta: Buffer) -> None:
    """Emit the same where da[L]/dz[j] is still diagonal."""

    def run(arrays: Arrays) -> None:
        g = arrays[cotangent]
        np.multiply(g.reshape(*delta.shape), arrays[diagonal].reshape(*delta.shape), out=arrays[delta])

    dims = Dims({"B": emitter.graph.batch, "N": prod(node.shape)}, {"B": "B", "N": f"n{node.number}"})
    emitter.program.step(
        node.label, "contraction", run, touches=(cotangent, diagonal), makes=delta, term=Term(COMPACT, dims)
    )
