"""The pusher: emits the pushes of carried Jacobians through a graph, as each kind of layer does them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from math import prod
from typing import TypeAlias, TypedDict

from gradcost.carrying.carried import Carried, Compact, Term
from gradcost.carrying.columns import Birth, Columns, union
from gradcost.carrying.dense import AddCompact, AddDiagonal, Densify, Span
from gradcost.formula import Dims
from gradcost.graph import Elementwise, Graph, Join, Node, View
from gradcost.schedule.emitter import Emitter
from gradcost.schedule.operations import Repeat, Zeros
from gradcost.schedule.program import Buffer, Operand, Part
from gradcost.units import Shape

MANY = 8  # terms of one sum: of more, all or none are folded


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

    def __init__(self, emitter: Emitter, phase: str = "push", *, waits: bool = False) -> None:
        """Start with no births; ``waits`` says that a push may wait for the slope of the activation behind it."""
        self.emitter = emitter
        self.births: list[Birth] = []
        self.owners: dict[int, tuple[Node, str]] = {}
        self.carried: dict[int, Carried] = {}
        self._of_parameter: dict[tuple[tuple[int, str], tuple[Shape, tuple[int, ...]]], int] = {}
        self.phase = phase
        self._sloped = _before_activations(emitter.graph) if waits else frozenset()

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
            for index in (node.sources[i] for i in active):
                self.carried[index] = self.for_each_sample(node, graph.nodes[index], self.carried[index])
            return self._add(node, active) if node.op.passes else self._join(node, active)
        carried = self.carried[node.sources[0]]
        if isinstance(node.op, Elementwise):
            return self._scale(node, carried)
        if isinstance(node.op, View):
            return self._rename(node, carried)
        if node.index in self._sloped and hasattr(node.op, "fold"):
            return Carried(self.nothing, terms=(Term(node, carried),))
        return self._dense(node, carried, node)

    def join_births(self, node: Node, carried: Carried, born: Sequence[Compact]) -> Carried:
        """Add the births of a node's own parameters to what was pushed to it.

        A parameter that a layer above shares is carried already: its birth here is added to those columns. This is the
        update of RTRL (Williams & Zipser 1989), where every step of time shares its weights.
        """
        born = sorted(born, key=lambda part: part.birth)
        if carried.terms:
            return replace(carried, compact=(*carried.compact, *born))
        return self._sum(node, "birth", carried.stack, carried.columns, (*carried.compact, *born))

    def _sum(
        self, node: Node, phase: str, stack: Buffer | None, columns: Columns, compact: Sequence[Compact]
    ) -> Carried:
        """Add compact Jacobians to a stack that is the node's own; those of births that it lacks stay compact."""
        kept: dict[int, Compact] = {}
        for part in compact:
            held = kept.get(part.birth)
            if held is None and not columns.holds(part.birth):
                kept[part.birth] = part
                continue
            if held is not None and held.axes == part.axes:
                kept[part.birth] = self._both(node, phase, held, part)
                continue
            if held is not None:
                dense = self._all_dense(node, Carried(columns, stack, (kept.pop(part.birth),)), node)
                stack, columns = dense.stack, dense.columns
            assert stack is not None
            operation = AddDiagonal(columns.place(part.birth)[0], part.blocks)
            self.emitter.do(node, phase, operation, (part.buffer,), into=stack, dims=self._numbers(node, part))
        return Carried(columns, stack, tuple(kept[birth] for birth in sorted(kept)))

    def _both(self, node: Node, phase: str, one: Compact, other: Compact) -> Compact:
        """Emit the sum of two compact Jacobians of one birth, which is compact too."""
        made = self.new_compact(node, one.birth, one.rest)
        args = (one.buffer, other.buffer)
        self.emitter.do(node, phase, AddCompact(), args, makes=made, dims=self._numbers(node, one))
        return replace(one, buffer=made, unit=False)

    def _numbers(self, node: Node, part: Compact) -> Dims:
        """Return the symbols of a sum over the J numbers that a compact Jacobian has for a sample."""
        batch = self.emitter.graph.batch_of(node)
        return Dims({"B": batch, "J": part.buffer.elements // batch}, {"B": "B", "J": f"J{node.number}"})

    def new_stack(self, node: Node, columns: Columns, samples: int | None = None) -> Buffer:
        """Return a buffer for dense columns at a node, of each sample, or of so many."""
        shape = (samples or self.emitter.graph.batch_of(node), *node.shape, columns.width)
        return self.emitter.buffer(f"d{node.symbol}/d*", shape, columns=columns)

    def for_each_sample(self, node: Node, source: Node, carried: Carried) -> Carried:
        """Emit a copy of a stack for each sample, where it is the same for all, as unit tangents are."""
        stack = carried.stack
        if stack is None or stack.shape[0] == self.emitter.graph.batch_of(source):
            return carried
        every = self.new_stack(source, carried.columns)
        self.emitter.do(node, self.phase, Repeat(), (stack,), makes=every)
        return replace(carried, stack=every)

    def new_compact(self, node: Node, birth: int, rest: int) -> Buffer:
        """Return a buffer for a compact Jacobian at a node."""
        return self.emitter.buffer(f"d{node.symbol}/d{self.births[birth].symbol}", self.emitter.shaped(node, rest))

    def _scale(self, node: Node, carried: Carried) -> Carried:
        """Diagonal layers keep the structure: the stack is scaled, and so is each compact Jacobian (its birth).

        A term that waits may take sigma' into its factor instead; the others are added up first.
        """
        self.emitter.slope_of(node, "jvp")
        before = self.emitter.graph.nodes[node.sources[0]]
        chosen = self._folds(carried)
        others = tuple(term for term in carried.terms if term not in chosen)
        rest = self._settle(before, replace(carried, terms=others)) if others else replace(carried, terms=())
        parts = [] if rest.stack is None else [self._scaled(node, rest.stack, rest.columns)]
        compact = [self._scaled_compact(node, part) for part in rest.compact]
        for term in chosen:
            folded = self.emitter.folded(term.factor, self.emitter.derivative(node), self.phase)
            parts.append(self._dense(term.factor, term.carried, node, folded))
        return self._gather(before, node, parts, compact)

    def _scaled(self, node: Node, stack: Buffer, columns: Columns) -> Carried:
        """Emit sigma' times dense columns."""
        made = self.new_stack(node, columns)
        sizes, names = _k(columns)
        over = (stack,) if stack.shape == made.shape else ()
        self.emitter.call(node, self.phase, "jvp", (stack,), makes=made, sizes=sizes, names=names, over=over)
        return Carried(columns, made)

    def _scaled_compact(self, node: Node, part: Compact) -> Compact:
        """Emit sigma' times a compact Jacobian; where that is a known 1, the product is sigma' itself."""
        made = self.new_compact(node, part.birth, part.rest)
        if part.unit:
            self.emitter.view(node, "birth", self.emitter.derivative(node), made)
        else:
            args = (part.buffer,)
            self.emitter.call(node, "birth", "jvp_compact", args, makes=made, sizes=part.sizes, names=part.names)
        return replace(part, buffer=made, unit=False)

    def _folds(self, carried: Carried) -> tuple[Term, ...]:
        """Return the terms whose factor sigma' goes into: the choice of fewest multiplies, and of such with the fewest.

        For each number of the value sigma' meets the factor's inputs there, and elsewhere the columns of the sum.
        """
        able = [term for term in carried.terms if term.inputs < term.columns.width]
        sizes = range(len(able) + 1) if len(able) <= MANY else (0, len(able))
        choices = (chosen for size in sizes for chosen in combinations(able, size))

        def met(chosen: tuple[Term, ...]) -> int:
            others = [term.columns for term in carried.terms if term not in chosen]
            dense, _ = union([carried.columns, *others])
            fresh = {part.birth: part.rest for part in carried.compact if not (part.unit or dense.holds(part.birth))}
            return sum(term.inputs for term in chosen) + dense.width + sum(fresh.values())

        return min(choices, key=met)

    def _settle(self, node: Node, carried: Carried) -> Carried:
        """Emit what waits at a node without a slope."""
        parts = [
            term.carried if term.node is None else self._dense(term.node, term.carried, node) for term in carried.terms
        ]
        fresh = all(term.node is not None for term in carried.terms)
        return self._gather(node, node, parts, carried.compact, fresh=fresh)

    def _rename(self, node: Node, carried: Carried) -> Carried:
        """Views: the stack is viewed; so is a compact Jacobian that is diagonal in all axes, others become dense."""
        rank = len(self.emitter.graph.nodes[node.sources[0]].shape)
        if any(part.axes != (0, rank) for part in carried.compact):
            carried = self._all_dense(node, carried, self.emitter.graph.nodes[node.sources[0]])
        stack = None
        if carried.stack is not None:
            stack = self.new_stack(node, carried.columns, carried.stack.shape[0])
            self.emitter.view(node, self.phase, carried.stack, stack)
        renamed = []
        for part in carried.compact:
            made = self.new_compact(node, part.birth, part.rest)
            self.emitter.view(node, self.phase, part.buffer, made)
            renamed.append(replace(part, buffer=made, axes=(0, len(node.shape))))
        return Carried(carried.columns, stack, tuple(renamed))

    def _dense(self, node: Node, carried: Carried, at: Node, folded: Mapping[str, Buffer] | None = None) -> Carried:
        """Other layers: everything becomes dense columns of one new stack, compact ones by the layer's short cut.

        The stack is of the value ``at``: that of the node, or where sigma' is folded into its weights that behind it.
        """
        emitter = self.emitter
        last = (len(node.op.inputs[0]) - 1, len(node.op.inputs[0]))
        if not all(part.axes == last and hasattr(node.op, "jvp_compact") for part in carried.compact):
            carried = self._all_dense(node, carried, emitter.graph.nodes[node.sources[0]])
        if emitter.reads_samples(node, "jvp") or carried.compact:
            carried = self.for_each_sample(node, emitter.graph.nodes[node.sources[0]], carried)
        columns = carried.all_columns()
        alike = carried.stack is not None and carried.stack.shape[0] < emitter.graph.batch_of(at)
        stack = self.new_stack(at, columns, 1 if alike else None)
        calls: list[tuple[str, Operand, Span, dict[str, int], dict[str, str]]] = []
        if carried.stack is not None:
            for here, there in _spans(carried.columns, columns):
                whole = there == (0, carried.columns.width)
                source = carried.stack if whole else Part(carried.stack, there)
                calls.append(("jvp", source, here, {"K": here[1] - here[0]}, {"K": "K"}))
        for part in carried.compact:
            method = "jvp_unit" if part.unit and hasattr(node.op, "jvp_unit") else "jvp_compact"
            calls.append((method, part.buffer, columns.place(part.birth), part.sizes, part.names))
        for number, (method, source, span, sizes, names) in enumerate(calls):
            emitter.call(
                node,
                self.phase,
                method,
                (source,),
                **_made_or_filled(stack, fresh=number == 0),
                columns=span,
                sizes={**sizes, "B": 1} if alike else sizes,
                names=names,
                instead=folded,
            )
        return Carried(columns, stack)

    def _add(self, node: Node, active: Sequence[int]) -> Carried:
        """Sums: compact Jacobians stay so, but for births that another input carries dense.

        Where an activation follows, and a term can take its slope first, the sum waits.
        """
        nodes = self.emitter.graph.nodes
        carried = []
        for index in (node.sources[i] for i in active):
            source = self.carried[index]
            spread = nodes[index].batched != node.batched  # its buffers are of one sample
            carried.append(self._all_dense(node, source, nodes[index]) if spread else source)
        compact = [part for each in carried for part in each.compact]
        if not any(each.terms for each in carried):
            return self._gather(node, node, carried, compact, fresh=False)
        terms: list[Term] = []
        for each in carried:
            terms += each.terms
            if each.stack is not None:
                terms.append(Term(None, Carried(each.columns, each.stack)))
        waiting = Carried(self.nothing, None, tuple(compact), tuple(terms))
        return waiting if node.index in self._sloped else self._settle(node, waiting)

    def _join(self, node: Node, active: Sequence[int]) -> Carried:
        """Joins: each input's columns go into those of the union; where two inputs share a birth, they add up."""
        layer = node.op
        assert isinstance(layer, Join)
        sources = [self.emitter.graph.nodes[node.sources[i]] for i in active]
        parts = [self._all_dense(node, self.carried[source.index], source) for source in sources]
        return self._stacked(node, node, parts, active, clears=layer.clears)

    def _gather(
        self, join: Node, at: Node, parts: Sequence[Carried], compact: Sequence[Compact], *, fresh: bool = True
    ) -> Carried:
        """Emit the sum of dense and compact Jacobians of the value ``at``, by the rules of the layer that adds them.

        ``fresh`` says that nothing else reads the stacks, so that a birth may be added to the only one as it stands.
        """
        dense = [part for part in parts if part.stack is not None]
        if len(dense) > 1:
            found = self._stacked(join, at, dense, range(len(dense)))
        elif dense and not fresh:
            found = self._alike(join, at, dense[0], compact)
        else:
            found = dense[0] if dense else Carried(self.nothing)
        return self._sum(at, self.phase, found.stack, found.columns, compact)

    def _alike(self, join: Node, at: Node, dense: Carried, compact: Sequence[Compact]) -> Carried:
        """Emit a view of an input's stack, which is that of the sum too; a copy, where births are added to it."""
        assert dense.stack is not None
        spread = dense.stack.shape[0] != self.emitter.graph.batch_of(at)
        if spread or any(dense.columns.holds(part.birth) for part in compact):
            return self._stacked(join, at, [dense], range(1))
        stack = self.new_stack(at, dense.columns)
        self.emitter.view(at, self.phase, dense.stack, stack)
        return Carried(dense.columns, stack)

    def _stacked(
        self, node: Node, at: Node, parts: Sequence[Carried], indices: Sequence[int], *, clears: bool = False
    ) -> Carried:
        """Emit the union of dense columns, by the node's rules for each of its inputs."""
        emitter = self.emitter
        columns, runs = union([part.columns for part in parts])
        stack = self.new_stack(at, columns)
        if clears:
            emitter.do(node, self.phase, Zeros(), makes=stack)
        fresh = not clears
        for run in runs:
            for order, (holder, span) in enumerate(run.holders):
                source = parts[holder].stack
                assert source is not None
                emitter.call(
                    node,
                    self.phase,
                    "jvp_more" if order else "jvp_first",
                    (Part(source, span),),
                    columns=run.columns,
                    index=indices[holder],
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
        if carried.terms:
            carried = self._settle(source, carried)
        if not carried.compact:
            return carried
        columns = carried.all_columns()
        stack = self.new_stack(source, columns)
        kept = _spans(carried.columns, columns)
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


def _before_activations(graph: Graph) -> frozenset[int]:
    """Return the nodes whose value an activation alone reads, or a sum alone that is such a node itself."""
    readers: dict[int, list[Node]] = {}
    for node in graph.nodes:
        for source in node.sources:
            readers.setdefault(source, []).append(node)
    found: set[int] = set()
    for node in reversed(graph.nodes):
        match readers.get(node.index, []):
            case [reader] if reader.batched == node.batched:
                adds = isinstance(reader.op, Join) and reader.op.passes and reader.index in found
                if adds or isinstance(reader.op, Elementwise):
                    found.add(node.index)
    return frozenset(found)


def _k(columns: Columns) -> tuple[dict[str, int], dict[str, str]]:
    """Return the symbol K, the number of columns that are pushed at once, and its name."""
    return {"K": columns.width}, {"K": "K"}


def _spans(some: Columns, columns: Columns) -> tuple[tuple[Span, Span], ...]:
    """Return where runs of some columns stand among more, and where by themselves."""
    _, runs = union([some, columns])
    return tuple((run.columns, dict(run.holders)[0]) for run in runs if 0 in dict(run.holders))


def _made_or_filled(stack: Buffer, *, fresh: bool) -> _Target:
    return {"makes": stack} if fresh else {"into": stack}
