"""forward_jvp: one tangent, or a chunk of k, per pass; repeated until each parameter has had its own.

Each pass runs the primal and the tangents of all values together, as dual numbers do, and ends with k entries of the
gradient. This is what a ``jacfwd`` over all parameters computes, k columns at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from math import prod

from gradcost.formula import Cost, Dims, Term
from gradcost.graph import Graph, Node
from gradcost.numerics import np
from gradcost.strategies.carried import Carried, Pusher, clear
from gradcost.strategies.emitter import Emitter
from gradcost.strategies.program import Arrays, Buffer, Cursor, Plan, Program, Segment

CONTRACTION = Cost(macs="B*N*K", additions="(B*N-1)*K")


def plan(graph: Graph, chunk: int = 1) -> Plan:
    """Schedule the full passes, and a last one for the parameters that are left over."""
    total = graph.trained_parameters
    chunk = min(chunk, total)
    rest = total % chunk
    segments = [Segment(_pass(graph, chunk, total), passes=total // chunk, stride=chunk)]
    if rest:
        segments.append(Segment(_pass(graph, rest, total), first=total - rest))
    return Plan(segments, flat_gradient=segments[0].program.initial[-1])


def _pass(graph: Graph, tangents: int, total: int) -> Program:
    """Emit one pass that seeds ``tangents`` of the ``total`` parameters, from the cursor on."""
    emitter = Emitter(graph)
    program = emitter.program
    firsts = dict(zip(graph.trained, accumulate(map(prod, graph.trained.values()), initial=0), strict=False))

    def seed_of(node: Node, name: str) -> Buffer:
        seed = Buffer(f"v:{node.parameter_symbol(name)}", (tangents, *node.op.parameters[name]))
        run = _seed(seed, firsts[node.key(name)], program.cursor)
        program.step(node.label, "seed", run, makes=seed, says="1 where its turn is, 0 elsewhere")
        return seed

    final = push_tangents(Pusher(emitter, phase="tangent"), tangents, seed_of)
    if graph.jacobian:
        jacobian = program.hold(f"d{graph.output.symbol}/dtheta", (*final.shape[:-1], total), ("gradient",))

        def keep(arrays: Arrays) -> None:
            start = program.cursor.start
            arrays[jacobian][..., start : start + tangents] = arrays[final]

        program.step(graph.output.label, "jacobian", keep, touches=(jacobian, final), says="column by column {1}")
        return program
    emitter.loss()
    found = directional(emitter, emitter.cotangent(), final)
    gradient = program.hold("dL/dtheta", (total,), ("gradient",))

    def store(arrays: Arrays) -> None:
        start = program.cursor.start
        arrays[gradient][start : start + tangents] = arrays[found].reshape(tangents)

    program.step("loss", "contraction", store, touches=(gradient, found), says="entry by entry {1}")
    return program


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


def _seed(seed: Buffer, first: int, cursor: Cursor) -> Callable[[Arrays], None]:
    """Fill the tangents of one parameter tensor, whose entries are ``first``, ``first + 1``, ... of all parameters."""

    def run(arrays: Arrays) -> None:
        v = arrays[seed].reshape(seed.shape[0], -1)
        v[...] = 0.0
        tangents, size = v.shape
        for tangent in range(max(0, first - cursor.start), min(tangents, first + size - cursor.start)):
            v[tangent, cursor.start + tangent - first] = 1.0

    return run
