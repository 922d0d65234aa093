"""forward_gradient: one pass with k random tangents, an unbiased estimate of the gradient (Baydin et al. 2022).

g = 1/k sum_i (dL . v_i) v_i with v_i ~ N(0, I) over all P trained parameters: E[g] = dL/dtheta, as E[v v^T] = I. Its
variance is known beforehand: E|g - dL/dtheta|^2 = (P + 1)/k |dL/dtheta|^2, from E[(u . v)^2 |v|^2] = (P + 2) |u|^2.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from gradcost.carrying.pusher import Pusher
from gradcost.carrying.tangents import directional, push_tangents
from gradcost.formula import Cost, Dims, Term
from gradcost.graph import Graph
from gradcost.numerics import np
from gradcost.schedule.emitter import Emitter
from gradcost.schedule.program import Arrays, Buffer, Plan, Segment

MEAN = Cost(macs="K*p", additions="(K-1)*p", divisions="p*v")


def plan(graph: Graph, tangents: int = 1) -> Plan:
    """Schedule one pass that pushes ``tangents`` directions, and the mean of what they find."""
    emitter = Emitter(graph)
    directions = {
        key: emitter.program.hold(f"v:{graph.parameter_label(key)}", (tangents, *shape), ("direction", *key))
        for key, shape in graph.trained.items()
    }
    final = push_tangents(Pusher(emitter, phase="tangent"), tangents, lambda node, name: directions[node.key(name)])
    emitter.loss()
    found = directional(emitter, emitter.cotangent(), final)
    gradients = {}
    for key, direction in directions.items():
        node = graph.nodes[key[0]]
        gradient = Buffer(f"g:{graph.parameter_label(key)}", graph.trained[key], held=True)
        size = prod(gradient.shape)
        sizes = {"K": tangents, "p": size, "v": int(tangents > 1)}
        term = Term(MEAN, Dims(sizes, {"K": "K", "p": f"p{node.number}"}))
        run = _mean(found, direction, gradient)
        says = "{0} {1}" if tangents == 1 else f"{{0}} {{1}} / {tangents}"
        emitter.program.step(
            node.label, "estimate", run, touches=(found, direction), makes=gradient, term=term, says=says
        )
        gradients[key] = gradient
    ratio = f"{graph.trained_parameters + 1:,}{f' / {tangents:,}' if tangents > 1 else ''}"
    note = f"unbiased; its variance is {ratio} times |dL/dW|^2"
    return Plan([Segment(emitter.program)], gradients, note=note)


def _mean(found: Buffer, direction: Buffer, gradient: Buffer) -> Callable[[Arrays], None]:
    """Fill g = 1/k sum_i (dL.v_i) v_i of one parameter."""
    tangents = direction.shape[0]

    def run(arrays: Arrays) -> None:
        flat = arrays[gradient].reshape(1, -1)
        np.matmul(arrays[found], arrays[direction].reshape(tangents, -1), out=flat)
        if tangents > 1:
            np.divide(flat, tangents, out=flat)

    return run
