"""forward_jvp: one tangent, or a chunk of k, per pass; repeated until each parameter has had its own.

Each pass runs the primal and the tangents of all values together, as dual numbers do, and ends with k entries of the
gradient. This is what a ``jacfwd`` over all parameters computes, k columns at a time.
"""

from __future__ import annotations

from itertools import accumulate
from math import prod

from gradcost.carrying.pusher import Pusher
from gradcost.carrying.tangents import CHUNK, directional, push_tangents
from gradcost.graph import At, Graph, Node, rule
from gradcost.numerics import Array
from gradcost.schedule.emitter import Emitter
from gradcost.schedule.program import Buffer, Operation, Plan, Segment
from gradcost.schedule.strategy import Strategy


def plan(graph: Graph, chunk: int = 1) -> Plan:
    """Schedule the full passes, and a last one for the parameters that are left over."""
    total = graph.trained_parameters
    chunk = min(chunk, total)
    rest = total % chunk
    emitter, gradient = _pass(graph, chunk)
    segments = [Segment(emitter.program, passes=total // chunk, stride=chunk)]
    if rest:
        segments.append(Segment(_pass(graph, rest)[0].program, first=total - rest))
    return Plan(segments, flat_gradient=gradient, carried=emitter.carried)


def _pass(graph: Graph, tangents: int) -> tuple[Emitter, Buffer]:
    """Emit one pass that seeds as many of the parameters, from its turn on; return what holds the gradient too."""
    emitter, total = Emitter(graph), graph.trained_parameters
    firsts = dict(zip(graph.trained, accumulate(map(prod, graph.trained.values()), initial=0), strict=False))

    def seed_of(node: Node, name: str) -> Buffer:
        seed = emitter.buffer(f"v:{node.parameter_symbol(name)}", (tangents, *node.op.parameters[name]))
        emitter.do(node, "seed", Seed(firsts[node.key(name)]), makes=seed)
        return seed

    final = push_tangents(Pusher(emitter, phase="tangent"), tangents, seed_of)
    if graph.jacobian:
        jacobian = emitter.hold(f"d{graph.output.symbol}/dtheta", (*final.shape[:-1], total), ("gradient",))
        emitter.do(graph.output, "jacobian", StoreColumns(), (final,), into=jacobian)
        return emitter, jacobian
    emitter.loss()
    found = directional(emitter, emitter.cotangent(), final)
    gradient = emitter.hold("dL/dtheta", (total,), ("gradient",))
    emitter.program.step("loss", "contraction", StoreEntries(), args=(found,), into=gradient)
    return emitter, gradient


class Seed(Operation):
    """The tangents of one parameter tensor: unit vectors of all parameters, from the turn on."""

    def __init__(self, first: int) -> None:
        """Take the number of the tensor's first entry among all parameters."""
        self.first = first

    @rule(says="1 where its turn is, 0 elsewhere")
    def run(self, at: At, out: Array) -> None:
        """Fill out (tangents, \\*shape)."""
        v = out.reshape(out.shape[0], -1)
        v[...] = 0.0
        tangents, size = v.shape
        for tangent in range(max(0, self.first - at.turn), min(tangents, self.first + size - at.turn)):
            v[tangent, at.turn + tangent - self.first] = 1.0


class StoreColumns(Operation):
    """Columns of the Jacobian, kept."""

    @rule(says="column by column {0}")
    def run(self, at: At, columns: Array, out: Array) -> None:
        """Copy them to where the turn is."""
        out[..., at.turn : at.turn + columns.shape[-1]] = columns


class StoreEntries(Operation):
    """Entries of the gradient, kept."""

    @rule(says="entry by entry {0}")
    def run(self, at: At, entries: Array, out: Array) -> None:
        """Copy them to where the turn is."""
        out[at.turn : at.turn + entries.size] = entries.reshape(-1)


STRATEGY = Strategy(
    "forward_jvp",
    "one tangent (or a chunk) per parameter, repeated passes",
    plan,
    jacobians=True,
    options=(CHUNK,),
    aliases=("jacfwd", "jvp"),
    carried="tangents",
    because="it runs the network again for every chunk of parameters, keeping next to nothing in between",
)
