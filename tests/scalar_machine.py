"""A scalar machine: gradients of dense, tanh, add and rnn networks of one sample, one multiply at a time.

It has lists of numbers and no arrays, and knows nothing of gradcost's layers' rules, its pushes and its formulas. A
multiply is counted where neither factor is a known 0 (such entries are not there) or a known 1. Forward accumulation
holds to its invariant, that after each activation the derivatives of its value exist; where sigma' goes before that,
into a summand's weights or into the sum of the rest, is tried out for each number of each value: the least is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from math import prod, tanh
from typing import TypeAlias

from gradcost.execution.execute import Data
from gradcost.graph import Graph, Node
from gradcost.layers.activations import Tanh
from gradcost.layers.add import Add
from gradcost.layers.dense import Dense
from gradcost.layers.moves import Slice
from gradcost.layers.recurrent import ZeroState

ONE = 1  # known: the only number that is an int
Entry: TypeAlias = tuple[int, str, int]  # a number of a parameter, or of a node's value: the node's index, "", which
Row: TypeAlias = Mapping[Entry, float]  # the derivatives of one number; what is missing is a known 0
Gradient: TypeAlias = dict[Entry, float]


@dataclass(frozen=True, eq=False)
class Product:
    """A summand that has still to be pushed: weights times the derivatives of what they read."""

    weights: Sequence[float]
    rows: Sequence[Row]


@dataclass
class Machine:
    """Counts multiplies, and runs the primal.

    Attributes:
        multiplies: how many there were so far.
        values: the numbers of each node's value.
        slopes: tanh' of each activation's.
        cotangent: dL/dy of the mean of squares, whose multiplies are the loss's.
    """

    graph: Graph
    data: Data
    multiplies: int = 0
    values: dict[int, list[float]] = field(default_factory=dict)
    slopes: dict[int, list[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Run the primal, and the slopes that something is differentiated through."""
        for node in self.graph.nodes:
            self.values[node.index] = self._primal(node)
            if isinstance(node.layer, Tanh):
                self.slopes[node.index] = [1.0 - self.times(y, y) for y in self.values[node.index]]
        y, target = self.values[self.graph.output.index], self.data.arrays["target",].reshape(-1)
        self.cotangent = [2.0 * (a - float(t)) / len(y) for a, t in zip(y, target, strict=True)]

    def times(self, a: float, b: float) -> float:
        """Multiply."""
        if isinstance(a, int):
            return b
        if isinstance(b, int):
            return a
        self.multiplies += 1
        return a * b

    def weights(self, node: Node) -> list[list[float]]:
        """Return W."""
        found: list[list[float]] = self.data.arrays["parameter", *node.key("W")].tolist()
        return found

    def _primal(self, node: Node) -> list[float]:
        if node.layer is None:
            return [float(x) for x in self.data.arrays["input", node.label].reshape(-1)]
        sources = [self.values[source] for source in node.sources]
        match node.layer:
            case Dense():
                bias = self.data.arrays["parameter", *node.key("b")].tolist() if "b" in node.op.parameters else None
                sums = [sum(map(self.times, row, sources[0])) for row in self.weights(node)]
                return sums if bias is None else [a + b for a, b in zip(sums, bias, strict=True)]
            case Tanh():
                return [tanh(x) for x in sources[0]]
            case Add():
                return [a + b for a, b in zip(*sources, strict=True)]
            case ZeroState():
                return [0.0] * prod(node.shape)  # numbers like others: known to be 0 to nobody
            case Slice(where=(_, step)):
                size = len(sources[0]) // node.op.inputs[0][0]
                return sources[0][step.start * size : step.stop * size]
        return sources[0]  # a view


def reverse(graph: Graph, data: Data) -> tuple[int, Gradient]:
    """Walk back from the output."""
    machine = Machine(graph, data)
    held: dict[int, list[float]] = {graph.output.index: machine.cotangent}
    gradient: Gradient = {}
    for node in reversed(graph.nodes):
        if not node.active:
            continue
        g = held.pop(node.index)
        if isinstance(node.layer, Tanh):
            g = list(map(machine.times, machine.slopes[node.index], g))
        if isinstance(node.layer, Dense):
            _gradient(machine, node, g, gradient)
        for source in node.sources:
            if graph.nodes[source].active:
                pulled = _pulled(machine, node, g) if isinstance(node.layer, Dense) else g
                held[source] = [a + b for a, b in zip(held[source], pulled, strict=True)] if source in held else pulled
    return machine.multiplies, gradient


def _pulled(machine: Machine, node: Node, g: Sequence[float]) -> list[float]:
    return [sum(map(machine.times, column, g)) for column in zip(*machine.weights(node), strict=True)]


def _gradient(machine: Machine, node: Node, g: Sequence[float], gradient: Gradient) -> None:
    """Add what a dense layer's parameters get from the cotangent of its value."""
    x = machine.values[node.sources[0]]
    _increase(gradient, {entry: machine.times(g[k], a) for k in range(len(g)) for entry, a in _row(node, x, k)})


def _row(node: Node, x: Sequence[float], k: int) -> Iterable[tuple[Entry, float]]:
    """Yield the derivatives of unit k by its layer's own parameters."""
    owner, _ = node.key("W")
    for i, a in enumerate(x):
        yield (owner, "W", k * len(x) + i), a
    if "b" in node.op.parameters:
        yield (owner, "b", k), ONE


def _increase(some: dict[Entry, float], more: Row) -> None:
    for entry, value in more.items():
        some[entry] = some[entry] + float(value) if entry in some else value


def forward(graph: Graph, data: Data, whole: Callable[[Node], bool]) -> tuple[int, Gradient]:
    """Carry the derivatives of every value forward, and contract them at the output.

    ``whole`` tells the layers whose values are differentiated by, and not their parameters: forward_factored.
    """
    machine = Machine(graph, data)
    readers = [source for node in graph.nodes for source in node.sources]
    open_: dict[int, list[list[Product | Row]]] = {}  # the summands of each number, of values that one node reads
    rows: dict[int, list[Row]] = {}

    def summands(source: int) -> list[list[Product | Row]]:
        return open_[source] if source in open_ else [[row] for row in rows[source]]

    for node in graph.nodes:
        if not node.active:
            continue
        sources = [source for source in node.sources if graph.nodes[source].active]
        match node.layer:
            case Tanh():
                slopes = machine.slopes[node.index]
                rows[node.index] = [
                    _least(machine, d, terms) for d, terms in zip(slopes, summands(sources[0]), strict=True)
                ]
                continue
            case Dense():
                x, weights = machine.values[node.sources[0]], machine.weights(node)
                units: list[list[Product | Row]] = []
                for k, row in enumerate(weights):
                    own: Row = {(node.index, "", k): ONE} if whole(node) else dict(_row(node, x, k))
                    units.append([own, *([Product(row, rows[sources[0]])] if sources else [])])
            case Add():
                units = [
                    [each for unit in together for each in unit]
                    for together in zip(*map(summands, sources), strict=True)
                ]
            case _:
                units = summands(sources[0])
        open_[node.index] = units
        if readers.count(node.index) != 1 or not _ends_in_tanh(graph, node):
            del open_[node.index]
            rows[node.index] = [_total(machine, terms) for terms in units]
    gradient: Gradient = {}
    for g, carried in zip(machine.cotangent, rows[graph.output.index], strict=True):
        _increase(gradient, {entry: machine.times(g, value) for entry, value in carried.items()})
    for node in graph.nodes:
        if isinstance(node.layer, Dense) and whole(node):
            size = prod(node.shape)
            _gradient(machine, node, [gradient.pop((node.index, "", k)) for k in range(size)], gradient)
    return machine.multiplies, gradient


def _ends_in_tanh(graph: Graph, node: Node) -> bool:
    """Whether an activation reads a value next, or a sum that it does."""
    reader = next(each for each in graph.nodes if node.index in each.sources)
    return isinstance(reader.layer, Tanh) or (isinstance(reader.layer, Add) and _alone(graph, reader))


def _alone(graph: Graph, node: Node) -> bool:
    readers = [each for each in graph.nodes for source in each.sources if source == node.index]
    return len(readers) == 1 and _ends_in_tanh(graph, node)


def _total(machine: Machine, summands: Iterable[Product | Row]) -> Row:
    """Push what is still to be pushed, and add up."""
    total: dict[Entry, float] = {}
    for each in summands:
        if isinstance(each, Product):
            for weight, row in zip(each.weights, each.rows, strict=True):
                _increase(total, {entry: machine.times(weight, value) for entry, value in row.items()})
        else:
            _increase(total, each)
    return total


def _least(machine: Machine, slope: float, summands: Sequence[Product | Row]) -> Row:
    """Multiply a sum by the slope: some products' weights first, and the sum of the rest; the cheapest choice."""
    products = [each for each in summands if isinstance(each, Product)]
    before, tried = machine.multiplies, []
    for size in range(len(products) + 1):
        for chosen in combinations(products, size):
            machine.multiplies = before
            folded = [Product([machine.times(slope, w) for w in each.weights], each.rows) for each in chosen]
            rest = _total(machine, [each for each in summands if each not in chosen])
            scaled = {entry: machine.times(slope, value) for entry, value in rest.items()}
            row = _total(machine, [scaled, *folded])
            tried.append((machine.multiplies, row))
    machine.multiplies, row = min(tried, key=lambda each: each[0])
    return row
