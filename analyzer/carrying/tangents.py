"""Tangents beside values: a JVP through the whole network, as dual numbers do."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

from gradcost.carrying.carried import Carried
from gradcost.carrying.pusher import Pusher
from gradcost.errors import UsageError
from gradcost.formula import Dims
from gradcost.graph import At, Node, rule
from gradcost.numerics import Array, np
from gradcost.schedule.emitter import Emitter
from gradcost.schedule.operations import Zeros
from gradcost.schedule.program import Buffer, Operation
from gradcost.schedule.strategy import Option


def _at_least_one(value: Any) -> None:
    if value < 1:
        raise UsageError(f"chunk must be a whole number of at least 1, not {value!r}")


CHUNK = Option(
    "chunk",
    int,
    "Tangents per pass of the JVP strategies. Default: 1; with --outputs, all.",
    default=lambda graph: graph.trained_parameters if graph.jacobian else 1,
    check=_at_least_one,
)


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
            emitter.do(node, "tangent", Zeros(), makes=stack)
        for name in node.own_parameters:
            args = (seed_of(node, name),)
            emitter.call(node, "tangent", f"jvp_{name}", args, into=stack, sizes={"K": tangents}, names={"K": "K"})
        pusher.carry(node, Carried(columns, stack))
    final = pusher.carried[emitter.graph.output.index].stack
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
