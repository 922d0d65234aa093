"""optimal: the Jacobian chain bracketed by dynamic programming (see ``brackets``).

The graph is cut where one active value crosses. Up to one of the cuts, columns are carried forward, as
forward_jacobian does; from the output back to it, rows are pulled, as reverse does, and the two meet in a product.
Where nothing later than the cut is differentiated by, the chain from there on is bracketed in the best way. Of all
cuts, that with the fewest multiplies is taken: the first is reverse itself, the last forward_jacobian.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from gradcost.carrying.carried import Carried
from gradcost.carrying.columns import Columns
from gradcost.carrying.parameters import jacobian_parts, parameter_births
from gradcost.carrying.pusher import Pusher, accumulate
from gradcost.chains.brackets import Chain, Product, optimal
from gradcost.chains.stages import crossing
from gradcost.formula import Dims
from gradcost.graph import At, Graph, Node, rule
from gradcost.numerics import Array, np
from gradcost.schedule.emitter import Emitter
from gradcost.schedule.operations import StoreRow, UnitVector
from gradcost.schedule.program import Buffer, Operation, Part, Plan, Program, Room, Segment
from gradcost.schedule.strategy import Strategy
from gradcost.schedule.walk import Walk, add_gradient, new_gradient, rows
from gradcost.strategies import forward_jacobian, reverse
from gradcost.units import Shape

LONGEST = 48  # stages of a chain; longer ones are taken several at a time

Stage = tuple[Node, ...]


def plan(graph: Graph) -> Plan:
    """Find the cut and the brackets with the fewest multiplies, and schedule them."""
    stages = split(graph)
    scout = _Scout(graph, stages)
    best: tuple[int, int, Product | None] | None = None
    for cut in range(len(stages) + 1):
        for cost, brackets in scout.ways(cut, best and best[0]):
            if best is None or cost < best[0]:
                best = cost, cut, brackets
    assert best is not None
    _, cut, brackets = best
    if cut == 0:
        made = scout.pulled() or reverse.plan(graph)
        made.schedule, made.note = "reverse", "brackets from the output back: reverse"
    elif cut == len(stages):
        made = forward_jacobian.plan(graph)
        made.schedule, made.note = "forward_jacobian", "brackets from the input on: forward_jacobian"
    elif brackets is not None:
        made = _Maker(graph, stages, cut).bracketed(brackets)
        made.schedule = f"push {cut} of {len(stages)}, then {brackets}"
        made.note = f"columns carried through {cut} of {len(stages)} stages, then brackets {brackets}"
    else:
        made = _Maker(graph, stages, cut).met()
        made.schedule = f"push {cut} of {len(stages)}, pull the rest"
        made.note = f"columns carried through {cut} of {len(stages)} stages, rows pulled back to there"
    return made


def split(graph: Graph) -> list[Stage]:
    """Cut a graph's operations where one active value alone crosses to later ones."""
    counts = crossing([graph.last_use[node.index] if node.active else None for node in graph.nodes])
    stages: list[Stage] = []
    start = 0
    for node in graph.nodes:
        if node.active and counts[node.index] == 1:
            stages.append(graph.nodes[start : node.index + 1])
            start = node.index + 1
    size = -(-len(stages) // LONGEST)
    groups = [stages[i : i + size] for i in range(0, len(stages), size)]
    return [tuple(node for stage in group for node in stage if node.layer is not None) for group in groups]


class _Scout:
    """Knows what each stage costs in each mode, from the closed forms of what would be done there."""

    def __init__(self, graph: Graph, stages: list[Stage]) -> None:
        self.graph, self.stages = graph, stages
        self.ends = [stage[-1] for stage in stages]
        self.emitter = _with_values(graph) if graph.jacobian else _with_loss(graph)
        self.pull = self._pulls()
        self._pulled_steps = len(self.emitter.program.steps)
        self.columns = self._widths()
        self.free = len(stages)  # from here on, nothing is differentiated by
        while self.free and not any(node.own_parameters for node in stages[self.free - 1]):
            self.free -= 1
        self._carried: list[int] = []
        self._push: list[tuple[int, int]] = []

    def _pulls(self) -> list[int]:
        """Return the cost of pulling a row through each stage, gradients included."""
        emitter, program = self.emitter, self.emitter.program
        row = emitter.pulled("", emitter.shaped(self.graph.output))
        self._walk = walk = Walk(emitter, row if self.graph.jacobian else emitter.cotangent())
        found = []
        for stage in reversed(self.stages):
            first = len(program.steps)
            walk.back(stage)
            found.append(_cost(program, first))
        return found[::-1]

    def pulled(self) -> Plan | None:
        """Return what has been laid out as a plan, where that is all that reverse does."""
        program = self.emitter.program
        if self.graph.jacobian or len(program.steps) > self._pulled_steps:
            return None
        return Plan([Segment(program)], self._walk.gradients, carried=self.emitter.carried)

    def _widths(self) -> list[int]:
        """Return how many columns are carried at the end of each stage, and none before the first."""
        found, seen = [0], set[object]()
        for stage in self.stages:
            own = [(node, name) for node in stage for name in node.own_parameters]
            born = {(n.key(name), n.op.birth_order(name)): prod(n.op.parameters[name]) for n, name in own}
            found.append(found[-1] + sum(size for key, size in born.items() if key not in seen))
            seen |= born.keys()
        return found

    @property
    def carried(self) -> list[int]:
        """The cost of carrying the columns of all births to the end of each stage."""
        if not self._carried:
            self._carried = [0]
            pusher, program = Pusher(self.emitter), self.emitter.program
            for stage in self.stages:
                first = len(program.steps)
                _carry(pusher, stage)
                self._carried.append(self._carried[-1] + _cost(program, first))
        return self._carried

    @property
    def push(self) -> list[tuple[int, int]]:
        """The costs of pushing columns through each of the stages in which nothing is differentiated by."""
        if not self._push:
            self._push = [self._push_cost(number) for number in range(self.free, len(self.stages))]
        return self._push

    def _push_cost(self, number: int) -> tuple[int, int]:
        """Return the cost of pushing no column through a stage, and of each column."""
        emitter, costs = self.emitter, []
        for columns in (1, 2):
            pusher = Pusher(emitter)
            birth = pusher.nothing.with_birth(pusher.give_birth("v", (columns,)))
            before = self.ends[number - 1]
            pusher.carried[before.index] = Carried(birth, emitter.buffer("", emitter.shaped(before, columns)))
            first = len(emitter.program.steps)
            for node in self.stages[number]:
                if node.active:
                    pusher.carry(node, pusher.push(node))
            costs.append(_cost(emitter.program, first))
        return 2 * costs[0] - costs[1], costs[1] - costs[0]

    def ways(self, cut: int, bound: int | None) -> Iterator[tuple[int, Product | None]]:
        """Yield the costs of the ways that carry columns through ``cut`` stages, if they can beat ``bound``."""
        batch, rows = self.graph.batch, self.graph.rows
        pulled = rows * sum(self.pull[cut:])
        if cut == 0:
            yield pulled, None
            return
        contraction = rows * batch * prod(self.ends[cut - 1].shape) * self.columns[cut]
        if not self.graph.jacobian and bound is not None and pulled + contraction >= bound:
            return  # whatever the carrying costs
        if cut == len(self.stages):
            yield self.carried[cut] + (0 if self.graph.jacobian else contraction), None
            return
        yield self.carried[cut] + pulled + contraction, None
        coupled = any(node.op.couples for stage in self.stages[cut:] for node in stage)
        if self.graph.jacobian and cut >= self.free and not coupled:
            sizes = tuple(prod(end.shape) for end in self.ends[cut - 1 :])
            push, pull = self.push[cut - self.free :], self.pull[cut:]
            brackets = optimal(Chain(sizes, self.columns[cut], batch, tuple(push), tuple(pull)))
            yield self.carried[cut] + brackets.cost, brackets


@dataclass(frozen=True, slots=True)
class _Matrix:
    """A product that has been made: (B, \\*shape of its rows' node, columns)."""

    buffer: Buffer
    columns: Columns
    pusher: Pusher


class _Maker:
    """Emits a mixed plan."""

    def __init__(self, graph: Graph, stages: list[Stage], cut: int) -> None:
        self.graph, self.stages, self.cut = graph, stages, cut
        self.emitter = _with_values(graph)
        self.pusher = Pusher(self.emitter)
        carried = Carried(self.pusher.nothing)
        for stage in stages[:cut]:
            carried = _carry(self.pusher, stage)
        self.end = stages[cut - 1][-1]
        self.columns = carried.all_columns()
        self.stack = self.pusher.all_dense(self.end, carried)

    def bracketed(self, brackets: Product) -> Plan:
        """Emit the products of a chain in which nothing more is differentiated by."""
        found = self._make(brackets)
        parts = jacobian_parts(self.pusher, found.buffer, self.columns)
        return Plan([Segment(self.emitter.program)], parts, carried=self.emitter.carried)

    def _node(self, place: int) -> Node:
        """Return the node whose value is x_place of the chain behind the cut."""
        return self.stages[self.cut + place - 1][-1]

    def _between(self, start: int, stop: int) -> list[Node]:
        """Return the nodes that lead from x_start to x_stop."""
        return [node for stage in self.stages[self.cut + start : self.cut + stop] for node in stage]

    def _make(self, product: Product) -> _Matrix:
        if product.kind == "seed":
            return _Matrix(self.stack, self.columns, self.pusher)
        if product.kind == "times":
            left, right = (self._make(part) for part in product.parts)
            return self._times(product, left, right)
        if product.kind == "push":
            part = self._make(product.parts[0]) if product.parts else self._identity(product.start)
            at = product.parts[0].stop if product.parts else product.start
            part.pusher.carried[self._node(at).index] = Carried(part.columns, part.buffer)
            for node in self._between(at, product.stop):
                if node.active:
                    part.pusher.carry(node, part.pusher.push(node))
            stack = part.pusher.carried[self._node(product.stop).index].stack
            assert stack is not None
            return _Matrix(stack, part.columns, part.pusher)
        return self._pull(product)

    def _identity(self, place: int) -> _Matrix:
        """Emit the identity at a place, the same for each sample."""
        node = self._node(place)
        size = prod(node.shape)
        pusher = Pusher(self.emitter)
        columns = pusher.nothing.with_birth(pusher.give_birth(node.symbol, node.shape))
        made = self.emitter.buffer(f"d{node.symbol}/d{node.symbol}", self.emitter.shaped(node, size))
        self.emitter.do(node, "seed", Identity(), makes=made)
        return _Matrix(made, columns, pusher)

    def _times(self, product: Product, left: _Matrix, right: _Matrix) -> _Matrix:
        node, middle = self._node(product.stop), product.parts[0].start
        batch, inner = self.graph.batch, prod(self._node(middle).shape)
        rows, columns = prod(node.shape), right.buffer.shape[-1]
        shape = self.emitter.shaped(node, columns)
        made = self.emitter.buffer(f"d{node.symbol}/d*", shape, columns=right.columns)
        sizes = {"B": batch, "n": rows, "k": inner, "K": columns}
        names = {"B": "B", "n": f"n{node.number}", "k": f"n{self._node(middle).number}", "K": "K"}
        parts = (left.buffer, right.buffer)
        self.emitter.do(node, "product", Times(batch, rows), parts, makes=made, dims=Dims(sizes, names))
        return _Matrix(made, right.columns, right.pusher)

    def _pull(self, product: Product) -> _Matrix:
        """Emit one walk back for each row: of the part's, or of the identity, the same for each sample."""
        program, batch = self.emitter.program, self.graph.batch
        left = self._make(product.parts[0]) if product.parts else None
        at = product.parts[0].start if product.parts else product.stop
        node, source, target = self._node(at), self._node(product.stop), self._node(product.start)
        rows, columns = prod(source.shape), prod(target.shape)
        made = self.emitter.buffer(f"d{source.symbol}/d{target.symbol}", self.emitter.shaped(source, columns))
        self.emitter.do(source, "seed", Room(), makes=made)
        with program.loop(rows):
            seed = self.emitter.pulled(f"e:{source.symbol}", self.emitter.shaped(node))
            if left is None:
                self.emitter.do(source, "seed", UnitVector(batch), makes=seed)
            else:
                self.emitter.do(source, "seed", TakeRow(batch, rows), (left.buffer,), makes=seed)
            walk = Walk(self.emitter, seed, at=node)
            walk.back(self._between(product.start, at))
            self.emitter.do(source, "seed", StoreRow(rows, batch), (walk.reached(target),), into=made)
        pusher = Pusher(self.emitter)
        birth = pusher.nothing.with_birth(pusher.give_birth(target.symbol, target.shape))
        return _Matrix(made, birth, pusher)

    def met(self) -> Plan:
        """Emit a walk back to the cut for each row, its gradients, and its product with the columns carried there."""
        graph, program = self.graph, self.emitter.program
        behind = [node for stage in self.stages[self.cut :] for node in stage]
        if not graph.jacobian:
            walk = Walk(self.emitter, self.emitter.cotangent())
            walk.back(behind)
            self._meet(walk)
            return Plan([Segment(program)], walk.gradients, carried=self.emitter.carried)
        return rows(self.emitter, behind, self._meet)

    def _meet(self, walk: Walk) -> None:
        """Emit the row times the columns, and each parameter's part of it."""
        graph, end = self.graph, self.end
        cotangent, stack = walk.reached(end), self.stack
        found = self.emitter.buffer("dL/d*", (1, stack.shape[-1]), columns=self.columns)
        sizes = {"B": graph.batch, "n": prod(end.shape), "K": stack.shape[-1]}
        dims = Dims(sizes, {"B": "B", "n": f"n{end.number}", "K": "K"})
        self.emitter.do(end, "contraction", Meet(), (cotangent, stack), makes=found, dims=dims)
        for index, (node, name) in self.pusher.owners.items():
            gradient = new_gradient(self.emitter, node, name, walk.gradients, keep=walk.keep)
            entries = Part(found, self.columns.place(index))
            self.emitter.do(node, "contraction", Entries(*node.op.birth_order(name)), (entries,), makes=gradient)
            add_gradient(self.emitter, node, name, gradient, walk.gradients)


class Identity(Operation):
    """The identity at a node, the same for each sample."""

    @rule(says="1 on the diagonal")
    def run(self, at: At, out: Array) -> None:
        """Fill out (B, \\*shape, n)."""
        size = out.shape[-1]
        flat = out.reshape(out.shape[0], size, size)
        flat[...] = 0.0
        for entry in range(size):
            flat[:, entry, entry] = 1.0


class _Rows(Operation):
    """An operation on rows of a product."""

    def __init__(self, batch: int, rows: int = 1) -> None:
        """Take the batch, and how many rows there are for each sample."""
        self.batch, self.rows = batch, rows


class Times(_Rows):
    """The product of two Jacobians, for each sample."""

    @rule(macs="B*n*k*K", additions="B*n*(k-1)*K")
    def run(self, at: At, left: Array, right: Array, out: Array) -> None:
        """Fill out (B, n, K) for left (B, n, k) and right (B, k, K)."""
        batch, rows, columns = self.batch, self.rows, out.shape[-1]
        second = right.reshape(batch, -1, columns)
        np.matmul(left.reshape(batch, rows, -1), second, out=out.reshape(batch, rows, columns))


class TakeRow(_Rows):
    """The row of the loop's turn."""

    @rule(says="the next row of {0}")
    def run(self, at: At, left: Array, out: Array) -> None:
        """Copy it, in each sample."""
        out.reshape(self.batch, -1)[...] = left.reshape(self.batch, self.rows, -1)[:, at.turn]


class Meet(Operation):
    """A row pulled back to the cut times the columns carried there."""

    @rule(macs="B*n*K", additions="(B*n-1)*K")
    def run(self, at: At, row: Array, columns: Array, out: Array) -> None:
        """Fill out (1, K)."""
        np.matmul(row.reshape(1, -1), columns.reshape(-1, columns.shape[-1]), out=out)


class Entries(Operation):
    """A parameter's entries of one row, in its own order (see ``Layer.birth_order``)."""

    def __init__(self, shape: Shape, order: tuple[int, ...]) -> None:
        """Take the order."""
        self.shape, self.order = shape, order

    @rule(says="entries of {0}")
    def run(self, at: At, row: Array, out: Array) -> None:
        """Copy them."""
        ordered = tuple(self.shape[axis] for axis in self.order)
        np.copyto(out.reshape(self.shape).transpose(self.order), row.reshape(ordered))


def _with_loss(graph: Graph) -> Emitter:
    """Emit the forward sweep and the loss, if there is one."""
    emitter = Emitter(graph)
    emitter.forward()
    emitter.loss()
    return emitter


def _with_values(graph: Graph) -> Emitter:
    """Emit the forward sweep, and the derivatives of elementwise layers, which both modes read."""
    emitter = _with_loss(graph)
    emitter.derivatives()
    return emitter


def _carry(pusher: Pusher, stage: Stage) -> Carried:
    """Emit the pushes and births of a stage, and return what its end carries."""
    for node in stage:
        if node.active:
            accumulate(pusher, node, parameter_births)
    return pusher.carried[stage[-1].index]


def _cost(program: Program, first: int) -> int:
    """Return the multiplies of the steps from ``first`` on, but for derivatives, which every way needs, once each."""
    steps = (step for step in program.steps[first:] if step.phase != "derivative")
    return sum(step.term.cost.evaluate(step.term.dims)[0] for step in steps)


STRATEGY = Strategy("optimal", "the Jacobian chain bracketed by dynamic programming", plan, jacobians=True)
