"""reverse: activations are kept, then the cotangent delta = dL/dz walks back (Rumelhart, Hinton & Williams 1986)."""

from __future__ import annotations

from gradcost.graph import Graph
from gradcost.schedule.emitter import Emitter
from gradcost.schedule.program import Plan, Segment
from gradcost.schedule.strategy import Strategy
from gradcost.schedule.walk import Walk, rows


def plan(graph: Graph) -> Plan:
    """Schedule one forward sweep, the loss, and one backward sweep; for a Jacobian, one backward sweep for each row."""
    emitter = Emitter(graph)
    emitter.forward()
    if graph.jacobian:
        emitter.derivatives()  # the same for every row
        return rows(emitter, graph.nodes)
    emitter.loss()
    walk = Walk(emitter, emitter.cotangent())
    walk.back(graph.nodes)
    return Plan([Segment(emitter.program)], walk.gradients, carried=emitter.carried)


STRATEGY = Strategy(
    "reverse",
    "activations kept, then delta = dL/dz walks back",
    plan,
    jacobians=True,
    aliases=("backprop", "jacrev", "bptt"),
    carried="delta",
)
