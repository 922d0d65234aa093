"""forward_factored: da[l]/dz[j] (n_l x n_j) is carried instead of da[l]/dW[j].

da[l]/dW[j] = da[l]/dz[j] (x) a[j-1] is separable, so the last factor can wait: at the output dL/dz[j] comes from one
contraction, and the layer's own vjp makes dL/dW[j] of it. The activations a[j-1] are kept meanwhile.

A layer may have fewer parameters than outputs, as convolutions and norms do, or share them with others, as the steps of
a recurrent layer do; then da[l]/dW[j] is the smaller, and it is carried as forward_jacobian does. So it is where a
later layer couples the samples of a batch: da[l]/dz[j] would be B times as large; and where z[j] is one for all
samples. The tensors' symbols say which.
"""

from __future__ import annotations

from math import prod
from typing import Any

from gradcost.carrying.carried import Compact
from gradcost.carrying.parameters import contract_parameter, parameter_births
from gradcost.carrying.pusher import Pusher, accumulate_forward
from gradcost.formula import Dims
from gradcost.graph import At, Graph, Node, rule
from gradcost.numerics import Array, np
from gradcost.schedule.emitter import Emitter
from gradcost.schedule.program import Buffer, Operation, Part, Plan, Segment
from gradcost.schedule.strategy import Strategy
from gradcost.schedule.walk import Gradients, cotangent_symbol, parameter_gradients
from gradcost.units import Shape


def plan(graph: Graph) -> Plan:
    """Schedule one forward sweep that carries da[l]/dz[j], the loss, and each layer's contraction and gradient."""
    emitter = Emitter(graph)
    pusher = Pusher(emitter, waits=True)
    whole: dict[int, Node] = {}  # the node of each birth that is of its value

    outputs: dict[int, int] = {}  # of all nodes that share one's parameters
    for node in graph.nodes:
        outputs[node.owner] = outputs.get(node.owner, 0) + prod(node.shape)
    coupled = max((node.index for node in graph.nodes if node.layer is not None and node.layer.couples), default=-1)

    def births(pusher: Pusher, node: Node) -> tuple[Compact, ...]:
        columns = sum(prod(node.op.parameters[name]) for name in node.own_parameters)
        if node.index < coupled or not node.batched or columns < outputs[node.owner]:
            return parameter_births(pusher, node)
        identity = _birth(pusher, node)
        whole[identity.birth] = node
        return (identity,)

    carried = accumulate_forward(pusher, births)
    cotangent = emitter.cotangent()
    gradients: Gradients = {}
    for birth in range(len(pusher.births)):
        columns = carried.find(birth)
        if birth in pusher.owners:
            contract_parameter(emitter, *pusher.owners[birth], cotangent, columns, gradients)
            continue
        node = whole[birth]
        delta = emitter.pulled(cotangent_symbol(node), emitter.shaped(node))
        _contract(emitter, node, cotangent, columns, delta)
        parameter_gradients(emitter, node, delta, gradients)
    return Plan([Segment(emitter.program)], gradients, carried=emitter.carried)


class Identity(Operation):
    """dz[j]/dz[j]: diagonal in all axes, so a view of a single one."""

    @rule(says="1 on the diagonal")
    def run(self, at: At, one: Array, shape: Shape) -> Any:
        """Return the view."""
        return np.broadcast_to(one, shape)


def _birth(pusher: Pusher, node: Node) -> Compact:
    """Emit dz[j]/dz[j]."""
    emitter = pusher.emitter
    birth = pusher.give_birth(node.symbol, node.shape)
    made = pusher.new_compact(node, birth, 1)
    one = emitter.one()
    emitter.do(node, "birth", Identity(), (one,), makes=made, view_of=one)
    return Compact(birth, made, (0, len(node.shape)), 1, None, unit=True)


class ContractEach(Operation):
    """dL/dz[j] = dL/da[L] . da[L]/dz[j] for each sample, from dense columns."""

    @rule(macs="B*N*n", additions="B*(N-1)*n")
    def run(self, at: At, g: Array, columns: Array, out: Array) -> None:
        """Fill out (B, n) for g (B, N) and columns (B, N, n)."""
        batch = columns.shape[0]
        flat = columns.reshape(batch, -1, columns.shape[-1])
        np.matmul(g.reshape(batch, 1, -1), flat, out=out.reshape(batch, 1, -1))


class ScaleEach(Operation):
    """The same where da[L]/dz[j] is still diagonal."""

    @rule(products="B*N")
    def run(self, at: At, g: Array, diagonal: Array, out: Array) -> None:
        """Fill out = g * diagonal."""
        np.multiply(g.reshape(out.shape), diagonal.reshape(out.shape), out=out)


def _contract(
    emitter: Emitter, node: Node, cotangent: Buffer, columns: tuple[Buffer, tuple[int, int]] | Compact, delta: Buffer
) -> None:
    """Emit dL/dz[j] from what the output carries of it."""
    output, size = emitter.graph.output, prod(node.shape)
    batch = emitter.graph.batch_of(output)
    if isinstance(columns, Compact):
        if columns.unit:
            emitter.view(node, "contraction", cotangent, delta)
            return
        dims = Dims({"B": batch, "N": size}, {"B": "B", "N": f"n{node.number}"})
        emitter.do(node, "contraction", ScaleEach(), (cotangent, columns.buffer), makes=delta, dims=dims)
        return
    dims = Dims(
        {"B": batch, "N": prod(output.shape), "n": size},
        {"B": "B", "N": f"n{output.number}", "n": f"n{node.number}"},
    )
    emitter.do(node, "contraction", ContractEach(), (cotangent, Part(*columns)), makes=delta, dims=dims)


STRATEGY = Strategy(
    "forward_factored",
    "da[l]/dz[j]; the factor a[j-1] waits",
    plan,
    carried="da[l]/dz[1..l] or da[l]/dW[1..l]",
)
