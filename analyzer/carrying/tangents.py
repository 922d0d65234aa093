"""Tangents beside values: a JVP through the whole network, as dual numbers do."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from gradcost.carrying.carried import Carried
from gradcost.carrying.pusher import Pusher
from gradcost.formula import Dims
from gradcost.graph import At, Node, rule
from gradcost.numerics import Array, np
from gradcost.schedule.emitter import Emitter
from gradcost.schedule.operations import Zeros
from gradcost.schedule.program import Buffer, Operation


def push_tangents(
    pusher: Pusher,
    tangents: int,
    seed_of: Callable[[Node, str], Buffer],
    unit: Callable[[Node], Operation] | None = None,
) -> Buffer:
    """Emit the forward sweep with tangents beside each value; return those of the output, (B, \\*shape, tangents).

    Args:
        pusher: with no births.
        tangents: how many are pushed.
        seed_of: gives the tangents of a node's parameter, (tangents, \\*shape).
        unit: gives what fills the tangents of an input that is a variable, where these are unit vectors.
    """
    emitter = pusher.emitter
    columns = pusher.nothing.with_birth(pusher.give_birth("v", (tangents,)))
    for node in emitter.graph.nodes:
        if node.layer is None:
            continue
        emitter.primal(node)
        if not node.active:
            continue
        if unit is not None and not node.sources:
            seeded = pusher.new_stack(node, columns, 1 if emitter.graph.per_sample else None)
            emitter.do(node, "seed", unit(node), makes=seeded)
            pusher.carry(node, Carried(columns, seeded))
            continue
        stack = pusher.push(node).stack
        if stack is None:
            stack = pusher.new_stack(node, columns)
            emitter.do(node, "tangent", Zeros(), makes=stack)
        for name in node.own_parameters:
            args = (seed_of(node, name),)
            emitter.call(node, "tangent", f"jvp_{name}", args, into=stack, sizes={"K": tangents}, names={"K": "K"})
        pusher.carry(node, Carried(columns, stack))
    output = emitter.graph.output
    final = pusher.for_each_sample(output, output, pusher.carried[output.index]).stack
    assert final is not None
    return final


class Directional(Operation):
    """dL.v = dL/da[L] . (da[L]/dtheta v) for each tangent."""

    @rule(macs="B*N*K", additions="(B*N-1)*K")
    def run(self, at: At, g: Array, tangents: Array, out: Array) -> None:
        """Fill out (1, K)."""
        np.matmul(g.reshape(1, -1), tangents.reshape(-1, tangents.shape[-1]), out=out)


def directional(emitter: Emitter, cotangent: Buffer, stack: Buffer) -> Buffer:
    """Emit dL.v for each tangent: (1, K)."""
    output, tangents = emitter.graph.output, stack.shape[-1]
    found = emitter.buffer("dL.v", (1, tangents))
    dims = Dims(
        {"B": emitter.graph.batch_of(output), "N": prod(output.shape), "K": tangents},
        {"B": "B", "N": f"n{output.number}", "K": "K"},
    )
    emitter.program.step("loss", "contraction", Directional(), args=(cotangent, stack), makes=found, dims=dims)
    return found
