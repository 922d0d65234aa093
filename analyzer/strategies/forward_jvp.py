"""forward_jvp: one tangent, or a chunk of k, per pass; repeated until each parameter has had its own.

Each pass runs the primal and the tangents of all values together, as dual numbers do, and ends with k entries of the
gradient. This is what a ``jacfwd`` over all parameters computes, k columns at a time.
"""

from __future__ import annotations

from itertools import accumulate
from math import prod

from gradcost.carrying.pusher import Pusher
from gradcost.carrying.tangents import directional, push_tangents
from gradcost.graph import At, Graph, Node, rule
from gradcost.numerics import Array
from gradcost.schedule.emitter import Emitter
from gradcost.schedule.program import Buffer, Operation, Part, Plan, Segment
from gradcost.schedule.strategy import CHUNK, Strategy


def plan(graph: Graph, chunk: int | None = 1) -> Plan:
    """Schedule the full passes, and a last one for the parameters that are left over; None: one pass for all."""
    total = graph.trained_parameters
    chunk = min(chunk or total, total)
    if graph.jacobian and chunk == total:
        return _at_once(graph)
    rest = total % chunk
    emitter, gradient = _pass(graph, chunk)
    segments = [Segment(emitter.program, passes=total // chunk, stride=chunk)]
    if rest:
        segments.append(Segment(_pass(graph, rest)[0].program, first=total - rest))
    return Plan(segments, flat_gradient=gradient, carried=emitter.carried)


def _tangents(emitter: Emitter, tangents: int) -> Buffer:
    """Emit the forward sweep with unit tangents, as many of the parameters from its turn on; return the output's."""
    graph = emitter.graph
    firsts = dict(zip(graph.trained, accumulate(map(prod, graph.trained.values()), initial=0), strict=False))

    def seed_of(node: Node, name: str) -> Buffer:
        seed = emitter.buffer(f"v:{node.parameter_symbol(name)}", (tangents, *graph.trained[node.key(name)]))
        emitter.do(node, "seed", Seed(firsts[node.key(name)]), makes=seed)
        return seed

    def unit(node: Node) -> Operation:
        (name,) = node.own_parameters
        return UnitTangents(firsts[node.key(name)], per_sample=graph.per_sample)

    return push_tangents(Pusher(emitter, phase="tangent"), tangents, seed_of, unit)


def _at_once(graph: Graph) -> Plan:
    """Schedule one pass with all tangents: those of the output are the Jacobian."""
    emitter = Emitter(graph)
    final = _tangents(emitter, graph.trained_parameters)
    found, first = {}, 0
    for key, shape in graph.trained.items():
        node, last = graph.nodes[key[0]], first + prod(shape)
        symbol = f"d{graph.output.symbol}/d{node.parameter_symbol(key[1])}"
        found[key] = emitter.buffer(symbol, (*final.shape[:-1], *shape), held=True)
        emitter.view(node, "jacobian", Part(final, (first, last)), found[key])
        first = last
    return Plan([Segment(emitter.program)], found, carried=emitter.carried)


def _pass(graph: Graph, tangents: int) -> tuple[Emitter, Buffer]:
    """Emit one pass of some tangents; return what holds the whole gradient, or Jacobian, too."""
    emitter, total = Emitter(graph), graph.trained_parameters
    final = _tangents(emitter, tangents)
    if graph.jacobian:
        jacobian = emitter.hold(f"d{graph.output.symbol}/dtheta", (*final.shape[:-1], total), ("gradient",))
        emitter.do(graph.output, "jacobian", StoreColumns(), (final,), into=jacobian)
        return emitter, jacobian
    emitter.loss()
    found = directional(emitter, emitter.cotangent(), final)
    gradient = emitter.hold("dL/dtheta", (total,), ("gradient",))
    emitter.program.step("loss", "contraction", StoreEntries(), args=(found,), into=gradient)
    return emitter, gradient


class UnitTangents(Operation):
    """The tangents of an input that is a variable: unit vectors of all variables, from the turn on."""

    def __init__(self, first: int, *, per_sample: bool) -> None:
        """Take the number of its first entry, and whether each sample has variables of its own."""
        self.first, self.per_sample = first, per_sample

    @rule(says="1 where its turn is, 0 elsewhere")
    def run(self, at: At, out: Array) -> None:
        """Fill out (B, \\*shape, tangents)."""
        tangents = out.shape[-1]
        flat = out.reshape(out.shape[0] if self.per_sample else 1, -1, tangents)
        flat[...] = 0.0
        size = flat.shape[1]
        for tangent in range(max(0, self.first - at.turn), min(tangents, self.first + size - at.turn)):
            flat[:, at.turn + tangent - self.first, tangent] = 1.0


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
