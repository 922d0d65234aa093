"""The emitter: turns "this rule of this node, on these buffers" into a step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from gradcost.formula import Dims
from gradcost.graph import Elementwise, Graph, Layer, Node, View, rule_of
from gradcost.schedule.operations import Rename
from gradcost.schedule.program import NO_DIMS, Buffer, Operand, Operation, Program, Room
from gradcost.units import INDEX, Shape

if TYPE_CHECKING:
    from gradcost.carrying.columns import Columns


class Emitter:
    """Emits the steps that every strategy shares, and keeps the buffers of the network's values.

    Attributes:
        values: the buffer of each node's output, by node index.
        carried: the derivatives that are carried at each node (see ``Plan``), as far as they have been emitted.
    """

    def __init__(self, graph: Graph) -> None:
        """Hold parameters, constants, inputs and targets from the start."""
        self.graph = graph
        self.program = Program()
        self.values: dict[int, Buffer] = {}
        self.carried: dict[int, tuple[Buffer, ...]] = {}
        self._named: dict[tuple[int, str], Buffer] = {}
        self._one: Buffer | None = None
        self._target: Buffer | None = None
        for node in graph.nodes:
            if node.layer is None:
                dtype = None if node.vocabulary is None else INDEX
                key: tuple[object, ...] = ("input", node.label)
                self.values[node.index] = self.hold(node.symbol, self.shaped(node), key, batched=True, dtype=dtype)
                continue
            for name, shape in node.layer.parameters.items():
                owner = node.key(name)
                if owner not in self._named:
                    self._named[owner] = self.hold(node.parameter_symbol(name), shape, ("parameter", *owner))
                self._named[node.index, name] = self._named[owner]
            for name, shape in node.layer.fixed(graph.batch_of(node)).items():
                key = ("constant", node.index, name)
                symbol, batched = f"{name}[{node.number}]", name in node.layer.constants
                dtype = node.layer.dtypes.get(name)
                self._named[node.index, name] = self.hold(symbol, shape, key, batched=batched, dtype=dtype)

    def buffer(
        self,
        symbol: str,
        shape: Shape,
        *,
        held: bool = False,
        columns: Columns | None = None,
        batched: bool = False,
        dtype: str | None = None,
    ) -> Buffer:
        """Return a buffer, of the network's dtype unless told otherwise, for a step to make."""
        return Buffer(symbol, shape, dtype or self.graph.dtype, held=held, columns=columns, batched=batched)

    def pulled(self, symbol: str, shape: Shape, cotangents: int = 1, *, held: bool = False) -> Buffer:
        """Return a buffer for cotangents of an array, or the gradients that come of them: (K, \\*shape)."""
        return Buffer(symbol, (cotangents, *shape), self.graph.dtype, held=held, pulled=True, batched=True)

    def hold(
        self, symbol: str, shape: Shape, key: tuple[object, ...], *, batched: bool = False, dtype: str | None = None
    ) -> Buffer:
        """Return a buffer, of the network's dtype unless told otherwise, that is alive throughout."""
        held = self.program.hold(symbol, shape, dtype or self.graph.dtype, key)
        held.batched = batched
        return held

    def one(self) -> Buffer:
        """Return the buffer of a single 1.0, held from the start."""
        if self._one is None:
            self._one = self.hold("1", (1,), ("one",))
        return self._one

    def shaped(self, node: Node, *last: int) -> Shape:
        """Return the shape of a batch of the node's values, with further axes behind."""
        return (self.graph.batch_of(node), *node.shape, *last)

    def forward(self) -> None:
        """Emit the primal of the whole network."""
        for node in self.graph.nodes:
            if node.layer is not None:
                self.primal(node)

    def primal(self, node: Node, phase: str = "primal") -> None:
        """Emit the node's primal, with what it keeps for its derivative."""
        layer = node.op
        value = self.buffer(node.symbol, self.shaped(node), batched=node.batched)
        self.values[node.index] = value
        if isinstance(layer, View):
            self.view(node, phase, self.values[node.sources[0]], value)
            return
        for name, shape in layer.kept(self.graph.batch_of(node)).items():
            kept = self.buffer(f"{name}[{node.number}]", shape, batched=node.batched, dtype=layer.dtypes.get(name))
            self._named[node.index, name] = kept
            self.program.step(node.label, phase, Room(), makes=kept)
        inputs = (self.values[source] for source in node.sources)
        over = tuple(buffer for buffer in inputs if layer.in_place and buffer.shape == value.shape)
        self.call(node, phase, "primal", makes=value, over=over)

    def derivative(self, node: Node) -> Buffer:
        """Emit f'(x) of an elementwise layer, once; its pushes and pulls read it as ``d``."""
        if (node.index, "d") in self._named:
            return self._named[node.index, "d"]
        symbol = f"d{node.symbol}/d{self.graph.nodes[node.sources[0]].symbol}"
        slope = self.buffer(symbol, self.shaped(node), batched=node.batched)
        self.call(node, "derivative", "derivative", makes=slope)
        self._named[node.index, "d"] = slope
        return slope

    def fuses(self, node: Node) -> bool:
        """Whether a pull through an elementwise layer makes f'(x) as it goes: no buffer holds it, as a push would."""
        layer = node.op
        return isinstance(layer, Elementwise) and layer.fuses() and (node.index, "d") not in self._named

    def folded(self, node: Node, slope: Buffer, phase: str) -> dict[str, Buffer]:
        """Emit sigma' folded into what a layer multiplies by; return it under that name, for ``call``."""
        (name,) = rule_of(node.op, "fold").reads
        symbol = f"{slope.symbol} {self._named[node.index, name].symbol}"
        made = self.buffer(f"({symbol})", self.shaped(node, node.op.inputs[0][-1]))
        self.call(node, phase, "fold", (slope,), makes=made)
        return {name: made}

    def derivatives(self) -> None:
        """Emit f'(x) of every elementwise layer that is differentiated through, for all that read it later."""
        for node in self.graph.nodes:
            if any(self.graph.nodes[source].active for source in node.sources):
                self.slope_of(node, "vjp")

    def slope_of(self, node: Node, rule: str) -> None:
        """Emit f'(x) where a rule of the node's layer reads it."""
        if isinstance(node.op, Elementwise) and "d" in rule_of(node.op, rule).reads:
            self.derivative(node)

    def named(self, node: Node, name: str) -> Buffer:
        """Return the buffer of a node's parameter, constant, aux or derivative."""
        return self._named[node.index, name]

    def loss(self) -> None:
        """Emit the loss's value, if there is a loss."""
        if not self.graph.jacobian:
            self._call_loss("loss", "primal", self.buffer("L", (1,)))

    def cotangent(self) -> Buffer:
        """Emit dL/dy of the network's output."""
        output = self.graph.output
        buffer = self.pulled(f"dL/d{output.symbol}", self.shaped(output))
        self._call_loss("cotangent", "cotangent", buffer)
        return buffer

    def _call_loss(self, phase: str, rule: str, makes: Buffer) -> None:
        graph, loss = self.graph, self.graph.loss
        if loss.needs_target and self._target is None:
            shape = loss.target_shape(graph.batch_of(graph.output))
            self._target = self.hold("t", shape, ("target",), dtype=loss.target_dtype(graph.dtype))
        operands = {"y": self.values[graph.output.index]} | ({"target": self._target} if self._target else {})
        reads = {name: operands[name] for name in rule_of(loss, rule).reads}
        dims = loss.dims(graph.batch_of(graph.output), graph.item_bytes, graph.output.number)
        self.program.step("loss", phase, loss, rule, reads=reads, holds=operands.values(), makes=makes, dims=dims)

    def call(
        self,
        node: Node,
        phase: str,
        rule: str,
        args: tuple[Operand, ...] = (),
        *,
        makes: Buffer | None = None,
        into: Buffer | None = None,
        columns: tuple[int, int] | None = None,
        index: int | None = None,
        sizes: Mapping[str, int] | None = None,
        names: Mapping[str, str] | None = None,
        instead: Mapping[str, Buffer] | None = None,
        over: tuple[Buffer, ...] = (),
        view_of: Buffer | None = None,
        samples: int = 0,
    ) -> None:
        """Emit one rule of a node's layer.

        Args:
            node: whose rule.
            phase: the row of the report that the step belongs to.
            rule: its name.
            args: its buffers after ``at``.
            makes: the buffer it fills, which comes alive here; or
            into: the buffer it fills, which is alive already.
            columns: the part of that buffer's last axis that it fills.
            index: which input it is about, for joins.
            sizes: symbols that the layer alone does not know, such as K.
            names: the names that those go by.
            instead: buffers that it reads in place of the layer's own, by name.
            over: see ``Step``.
            view_of: see ``Step``.
            samples: see ``Step``.
        """
        self.program.step(
            node.label,
            phase,
            node.op,
            rule,
            reads=self._reads(node, rule_of(node.op, rule).reads, index) | dict(instead or {}),
            args=args,
            makes=makes,
            into=into,
            dims=node.dims.extended(sizes or {}, names or {}) if sizes else node.dims,
            node=node,
            index=index,
            columns=columns,
            over=over,
            view_of=view_of,
            samples=samples,
        )

    def reads_samples(self, node: Node, rule: str, index: int | None = None) -> bool:
        """Whether a rule of a node's layer reads what has a batch axis."""
        return any(buffer.batched for buffer in self._reads(node, rule_of(node.op, rule).reads, index).values())

    def do(
        self,
        node: Node,
        phase: str,
        operation: Operation,
        args: tuple[Operand, ...] = (),
        *,
        rule: str = "run",
        makes: Buffer | None = None,
        into: Buffer | None = None,
        dims: Dims = NO_DIMS,
        over: tuple[Buffer, ...] = (),
        view_of: Buffer | None = None,
    ) -> None:
        """Emit an operation of the strategy, in a node's row of the report; for its symbols see ``dims``."""
        self.program.step(
            node.label, phase, operation, rule, args=args, makes=makes, into=into, dims=dims, over=over, view_of=view_of
        )

    def view(self, node: Node, phase: str, base: Operand, made: Buffer) -> None:
        """Emit ``made`` as ``base``, or some of its columns, in another shape."""
        storage = base if isinstance(base, Buffer) else base.buffer
        self.do(node, phase, Rename(), (base,), makes=made, view_of=storage)

    def birth(self, node: Node, name: str, made: Buffer) -> None:
        """Emit the compact Jacobian of a parameter's own layer: a view of what the layer's rule reads, or filled."""
        layer: Layer = node.op
        if hasattr(layer, f"fill_birth_{name}"):
            self.call(node, "birth", f"fill_birth_{name}", makes=made)
            return
        rule = f"birth_{name}"
        (base,) = self._reads(node, rule_of(layer, rule).reads, None).values()
        self.call(node, "birth", rule, makes=made, view_of=base)

    def _reads(self, node: Node, names: tuple[str, ...], index: int | None) -> dict[str, Buffer]:
        found = {}
        for name in names:
            if name == "x":
                found[name] = self.values[node.sources[0]]
            elif name == "y":
                found[name] = self.values[node.index]
            elif name == "one":
                found[name] = self.one()
            elif name in ("x*", "x~"):
                for i, source in enumerate(node.sources):
                    if name == "x*" or i != index:
                        found[f"x{i}"] = self.values[source]
            elif name[0] == "x" and name[1:].isdigit():
                found[name] = self.values[node.sources[int(name[1:])]]
            elif (node.index, name) in self._named:
                found[name] = self._named[node.index, name]
            # a parameter that this layer was made without, such as the bias, is read by nobody
        return found
