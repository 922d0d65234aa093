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
    pusher = Pusher(emitter, phase="tangent")
    columns = pusher.nothing.with_birth(pusher.give_birth("v", (tangents,)))
    program = emitter.program
    firsts = dict(zip(graph.trained, accumulate(map(prod, graph.trained.values()), initial=0), strict=False))
    for node in graph.nodes:
        if node.layer is None:
            continue
        emitter.primal(node)
        if not node.active:
            continue
        stack = pusher.push(node).stack
        if stack is None:
            stack = pusher.new_stack(node, columns)
            program.step(node.label, "tangent", clear(stack), makes=stack)
        for name in node.own_parameters:
            seed = Buffer(f"v:{node.parameter_symbol(name)}", (tangents, *node.op.parameters[name]))
            program.step(node.label, "seed", _seed(seed, firsts[node.key(name)], program.cursor), makes=seed)
            emitter.call(node, "tangent", f"jvp_{name}", (seed,), into=stack, sizes={"K": tangents}, names={"K": "K"})
        pusher.carried[node.index] = Carried(columns, stack)
    emitter.loss()
    final = pusher.carried[graph.output.index].stack
    assert final is not None
    _collect(emitter, graph.output, emitter.cotangent(), final, total)
    return program


def _collect(emitter: Emitter, output: Node, cotangent: Buffer, stack: Buffer, total: int) -> None:
    """Emit dL.v = dL/da[L] . (da[L]/dtheta v) for each tangent, and its place in the gradient."""
    program, tangents = emitter.program, stack.shape[-1]
    found = Buffer("dL.v", (1, tangents))
    gradient = program.hold("dL/dtheta", (total,), ("gradient",))

    def contract(arrays: Arrays) -> None:
        g, t = arrays[cotangent].reshape(1, -1), arrays[stack].reshape(-1, tangents)
        np.matmul(g, t, out=arrays[found])

    def store(arrays: Arrays) -> None:
        start = program.cursor.start
        arrays[gradient][start : start + tangents] = arrays[found].reshape(tangents)

    dims = Dims(
        {"B": emitter.graph.batch, "N": prod(output.shape), "K": tangents},
        {"B": "B", "N": f"n{output.number}", "K": "K"},
    )
    program.step("loss", "contraction", contract, touches=(cotangent, stack), makes=found, term=Term(CONTRACTION, dims))
    program.step("loss", "contraction", store, touches=(found, gradient))


def _seed(seed: Buffer, first: int, cursor: Cursor) -> Callable[[Arrays], None]:
    """Fill the tangents of one parameter tensor, whose entries are ``first``, ``first + 1``, ... of all parameters."""

    def run(arrays: Arrays) -> None:
        v = arrays[seed].reshape(seed.shape[0], -1)
        v[...] = 0.0
        tangents, size = v.shape
        for tangent in range(max(0, first - cursor.start), min(tangents, first + size - cursor.start)):
            v[tangent, cursor.start + tangent - first] = 1.0

    return run
