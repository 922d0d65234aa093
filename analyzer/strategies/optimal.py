"""optimal: a Jacobian by the best order of elimination, a gradient by the best cut.

A Jacobian is what is left of the network's local Jacobians when every vertex between is eliminated: see ``orders`` for
the order, which is the least of all where the network is a chain or has few vertices. The gradient of a loss is cut in
two: up to a cut, columns are carried forward, as forward_jacobian does, and the cotangent walks back to it, as reverse
does. The first cut is reverse itself, which it comes out as. Least is what takes the fewest multiplies, or what has the
lowest peak: see ``frontier`` for the orders that are weighed then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from math import prod

from gradcost.carrying.carried import Carried, Compact
from gradcost.carrying.parameters import parameter_births
from gradcost.carrying.pusher import Pusher
from gradcost.chains.orders import exact, least_order
from gradcost.chains.stages import crossing
from gradcost.eliminating.frontier import MOST, local, scheduled, weighed
from gradcost.formula import Dims
from gradcost.graph import At, Graph, Node, rule, rule_of
from gradcost.numerics import Array, np
from gradcost.schedule.emitter import Emitter
from gradcost.schedule.predict import predict
from gradcost.schedule.program import Operation, Part, Plan, Program, Segment, Tradeoff
from gradcost.schedule.strategy import BY, RANKS, Strategy
from gradcost.schedule.walk import Walk, add_gradient, new_gradient
from gradcost.strategies import forward_jacobian, forward_jvp, reverse
from gradcost.units import Shape

LONGEST = 48  # stages of a chain; longer ones are taken several at a time

SHOWN = 16  # vertices of an order that are named

Stage = tuple[Node, ...]
Way = tuple[str, Callable[[], Plan]]


def plan(graph: Graph, by: str = RANKS[0]) -> Plan:
    """Schedule the cheapest way: by its multiplies, or by its peak, where more ways are weighed, and named."""
    if by != RANKS[0]:
        return _lowest(graph)
    return _jacobian(graph) if graph.jacobian else _gradient(graph)


def _jacobian(graph: Graph) -> Plan:
    """Schedule the best order of elimination, or another strategy where that takes fewer multiplies."""
    pure = {"reverse": reverse.plan, "forward_jacobian": forward_jacobian.plan, "forward_jvp": forward_jvp.plan}
    made = {name: make(graph) for name, make in pure.items()}
    if not _coupled(graph):
        made["elimination"] = _eliminated(graph)
    name = min(made, key=lambda name: predict(made[name]).counts.multiplies)
    best = made[name]
    if name != "elimination":
        best.schedule, best.note = name, f"no order of elimination is cheaper than {name}"
    return best


def _eliminated(graph: Graph) -> Plan:
    """Schedule the best order of elimination."""
    found = local(graph)
    dag = found.dag()
    order = least_order(dag)
    made = scheduled(found, order)
    made.schedule = _named(graph, order)
    made.note = f"{'the least order' if exact(dag) else 'the best order found'} of elimination: {made.schedule}"
    return made


def _named(graph: Graph, order: tuple[int, ...]) -> str:
    names = " ".join(graph.nodes[v].symbol for v in order[:SHOWN]) or "nothing to eliminate"
    return f"{names} and {len(order) - SHOWN} more" if len(order) > SHOWN else names


def _coupled(graph: Graph) -> bool:
    """Whether a layer couples the samples, so that no factor is one sample's alone."""
    return any(node.op.couples for node in graph.nodes if node.active)


def _lowest(graph: Graph) -> Plan:
    """Schedule what has the lowest peak, and of those the fewest multiplies, of all that is weighed."""
    ways = [*_loops(graph), *(_orders(graph) if graph.jacobian else _cuts(graph))]
    weights = []
    for place, (name, make) in enumerate(ways):
        predicted = predict(make())
        weights.append((predicted.counts.multiplies, predicted.peak_bytes, place, name))
    front: list[Tradeoff] = []
    for multiplies, peak, place, name in sorted(weights):
        if not front or peak < front[-1].peak_bytes:
            front.append(Tradeoff(name, multiplies, peak))
            chosen = place
    name, make = ways[chosen]
    best = make()
    best.schedule, best.front, best.note = name, tuple(front), f"the lowest peak of {_weighed(graph)}: {name}"
    return best


def _weighed(graph: Graph) -> str:
    modes = "the pure modes, at once and one by one"
    if not graph.jacobian:
        return f"{modes}, and their mixtures"
    if _coupled(graph):
        return modes
    every = len(local(graph).dag().inner) <= MOST
    return f"{modes}, and {'all orders' if every else 'the orders found'} of elimination"


def _loops(graph: Graph) -> Iterator[Way]:
    """Yield the pure modes, all at once and one by one."""
    yield "reverse", partial(reverse.plan, graph)
    yield "forward_jacobian", partial(forward_jacobian.plan, graph)
    yield "forward_jvp", partial(forward_jvp.plan, graph, None)
    yield "forward_jvp, chunk 1", partial(forward_jvp.plan, graph, 1)
    if graph.jacobian:
        yield "reverse, chunk 1", partial(reverse.plan, graph, 1)


def _orders(graph: Graph) -> Iterator[Way]:
    """Yield the orders of elimination that no other beats in both figures."""
    if _coupled(graph):
        return
    for point in weighed(graph):
        yield _named(graph, point.order), partial(_in_order, graph, point.order)


def _in_order(graph: Graph, order: tuple[int, ...]) -> Plan:
    return scheduled(local(graph), order)


def _cuts(graph: Graph) -> Iterator[Way]:
    """Yield the mixtures of both modes for the gradient of a loss."""
    stages = split(graph)
    for cut in range(1, len(stages)):
        yield _cut(cut, stages), partial(_met, graph, stages, cut)


def _cut(cut: int, stages: list[Stage]) -> str:
    return f"push {cut} of {len(stages)}, pull the rest"


def _met(graph: Graph, stages: list[Stage], cut: int) -> Plan:
    return _Maker(graph, stages, cut).met()


def _gradient(graph: Graph) -> Plan:
    """Find the cut with the fewest multiplies, and schedule it."""
    stages = split(graph)
    scout = _Scout(graph, stages)
    best: tuple[int, int] | None = None
    for cut in range(len(stages) + 1):
        for cost in scout.ways(cut, best and best[0]):
            if best is None or cost < best[0]:
                best = cost, cut
    assert best is not None
    _, cut = best
    if cut == 0:
        made = scout.pulled() or reverse.plan(graph)
        made.schedule, made.note = "reverse", "brackets from the output back: reverse"
    elif cut == len(stages):
        made = forward_jacobian.plan(graph)
        made.schedule, made.note = "forward_jacobian", "brackets from the input on: forward_jacobian"
    else:
        made = _met(graph, stages, cut)
        made.schedule = _cut(cut, stages)
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
        self.emitter = _with_loss(graph)
        self.pull = self._pulls()
        self._pulled_steps = len(self.emitter.program.steps)
        self.columns = self._widths()
        self._carried: list[int] = []

    def _pulls(self) -> list[int]:
        """Return the cost of pulling a row through each stage, gradients included."""
        emitter, program = self.emitter, self.emitter.program
        self._walk = walk = Walk(emitter, emitter.cotangent())
        found = []
        for stage in reversed(self.stages):
            first = len(program.steps)
            walk.back(stage)
            found.append(_cost(program, first))
        return found[::-1]

    def pulled(self) -> Plan | None:
        """Return what has been laid out as a plan, where that is all that reverse does."""
        program = self.emitter.program
        if len(program.steps) > self._pulled_steps:
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

    def ways(self, cut: int, bound: int | None) -> Iterator[int]:
        """Yield the cost of the way that carries columns through ``cut`` stages, if it can beat ``bound``."""
        pulled = sum(self.pull[cut:])
        if cut == 0:
            yield pulled
            return
        contraction = self.graph.batch * prod(self.ends[cut - 1].shape) * self.columns[cut]
        if bound is None or pulled + contraction < bound:  # whatever the carrying costs
            yield self.carried[cut] + pulled + contraction


class _Maker:
    """Emits a mixed plan."""

    def __init__(self, graph: Graph, stages: list[Stage], cut: int) -> None:
        self.graph, self.stages, self.cut = graph, stages, cut
        self.emitter = _with_loss(graph)
        self.pusher = Pusher(self.emitter)
        self.owners: dict[int, tuple[Node, str]] = {}
        carried = Carried(self.pusher.nothing)
        for stage in stages[:cut]:
            carried = _carry(self.pusher, stage, self.owners)
        self.end = stages[cut - 1][-1]
        self.columns = carried.all_columns()
        self.stack = self.pusher.all_dense(self.end, carried)

    def met(self) -> Plan:
        """Emit a walk back to the cut, its gradients, and its product with the columns carried there."""
        behind = [node for stage in self.stages[self.cut :] for node in stage]
        walk = Walk(self.emitter, self.emitter.cotangent())
        walk.back(behind)
        self._meet(walk)
        return Plan([Segment(self.emitter.program)], walk.gradients)

    def _meet(self, walk: Walk) -> None:
        """Emit the row times the columns, and each parameter's part of it."""
        graph, end = self.graph, self.end
        cotangent, stack = walk.reached(end), self.stack
        found = self.emitter.buffer("dL/d*", (1, stack.shape[-1]), columns=self.columns)
        sizes = {"B": graph.batch, "n": prod(end.shape), "K": stack.shape[-1]}
        dims = Dims(sizes, {"B": "B", "n": f"n{end.number}", "K": "K"})
        self.emitter.do(end, "contraction", Meet(), (cotangent, stack), makes=found, dims=dims)
        for index, (node, name) in self.owners.items():
            gradient = new_gradient(self.emitter, node, name, walk.gradients, keep=walk.keep)
            entries = Part(found, self.columns.place(index))
            self.emitter.do(node, "contraction", Entries(*node.op.birth_order(name)), (entries,), makes=gradient)
            add_gradient(self.emitter, node, name, gradient, walk.gradients)


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


def _carry(pusher: Pusher, stage: Stage, owners: dict[int, tuple[Node, str]] | None = None) -> Carried:
    """Emit the pushes and births of a stage, and return what its end carries."""
    for node in stage:
        if not node.active:
            continue
        carried = pusher.push(node)
        born: tuple[Compact, ...] = parameter_births(pusher, node) if node.own_parameters else ()
        for part, name in zip(born, node.own_parameters, strict=True):
            if owners is not None:
                owners.setdefault(part.birth, (node, name))
        pusher.carry(node, pusher.join_births(node, carried, born))
    return pusher.carried[stage[-1].index]


def _cost(program: Program, first: int) -> int:
    """Return the multiplies of the steps from ``first`` on, but for derivatives, which every way needs, once each."""
    found = 0
    for step in program.steps[first:]:
        if step.phase != "derivative":
            cost = rule_of(step.owner, "vjp").cost if step.rule == "vjp_fused" else step.term.cost
            found += cost.evaluate(step.term.dims)[0]
    return found


STRATEGY = Strategy("optimal", "the Jacobian by the best order of elimination", plan, jacobians=True, options=(BY,))
