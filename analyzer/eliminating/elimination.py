"""An order of elimination, executed: the Jacobian of a network's output by what is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from gradcost.carrying.parameters import Reorder
from gradcost.chains.elimination import Edge, Remaining
from gradcost.chains.factors import identity
from gradcost.eliminating.algebra import Local
from gradcost.eliminating.locals import Locals
from gradcost.eliminating.products import Spread
from gradcost.graph import Node
from gradcost.layers.variable import Variable
from gradcost.schedule.program import Buffer
from gradcost.schedule.walk import Gradients, add_gradient


def eliminate(found: Locals, order: Sequence[int]) -> Gradients:
    """Emit the products of an order, and each parameter's part of the Jacobian."""
    graph, algebra = Remaining(found.dag()), found.algebra
    edges: dict[Edge, Local] = dict(found.edges)
    filled: set[Edge] = set()
    for v in order:
        node = found.graph.nodes[v]
        first = len(found.emitter.program.steps)
        carried = (edges[edge].buffer for edge in sorted(filled) if v in edge)
        found.emitter.carried[v] = tuple(buffer for buffer in carried if buffer is not None)
        for edge in sorted(graph.way(v).stands):
            edges[edge] = algebra.standing(node, edges[edge])
        into, out = sorted(graph.into.get(v, {})), sorted(graph.out.get(v, {}))
        for x in into:
            for y in out:
                fill = algebra.product(node, edges[v, y], edges[x, v])
                held = edges.get((x, y))
                filled.add((x, y))
                edges[x, y] = fill if held is None else algebra.total(node, algebra.standing(node, held), fill)
        for x in into:
            del edges[x, v]
            filled.discard((x, v))
        for y in out:
            del edges[v, y]
            filled.discard((v, y))
        graph.eliminate(v)
        found.spans[v] = first, len(found.emitter.program.steps)
    return _parts(found, edges)


def _parts(found: Locals, edges: dict[Edge, Local]) -> Gradients:
    """Emit each parameter's part of the Jacobian as a matrix of its own shape."""
    gradients: Gradients = {}
    output = found.vertex(found.graph.output)
    for vertex, (key, _) in found.births.items():
        node = found.graph.nodes[key[0]]
        itself = Local(identity(prod(node.shape)), unit=1)
        matrix = found.algebra.matrix(found.graph.output, itself if vertex == output else edges[vertex, output])
        add_gradient(found.emitter, node, key[1], _part(found, node, vertex, matrix), gradients)
    return gradients


def _part(found: Locals, node: Node, vertex: int, matrix: Local) -> Buffer:
    emitter, graph = found.emitter, found.graph
    (_, name), (shape, order) = found.births[vertex]
    lead = emitter.shaped(graph.output)
    symbol = f"d{graph.output.symbol}/d{node.parameter_symbol(name)}"
    made = emitter.buffer(symbol, (*lead, *node.op.gradient_shape(name)), held=True)
    if isinstance(node.op, Variable):
        emitter.do(node, "jacobian", Spread(), (matrix.numbers,), makes=made)
        return made
    full = found.algebra.filled(graph.output, matrix, 1, graph.batch_of(graph.output))
    columns = emitter.buffer(symbol, (*lead, full.factor.columns))
    emitter.view(node, "jacobian", full.numbers, columns)
    emitter.do(node, "jacobian", Reorder(shape, order, len(lead)), (columns,), makes=made)
    return made
