"""The emitter: turns "this rule of this node, on these buffers" into a step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gradcost.formula import Term
from gradcost.graph import At, Elementwise, Graph, Layer, Loss, Node, View, rule_of
from gradcost.schedule import equations
from gradcost.schedule.program import Arrays, Buffer, Program, nothing


class Emitter:
    """Emits the steps that every strategy shares, and keeps the buffers of the network's values.

    Attributes:
        values: the buffer of each node's output, by node index.
    """

    def __init__(self, graph: Graph) -> None:
        """Hold parameters, constants, inputs and targets from the start."""
        self.graph = graph
        self.program = Program()
        self.values: dict[int, Buffer] = {}
        self._named: dict[tuple[int, str], Buffer] = {}
        self._one: Buffer | None = None
        hold, batch = self.program.hold, graph.batch
        for node in graph.nodes:
            if node.layer is None:
                self.values[node.index] = hold(node.symbol, (batch, *node.shape), ("input", node.label))
                continue
            for name, shape in node.layer.parameters.items():
                key = node.key(name)
                if key not in self._named:
                    self._named[key] = hold(node.parameter_symbol(name), shape, ("parameter", *key))
                self._named[node.index, name] = self._named[key]
            for name, shape in node.layer.fixed(batch).items():
                self._named[node.index, name] = hold(f"{name}[{node.number}]", shape, ("constant", node.index, name))
        self._target = hold("t", (batch, *graph.output.shape), ("target",)) if graph.loss.needs_target else None

    def one(self) -> Buffer:
        """Return the buffer of a single 1.0, held from the start."""
        if self._one is None:
            self._one = self.program.hold("1", (1,), ("one",))
        return self._one

    def shaped(self, node: Node, *last: int) -> tuple[int, ...]:
        """Return the shape of a batch of the node's values, with further axes behind."""
        return (self.graph.batch, *node.shape, *last)

    def primal(self, node: Node, phase: str = "primal") -> None:
        """Emit the node's primal, with what it keeps for its derivative."""
        layer = node.op
        value = Buffer(node.symbol, self.shaped(node))
        self.values[node.index] = value
        if isinstance(layer, View):
            self.view(node, phase, self.values[node.sources[0]], value)
            return
        for name, shape in layer.kept(self.graph.batch).items():
            kept = Buffer(f"{name}[{node.number}]", shape)
            self._named[node.index, name] = kept
            self.program.step(node.label, phase, nothing, makes=kept)
        over = tuple(self.values[source] for source in node.sources) if layer.in_place else ()
        self.call(node, phase, "primal", makes=value, over=over)

    def derivative(self, node: Node) -> None:
        """Emit f'(x) of an elementwise layer, once; its pushes and pulls read it as ``d``."""
        layer = node.op
        if (node.index, "d") in self._named:
            return
        assert isinstance(layer, Elementwise)
        if layer.slope is not None:
            self._named[node.index, "d"] = self._named[node.index, layer.slope]
            return
        slope = Buffer(f"d{node.symbol}/d{self.graph.nodes[node.sources[0]].symbol}", self.shaped(node))
        self.call(node, "derivative", "derivative", makes=slope)
        self._named[node.index, "d"] = slope

    def loss(self) -> None:
        """Emit the loss's value, if there is a loss."""
        if self.graph.jacobian:
            return
        value = Buffer("L", (1,))
        self._call_loss("loss", "primal", value)

    def cotangent(self) -> Buffer:
        """Emit dL/dy of the network's output."""
        output = self.graph.output
        buffer = Buffer(f"dL/d{output.symbol}", self.shaped(output))
        self._call_loss("cotangent", "cotangent", buffer)
        return buffer

    def _call_loss(self, phase: str, method: str, makes: Buffer) -> None:
        loss: Loss = self.graph.loss
        output = self.graph.output
        operands = {"y": self.values[output.index]} | ({"target": self._target} if self._target else {})
        found = rule_of(loss, method)
        run = _call(getattr(loss, method), {name: operands[name] for name in found.reads}, (), makes, None)
        dims = loss.dims(self.graph.batch, output.number)
        self.program.step(
            "loss",
            phase,
            run,
            touches=operands.values(),
            makes=makes,
            term=Term(found.cost, dims),
            says=lambda: equations.of_loss(self.graph, method, found),
        )

    def call(
        self,
        node: Node,
        phase: str,
        method: str,
        args: tuple[Buffer, ...] = (),
        *,
        makes: Buffer | None = None,
        into: Buffer | None = None,
        columns: tuple[int, int] | None = None,
        arg_columns: tuple[int, int] | None = None,
        index: int | None = None,
        sizes: Mapping[str, int] | None = None,
        names: Mapping[str, str] | None = None,
        over: tuple[Buffer, ...] = (),
    ) -> None:
        """Emit one rule of a node's layer.

        Args:
            node: whose rule.
            phase: the row of the report that the step belongs to.
            method: the rule's method.
            args: its buffers after ``at``.
            makes: the buffer it fills, which comes alive here; or
            into: the buffer it fills, which is alive already.
            columns: the part of that buffer's last axis that it fills.
            arg_columns: the part of the argument's last axis that it reads.
            index: which input it is about, for joins.
            sizes: symbols that the layer alone does not know, such as K.
            names: the names that those go by.
            over: see ``Step``.
        """
        layer = node.op
        found = rule_of(layer, method)
        reads = self._reads(node, found.reads, index)
        out = makes or into
        assert out is not None
        bound: Callable[..., None] = getattr(layer, method)
        run = _call(bound, reads, args, out, columns, index=index, arg_columns=arg_columns)
        dims = node.dims.extended(sizes or {}, names or {}) if sizes else node.dims
        touches = (*((into,) if into else ()), *reads.values(), *args)
        term = Term(found.cost, dims)

        def says() -> str:
            return equations.of_rule(
                self.graph, node, method, found, reads, args, out, columns, arg_columns=arg_columns, index=index
            )

        self.program.step(
            node.label, phase, run, touches=touches, makes=makes, term=term, over=over, says=says, columns=columns
        )

    def view(self, node: Node, phase: str, base: Buffer, made: Buffer) -> None:
        """Emit ``made`` as ``base`` in another shape."""
        shape = made.shape
        self.program.step(
            node.label,
            phase,
            lambda arrays: arrays[base].reshape(shape),
            touches=(base,),
            makes=made,
            view_of=base,
            says="{0}" if base.shape == shape else "{0} in another shape",
        )

    def birth(self, node: Node, name: str, made: Buffer) -> None:
        """Emit the compact Jacobian of a parameter's own layer: a view of what the layer's rule reads, or filled."""
        layer: Layer = node.op
        if hasattr(layer, f"fill_birth_{name}"):
            self.call(node, "birth", f"fill_birth_{name}", makes=made)
            return
        method = f"birth_{name}"
        found = rule_of(layer, method)
        reads = self._reads(node, found.reads, None)
        bound, shape = getattr(layer, method), made.shape
        (base,) = reads.values()

        def run(arrays: Arrays) -> Any:
            return bound(At({key: arrays[buffer] for key, buffer in reads.items()}), shape)

        def says() -> str:
            return equations.of_rule(self.graph, node, method, found, reads, (), made, None, None, None)

        self.program.step(node.label, "birth", run, touches=(base,), makes=made, view_of=base, says=says)

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


def _call(
    method: Callable[..., None],
    reads: Mapping[str, Buffer],
    args: tuple[Buffer, ...],
    out: Buffer,
    columns: tuple[int, int] | None,
    *,
    index: int | None = None,
    arg_columns: tuple[int, int] | None = None,
) -> Callable[[Arrays], None]:
    """Bind a rule's method to its buffers."""
    before = () if index is None else (index,)

    def run(arrays: Arrays) -> None:
        at = At({name: arrays[buffer] for name, buffer in reads.items()})
        operands = [arrays[arg] for arg in args]
        if arg_columns is not None:
            operands = [operand[..., slice(*arg_columns)] for operand in operands]
        target = arrays[out] if columns is None else arrays[out][..., slice(*columns)]
        method(at, *before, *operands, out=target)

    return run
