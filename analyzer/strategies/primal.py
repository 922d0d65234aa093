"""primal: the forward pass alone, which every strategy is held against and none can do without."""

from __future__ import annotations

from gradcost.graph import Graph
from gradcost.schedule.emitter import Emitter
from gradcost.schedule.program import Plan, Segment
from gradcost.schedule.strategy import Strategy


def plan(graph: Graph) -> Plan:
    """Schedule one forward sweep, without a loss, which frees each value behind its last reader."""
    emitter = Emitter(graph)
    emitter.forward()
    return Plan([Segment(emitter.program)])


PRIMAL = Strategy("primal", "the forward pass alone: no derivative, nothing kept for one", plan, jacobians=True)
