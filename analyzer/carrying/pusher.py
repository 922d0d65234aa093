"""The pusher: emits the pushes of carried Jacobians through a graph, as each kind of layer does them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod
from typing import TypeAlias, TypedDict

from gradcost.carrying.carried import Carried, Compact
from gradcost.carrying.columns import Birth, Columns, union
from gradcost.carrying.dense import AddDiagonal, Densify
from gradcost.formula import Dims
from gradcost.graph import Elementwise, Join, Node, View
from gradcost.schedule.emitter import Emitter
from gradcost.schedule.operations import Zeros
from gradcost.schedule.program import Buffer, Part
from gradcost.units import Shape


class _Target(TypedDict, total=False):
    """The argument of ``Emitter.call`` that makes a stack, or that which fills more of one that is there."""

    makes: Buffer
    into: Buffer


class Pusher:
    """Emits the pushes of carried Jacobians through a graph.

    Attributes:
        births: all that have been given, in order.
        owners: the node and the name of the parameter that a birth is of, for those that are of one.
        carried: what has been carried to each node, by its index.
    """

    def __init__(self, emitter: Emitter, phase: str = "push") -> None:
        """Start with no births."""
        self.emitter = emitter
        self.births: list[Birth] = []
        self.owners: dict[int, tuple[Node, str]] = {}
        self.carried: dict[int, Carried] = {}
        self._of_parameter: dict[tuple[tuple[int, str], tuple[Shape, tuple[int, ...]]], int] = {}
        self.phase = phase

    @property
    def nothing(self) -> Columns:
        """No columns."""
        return Columns(self.births, 0, 0)

    def birth_of(self, node: Node, name: str) -> int:
        """Return the birth of a parameter: that of the first layer that has it, where several share it.

        Layers that order its columns differently, an embedding and a dense layer, cannot share the birth.
        """
        key = (node.key(name), node.op.birth_order(name))
        if key not in self._of_parameter:
            birth = self.give_birth(node.parameter_symbol(name), node.op.birth_shape(name))
            self._of_parameter[key] = birth
            self.owners[birth] = node, name
        return self._of_parameter[key]

    def give_birth(self, symbol: str, shape: Shape) -> int:
        """Register the next birth and return its index."""
        start = self.births[-1].start + self.births[-1].width if self.births else 0
        self.births.append(Birth(symbol, shape, start, prod(shape)))
        return len(self.births) - 1

    def carry(self, node: Node, carried: Carried) -> None:
        """Note what a node carries, for the nodes that read it."""
        self.carried[node.index] = carried
        stack = () if carried.stack is None else (carried.stack,)
        self.emitter.carried[node.index] = (*stack, *(part.buffer for part in carried.compact))

    def push(self, node: Node) -> Carried:
        """Emit the push of what the node's inputs carry; births of the node's own come on top of the result."""
        graph = self.emitter.graph
        active = [i for i, source in enumerate(node.sources) if graph.nodes[source].active]
        if not active:
            return Carried(self.nothing)
        if isinstance(node.op, Join):
            return self._join(node, active)
        carried = self.carried[node.sources[0]]
        if isinstance(node.op, Elementwise):
            return self._scale(node, carried)
        if isinstance(node.op, View):
            return self._rename(node, carried)
        return self._dense(node, carried)

    def join_births(self, node: Node, carried: Carried, born: Sequence[Compact]) -> Carried:
        """Add the births of a node's own parameters to what was pushed to it.

        A parameter that a layer above shares is carried already: its birth here is added to those columns. This is the
        update of RTRL (Williams & Zipser 1989), where every step of time shares its weights.
        """
        before = carried.all_columns()
        fresh = []
        for part in sorted(born, key=lambda part: part.birth):
            if before.holds(part.birth):
                if any(part.birth == other.birth for other in carried.compact):
                    carried = self._all_dense(node, carried, node)
                self._add_birth(node, carried, part)
            else:
                fresh.append(part)
        joined = replace(carried, compact=(*carried.compact, *fresh))
        in_order = not fresh or before.bits >> fresh[0].birth == 0
        return joined if in_order else self._all_dense(node, joined, node)

    def _add_birth(self, node: Node, carried: Carried, part: Compact) -> None:
        stack = carried.stack
        assert stack is not None
        start, _ = carried.columns.place(part.birth)
        batch = self.emitter.graph.batch_of(node)
        dims = Dims({"B": batch, "J": part.buffer.elements // batch}, {"B": "B", "J": f"J{node.number}"})
        self.emitter.do(node, "birth", AddDiagonal(start, part.blocks), (part.buffer,), into=stack, dims=dims)

    def new_stack(self, node: Node, columns: Columns) -> Buffer:
        """Return a buffer for dense columns at a node."""
        return self.emitter.buffer(f"d{node.symbol}/d*", self.emitter.shaped(node, columns.width), columns=columns)

    def new_compact(self, node: Node, birth: int, rest: int) -> Buffer:
        """Return a buffer for a compact Jacobian at a node."""
        return self.emitter.buffer(f"d{node.symbol}/d{self.births[birth].symbol}", self.emitter.shaped(node, rest))

    def _scale(self, node: Node, carried: Carried) -> Carried:
        """Diagonal layers keep the structure: the stack is scaled, and so is each compact Jacobian (its birth)."""
        emitter = self.emitter
        emitter.derivative(node)
        stack = None
        if carried.stack is not None:
            stack = self.new_stack(node, carried.columns)
            sizes, names = _k(carried.columns)
            over = (carried.stack,)
            emitter.call(node, self.phase, "jvp", (carried.stack,), makes=stack, sizes=sizes, names=names, over=over)
        scaled = []
        for part in carried.compact:
            made = self.new_compact(node, part.birth, part.rest)
            emitter.call(node, "birth", "jvp_compact", (part.buffer,), makes=made, sizes=part.sizes, names=part.names)
            scaled.append(replace(part, buffer=made))
        return Carried(carried.columns, stack, tuple(scaled))

    def _rename(self, node: Node, carried: Carried) -> Carried:
        """Views: the stack is viewed; so is a compact Jacobian that is diagonal in all axes, others become dense."""
        rank = len(self.emitter.graph.nodes[node.sources[0]].shape)
        if any(part.axes != (0, rank) for part in carried.compact):
            carried = self._all_dense(node, carried, self.emitter.graph.nodes[node.sources[0]])
        stack = None
        if carried.stack is not None:
            stack = self.new_stack(node, carried.columns)
            self.emitter.view(node, self.phase, carried.stack, stack)
        renamed = []
        for part in carried.compact:
            made = self.new_compact(node, part.birth, part.rest)
            self.emitter.view(node, self.phase, part.buffer, made)
            renamed.append(replace(part, buffer=made, axes=(0, len(node.shape))))
        return Carried(carried.columns, stack, tuple(renamed))

    def _dense(self, node: Node, carried: Carried) -> Carried:
        """Other layers: everything becomes dense columns of one new stack, compact ones by the layer's short cut."""
        emitter = self.emitter
        last = (len(node.op.inputs[0]) - 1, len(node.op.inputs[0]))
        if not all(part.axes == last and hasattr(node.op, "jvp_compact") for part in carried.compact):
            carried = self._all_dense(node, carried, self.emitter.graph.nodes[node.sources[0]])
        columns = carried.all_columns()
        stack = self.new_stack(node, columns)
        calls = []
        if carried.stack is not None:
            calls.append(("jvp", carried.stack, carried.columns.width, *_k(carried.columns)))
        for part in carried.compact:
            calls.append(("jvp_compact", part.buffer, self.births[part.birth].width, part.sizes, part.names))
        start = 0
        for method, source, width, sizes, names in calls:
            emitter.call(
                node,
                self.phase,
                method,
                (source,),
                **_made_or_filled(stack, fresh=start == 0),
                columns=(start, start + width),
                sizes=sizes,
                names=names,
            )
            start += width
        return Carried(columns, stack)

    def _join(self, node: Node, active: Sequence[int]) -> Carried:
        """Joins: each input's columns go into those of the union; where two inputs share a birth, they add up."""
        emitter, layer = self.emitter, node.op
        assert isinstance(layer, Join)
        sources = [node.sources[i] for i in active]
        dense = [self._all_dense(node, self.carried[i], self.emitter.graph.nodes[i]) for i in sources]
        columns, runs = union([part.columns for part in dense])
        stack = self.new_stack(node, columns)
        if layer.clears:
            emitter.do(node, self.phase, Zeros(), makes=stack)
        fresh = not layer.clears
        for run in runs:
            for order, (holder, span) in enumerate(run.holders):
                source = dense[holder].stack
                assert source is not None
                emitter.call(
                    node,
                    self.phase,
                    "jvp_more" if order else "jvp_first",
                    (Part(source, span),),
                    columns=run.columns,
                    index=active[holder],
                    sizes={"K": span[1] - span[0]},
                    names={"K": "K"},
                    **_made_or_filled(stack, fresh=fresh),
                )
                fresh = False
        return Carried(columns, stack)

    def all_dense(self, node: Node, carried: Carried) -> Buffer:
        """Emit what a node carries as one stack of dense columns."""
        stack = self._all_dense(node, carried, node).stack
        assert stack is not None
        return stack

    def _all_dense(self, node: Node, carried: Carried, source: Node) -> Carried:
        """Emit the compact Jacobians of ``source`` as columns of its stack, where ``node`` cannot keep them so."""
        if not carried.compact:
            return carried
        columns = carried.all_columns()
        stack = self.new_stack(source, columns)
        _, runs = union([carried.columns, columns])
        kept = tuple((run.columns, dict(run.holders)[0]) for run in runs if 0 in dict(run.holders))
        places = tuple((columns.place(part.birth)[0], part.blocks) for part in carried.compact)
        args = (*(part.buffer for part in carried.compact), *((carried.stack,) if carried.stack else ()))
        self.emitter.do(node, "densify", Densify(places, kept), args, makes=stack)
        return Carried(columns, stack)


Births: TypeAlias = Callable[[Pusher, Node], tuple[Compact, ...]]  # emits what starts at a node with parameters


def accumulate(pusher: Pusher, node: Node, births: Births) -> None:
    """Emit what an active node carries: what is pushed to it, and the births of its own parameters."""
    carried = pusher.push(node)
    born = births(pusher, node) if node.own_parameters else ()
    pusher.carry(node, pusher.join_births(node, carried, born))


def accumulate_forward(pusher: Pusher, births: Births) -> Carried:
    """Emit the forward sweep and the loss; return what the output carries."""
    emitter = pusher.emitter
    for node in emitter.graph.nodes:
        if node.layer is None:
            continue
        emitter.primal(node)
        if node.active:
            accumulate(pusher, node, births)
    emitter.loss()
    return pusher.carried[emitter.graph.output.index]


def _k(columns: Columns) -> tuple[dict[str, int], dict[str, str]]:
    """Return the symbol K, the number of columns that are pushed at once, and its name."""
    return {"K": columns.width}, {"K": "K"}


def _made_or_filled(stack: Buffer, *, fresh: bool) -> _Target:
    return {"makes": stack} if fresh else {"into": stack}
