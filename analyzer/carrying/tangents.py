"""Tangents beside values: a JVP through the whole network, as dual numbers do."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from gradcost.carrying.carried import Carried
from gradcost.carrying.pusher import Pusher, clear
from gradcost.formula import Cost, Dims, Term
from gradcost.graph import Node
from gradcost.numerics import np
from gradcost.schedule.emitter import Emitter
from gradcost.schedule.program import Arrays, Buffer

CONTRACTION = Cost(macs="B*N*K", additions="(B*N-1)*K")


def push_tangents(pusher: Pusher, tangents: int, seed_of: Callable[[Node, str], Buffer]) -> Buffer:
    """Emit the forward sweep with tangents beside each value; return those of the output, (B, \\*shape, tangents).

    ``seed_of`` gives the tangents of a node's parameter, (tangents, \\*shape).
    """
    emitter = pusher.emitter
    columns = pusher.nothing.with_birth(pusher.give_birth("v", (tangents,)))
    for node in emitter.graph.nodes:
        if node.layer is None:
            continue
        emitter.primal(node)
        if not node.active:
            continue
        stack = pusher.push(node).stack
        if stack is None:
            stack = pusher.new_stack(node, columns)
            emitter.program.step(node.label, "tangent", clear(stack), makes=stack, says="0")
        for name in node.own_parameters:
            args = (seed_of(node, name),)
            emitter.call(node, "tangent", f"jvp_{name}", args, into=stack, sizes={"K": tangents}, names={"K": "K"})
        pusher.carried[node.index] = Carried(columns, stack)
    final = pusher.carried[emitter.graph.output.index].stack
    assert final is not None
    return final


def directional(emitter: Emitter, cotangent: Buffer, stack: Buffer) -> Buffer:
    """Emit dL.v = dL/da[L] . (da[L]/dtheta v) for each tangent: (1, K)."""
    output, tangents = emitter.graph.output, stack.shape[-1]
    found = Buffer("dL.v", (1, tangents))

    def contract(arrays: Arrays) -> None:
        g, t = arrays[cotangent].reshape(1, -1), arrays[stack].reshape(-1, tangents)
        np.matmul(g, t, out=arrays[found])

    dims = Dims(
        {"B": emitter.graph.batch, "N": prod(output.shape), "K": tangents},
        {"B": "B", "N": f"n{output.number}", "K": "K"},
    )
    term = Term(CONTRACTION, dims)
    emitter.program.step("loss", "contraction", contract, touches=(cotangent, stack), makes=found, term=term)
    return found
