"""The local Jacobians of a network: which value is a vertex, and which factor stands on each edge."""

from __future__ import annotations

from math import prod
from typing import TypeAlias

from gradcost.carrying.dense import Densify
from gradcost.chains.elimination import Dag, Edge
from gradcost.chains.factors import Factor, Line, Passed, identity
from gradcost.eliminating.algebra import Algebra, Local
from gradcost.eliminating.products import Copy
from gradcost.graph import Elementwise, Join, Node, View, rule_of
from gradcost.layers.dense import Dense
from gradcost.layers.multiply import Multiply
from gradcost.layers.variable import SampleVariable, Variable
from gradcost.schedule.emitter import Emitter
from gradcost.schedule.program import Buffer
from gradcost.units import Shape

Birth: TypeAlias = tuple[tuple[int, str], tuple[Shape, tuple[int, ...]]]  # a parameter, and the order of its columns


class Locals:
    """The factors of a network whose Jacobian is asked for.

    Attributes:
        edges: the factor of each edge; vertices are nodes by their index, and births below zero.
        births: the vertex of each parameter, of a vertex each.
        inner: the vertices between those and the output.
        spans: the first step of a vertex's elimination, and the step behind it, once it has been emitted.
    """

    def __init__(self, emitter: Emitter) -> None:
        """Emit the births of parameters and the derivatives of elementwise layers, which stand from then on."""
        self.emitter, self.graph, self.algebra = emitter, emitter.graph, Algebra(emitter)
        self.edges: dict[Edge, Local] = {}
        self.births: dict[int, Birth] = {}
        self.spans: dict[int, tuple[int, int]] = {}
        self._same: dict[int, int] = {}  # a view is its source
        for node in self.graph.nodes:
            if node.active:
                self._add(node)
        output = self.vertex(self.graph.output)
        between = {x for edge in self.edges for x in edge} - {output} - self.births.keys()
        self.inner = tuple(sorted(between))

    def vertex(self, node: Node) -> int:
        """Return the vertex of a node's value."""
        return self._same.get(node.index, node.index)

    def dag(self) -> Dag:
        """Return the structure alone."""
        return Dag({edge: local.factor for edge, local in self.edges.items()}, self.inner, self.graph.batch)

    def _add(self, node: Node) -> None:
        nodes = self.graph.nodes
        if isinstance(node.op, View) and not node.own_parameters:
            self._same[node.index] = self.vertex(nodes[node.sources[0]])
            return
        if isinstance(node.op, Variable | SampleVariable):
            self.births[node.index] = node.key("X"), node.op.birth_order("X")  # the inputs are a vertex as they are
            return
        for index, source in enumerate(node.sources):
            if nodes[source].active:
                self._join(self.vertex(nodes[source]), node.index, self._local(node, index))
        for name in node.own_parameters:
            self._join(self._birth(node, name), node.index, self._own(node, name))

    def _birth(self, node: Node, name: str) -> int:
        """Return the vertex of a parameter; layers that order its columns differently have one each."""
        wanted = node.key(name), node.op.birth_order(name)
        for vertex, birth in self.births.items():
            if birth == wanted:
                return vertex
        self.births[-1 - len(self.births)] = wanted
        return -len(self.births)

    def _join(self, x: int, y: int, local: Local) -> None:
        """Note an edge, or its sum with one that is there already."""
        held = self.edges.get((x, y))
        if held is None:
            self.edges[x, y] = local
        else:
            self.edges[x, y] = self.algebra.beside(held, local)

    def _local(self, node: Node, index: int) -> Local:
        """Return the factor of one input."""
        layer, size = node.op, prod(node.shape)
        source = self.graph.nodes[node.sources[index]]
        if isinstance(layer, Join) and layer.passes:
            return Local(identity(size), unit=1)
        if isinstance(layer, Elementwise):
            return self._scale(node, self.emitter.derivative(node), size)
        if isinstance(layer, Multiply):
            return self._scale(node, self.emitter.values[node.sources[1 - index]], size)
        if isinstance(layer, Dense):
            rows, columns = layer.parameters["W"]
            positions = size // rows
            weight = self._viewed(node, self.emitter.named(node, "W"), (1, 1, rows, columns))
            return Local(Factor(size, prod(source.shape), positions, alike=True), weight)
        return self._passed(node, index, size, prod(source.shape))

    def _scale(self, node: Node, slope: Buffer, size: int) -> Local:
        """Return a diagonal."""
        samples = slope.elements // size
        diagonal = self._viewed(node, slope, (samples, size, 1, 1))
        return Local(Factor(size, size, size, sampled=samples > 1), diagonal)

    def _passed(self, node: Node, index: int, rows: int, columns: int) -> Local:
        """Return a factor that columns are pushed through, and rows pulled, by the layer's own rules."""
        layer = node.op
        join = isinstance(layer, Join)
        names = ("jvp_first" if join else "jvp", layer.vjp_rule(index) if isinstance(layer, Join) else "vjp")
        push, pull = (self._line(node, name) for name in names)
        reads = {name for rule in names for name in rule_of(layer, rule).reads}
        sampled = node.batched and not reads <= set(layer.parameters)
        return Local(Factor(rows, columns, sampled=sampled, passed=Passed(push, pull)), passes=((node, index),))

    def _line(self, node: Node, name: str) -> Line:
        """Return the multiplies of a rule on columns, or rows, for one sample."""
        cost = rule_of(node.op, name).cost
        one, two = (cost.evaluate(node.dims.extended({"B": 1, "K": k}, {}))[0] for k in (1, 2))
        return Line(2 * one - two, two - one)

    def _own(self, node: Node, name: str) -> Local:
        """Return dy/dW of a layer's own parameter."""
        layer, size = node.op, prod(node.shape)
        columns = prod(layer.parameters[name])
        if isinstance(layer, Dense) and size == node.shape[-1]:
            if name == "b":
                return Local(identity(size), unit=1)
            source = self.graph.nodes[node.sources[0]]
            row = self._viewed(
                node, self.emitter.values[source.index], (self.graph.batch_of(source), 1, 1, columns // size)
            )
            return Local(Factor(size, columns, size, alike=True, sampled=source.batched), row)
        low, high = layer.birth_axes(name)
        lead, units = prod(node.shape[:low]), prod(node.shape[low:high])
        shape = self.emitter.shaped(node, columns // units)
        emitter, samples = self.emitter, self.graph.batch_of(node)
        born = emitter.buffer(f"d{node.symbol}/d{node.parameter_symbol(name)}", shape)
        emitter.birth(node, name, born)
        if lead == 1:
            kept = emitter.buffer(born.symbol, (samples, units, size // units, columns // units))
            emitter.do(node, "birth", Copy(), (born,), makes=kept)
            return Local(Factor(size, columns, units, sampled=node.batched), kept)
        filled = emitter.buffer(born.symbol, (samples, 1, size, columns))
        blocks = (samples * lead, units, size // lead // units, columns // units)
        emitter.do(node, "densify", Densify(((0, blocks),), ()), (born,), makes=filled)
        return Local(Factor(size, columns, sampled=node.batched), filled)

    def _viewed(self, node: Node, base: Buffer, shape: Shape) -> Buffer:
        made = self.emitter.buffer(base.symbol, shape)
        self.emitter.view(node, "product", base, made)
        return made
