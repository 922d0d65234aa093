"""forward_jvp: one tangent, or a chunk of k, per pass; repeated until each parameter has had its own.

Each pass runs the primal and the tangents of all values together, as dual numbers do, and ends with k entries of the
gradient. This is what a ``jacfwd`` over all parameters computes, k columns at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from math import prod

from gradcost.carrying.pusher import Pusher
from gradcost.carrying.tangents import directional, push_tangents
from gradcost.graph import Graph, Node
from gradcost.schedule.emitter import Emitter
from gradcost.schedule.program import Arrays, Buffer, Cursor, Plan, Program, Segment


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


def _seed(seed: Buffer, first: int, cursor: Cursor) -> Callable[[Arrays], None]:
    """Fill the tangents of one parameter tensor, whose entries are ``first``, ``first + 1``, ... of all parameters."""

    def run(arrays: Arrays) -> None:
        v = arrays[seed].reshape(seed.shape[0], -1)
        v[...] = 0.0
        tangents, size = v.shape
        for tangent in range(max(0, first - cursor.start), min(tangents, first + size - cursor.start)):
            v[tangent, cursor.start + tangent - first] = 1.0

    return run
