"""forward_jacobian: da[l]/dW[j] for every j <= l is carried forward, compact at its birth and dense after.

There is no backward walk: once the output is reached, dL/dW[j] = dL/da[L] . da[L]/dW[j].
"""

from __future__ import annotations

from gradcost.carrying.carried import Compact
from gradcost.carrying.parameters import contract_parameter, jacobian_parts, parameter_births
from gradcost.carrying.pusher import Pusher, accumulate_forward
from gradcost.graph import Graph, Node
from gradcost.schedule.emitter import Emitter
from gradcost.schedule.program import Plan, Segment
from gradcost.schedule.strategy import Strategy
from gradcost.schedule.walk import Gradients


def plan(graph: Graph) -> Plan:
    """Schedule one forward sweep that carries the Jacobians, the loss, and the contraction with dL/da[L]."""
    emitter = Emitter(graph)
    pusher = Pusher(emitter)
    owners: dict[int, tuple[Node, str]] = {}

    def births(node: Node) -> tuple[Compact, ...]:
        born = parameter_births(pusher, node)
        for part, name in zip(born, node.own_parameters, strict=True):
            owners.setdefault(part.birth, (node, name))
        return born

    carried = accumulate_forward(pusher, births)
    if graph.jacobian:
        stack = pusher.all_dense(graph.output, carried)
        parts = jacobian_parts(emitter, owners, stack, carried.all_columns())
        return Plan([Segment(emitter.program)], parts, carried=emitter.carried)
    cotangent = emitter.cotangent()
    gradients: Gradients = {}
    for index, (node, name) in owners.items():
        contract_parameter(emitter, node, name, cotangent, carried.find(index), gradients)
    return Plan([Segment(emitter.program)], gradients, carried=emitter.carried)


STRATEGY = Strategy(
    "forward_jacobian",
    "da[l]/dW[j] for all j <= l, compact at birth, dense after",
    plan,
    jacobians=True,
    aliases=("rtrl",),
    carried="numbers of da[l]/dW[1..l]",
)
