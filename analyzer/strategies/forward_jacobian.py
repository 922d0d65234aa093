"""forward_jacobian: da[l]/dW[j] for every j <= l is carried forward, compact at its birth and dense after.

There is no backward walk: once the output is reached, dL/dW[j] = dL/da[L] . da[L]/dW[j].
"""

from __future__ import annotations

from gradcost.carrying.parameters import contract_parameter, jacobian_parts, parameter_births
from gradcost.carrying.pusher import Pusher, accumulate_forward
from gradcost.graph import Graph
from gradcost.schedule.emitter import Emitter
from gradcost.schedule.program import Plan, Segment
from gradcost.schedule.strategy import Strategy
from gradcost.schedule.walk import Gradients


def plan(graph: Graph) -> Plan:
    """Schedule one forward sweep that carries the Jacobians, the loss, and the contraction with dL/da[L]."""
    emitter = Emitter(graph)
    pusher = Pusher(emitter, waits=True)
    carried = accumulate_forward(pusher, parameter_births)
    if graph.jacobian:
        stack = pusher.all_dense(graph.output, carried)
        parts = jacobian_parts(pusher, stack, carried.all_columns())
        return Plan([Segment(emitter.program)], parts, carried=emitter.carried)
    cotangent = emitter.cotangent()
    gradients: Gradients = {}
    for index, (node, name) in pusher.owners.items():
        contract_parameter(emitter, node, name, cotangent, carried.find(index), gradients)
    return Plan([Segment(emitter.program)], gradients, carried=emitter.carried)


STRATEGY = Strategy(
    "forward_jacobian",
    "da[l]/dW[j] for all j <= l, compact at birth, dense after",
    plan,
    jacobians=True,
    aliases=("rtrl",),
    carried="da[l]/dW[1..l]",
)
