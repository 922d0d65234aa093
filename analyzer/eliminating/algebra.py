"""Factors as buffers: the steps of their products and sums."""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd

from gradcost.chains.factors import Factor, Passed, nested, product, total
from gradcost.eliminating.products import (
    Diagonal,
    Fill,
    FromRows,
    Multiply,
    Repeat,
    Sum,
    SumUnit,
    ToRows,
)
from gradcost.formula import Dims
from gradcost.graph import Join, Node
from gradcost.schedule.emitter import Emitter
from gradcost.schedule.operations import Zeros
from gradcost.schedule.program import Buffer, Operation


@dataclass(frozen=True, slots=True)
class Local:
    """A factor, and what it is made from.

    Attributes:
        factor: its structure and prices.
        buffer: its numbers (B, blocks, rows, columns) where it stands, with a B, or blocks, of 1 where all are alike.
        unit: how many identities it is the sum of, where it is one.
        passes: the layers, and which input of each, that it is the sum of where it does not stand.
    """

    factor: Factor
    buffer: Buffer | None = None
    unit: int = 0
    passes: tuple[tuple[Node, int], ...] = ()

    @property
    def numbers(self) -> Buffer:
        """The buffer of a factor that stands, and is no identity."""
        assert self.buffer is not None
        return self.buffer


class Algebra:
    """Emits products and sums of factors, in the row of the report of a node."""

    def __init__(self, emitter: Emitter) -> None:
        """Emit into a program that has the values of the network."""
        self.emitter = emitter
        self.batch = emitter.graph.batch

    def product(self, node: Node, left: Local, right: Local) -> Local:
        """Emit left times right, of which one stands at least."""
        factor = product(left.factor, right.factor)
        if left.passes or right.passes:
            return self._pushed(node, left, right) if left.passes else self._pulled(node, left, right)
        if left.unit and right.unit:
            return Local(factor, unit=left.unit * right.unit)
        if left.unit or right.unit:
            return self._repeated(node, factor, left.unit or right.unit, right if left.unit else left)
        if not nested(left.factor, right.factor):
            right = self.filled(node, right, gcd(left.factor.blocks, right.factor.blocks))
        made = self._room(node, factor)
        samples, blocks, rows, columns = made.shape
        inner = left.numbers.shape[-1] if left.factor.blocks >= right.factor.blocks else right.numbers.shape[-2]
        parts = max(left.factor.blocks, right.factor.blocks) // factor.blocks
        work = {"B": samples, "g": blocks * parts, "k": inner, "n": rows, "m": columns}
        work["n" if left.factor.blocks > right.factor.blocks else "m"] //= parts
        operation = Multiply((left.factor.blocks, right.factor.blocks), made.shape)
        rule = "scale" if inner == 1 else "contract"
        operands = (left.numbers, right.numbers)
        self._do(node, operation, operands, made, work, rule)
        return Local(factor, made)

    def total(self, node: Node, one: Local, other: Local) -> Local:
        """Emit the sum of two factors that stand."""
        factor = total(one.factor, other.factor)
        if one.unit and other.unit:
            return Local(factor, unit=one.unit + other.unit)
        if one.unit or (not other.unit and one.factor.blocks > other.factor.blocks):
            one, other = other, one
        alike = factor.alike and one.numbers.shape[1] == 1
        made = self._room(node, factor)
        ours = 1 if alike else one.factor.blocks
        if other.unit:
            size = {"B": made.shape[0], "n": made.shape[1] * made.shape[2]}
            self._do(node, SumUnit(ours, other.unit), (one.numbers,), made, size)
            return Local(factor, made)
        theirs = 1 if alike else other.factor.blocks
        numbers = theirs * other.numbers.shape[2] * other.numbers.shape[3]
        operands = (one.numbers, other.numbers)
        self._do(node, Sum((ours, theirs)), operands, made, {"B": made.shape[0], "J": numbers})
        return Local(factor, made)

    def beside(self, held: Local, more: Local) -> Local:
        """Return the sum of two factors of one layer, or of one and a view: what does not stand stays so."""
        node = (held.passes or more.passes or ((self.emitter.graph.output, 0),))[0][0]
        one, other = held.factor.passed, more.factor.passed
        if one is None or other is None:
            return self.total(node, self.standing(node, held), self.standing(node, more))
        passed = Passed(one.push.beside(other.push), one.pull.beside(other.pull))
        sampled = held.factor.sampled or more.factor.sampled
        factor = Factor(held.factor.rows, held.factor.columns, sampled=sampled, passed=passed)
        return Local(factor, passes=held.passes + more.passes)

    def standing(self, node: Node, local: Local) -> Local:
        """Emit a factor's entries, by the cheaper of pushing all unit columns through it and pulling all unit rows."""
        passed = local.factor.passed
        if passed is None:
            return local
        pushes = passed.push.of(local.factor.columns) <= passed.pull.of(local.factor.rows)
        seed = self.unit(node, local.factor.columns if pushes else local.factor.rows)
        return self._pushed(node, local, seed) if pushes else self._pulled(node, seed, local)

    def unit(self, node: Node, size: int, unit: int = 1) -> Local:
        """Emit a multiple of the identity as a matrix."""
        made = self.emitter.buffer(f"d{node.symbol}/d{node.symbol}", (1, 1, size, size))
        self.emitter.do(node, "seed", Diagonal(unit), makes=made)
        return Local(Factor(size, size), made)

    def matrix(self, node: Node, local: Local) -> Local:
        """Emit a factor as a matrix of one block."""
        if local.unit:
            return self.unit(node, local.factor.rows, local.unit)
        return self.filled(node, self.standing(node, local), 1)

    def _repeated(self, node: Node, factor: Factor, unit: int, local: Local) -> Local:
        if unit == 1:
            return Local(factor, local.buffer)
        made = self.emitter.buffer(local.numbers.symbol, local.numbers.shape)
        samples, numbers = made.shape[0], made.elements // made.shape[0]
        self._do(node, Repeat(unit), (local.numbers,), made, {"B": samples, "J": numbers, "u": unit})
        return Local(factor, made)

    def filled(self, node: Node, local: Local, blocks: int, samples: int | None = None) -> Local:
        """Emit a factor in fewer blocks, or for so many samples, with zeros written out."""
        held, factor = local.numbers, local.factor
        samples = samples or held.shape[0]
        shape = (samples, blocks, factor.rows // blocks, factor.columns // blocks)
        if held.shape == shape:
            return local
        made = self.emitter.buffer(held.symbol, shape)
        self.emitter.do(node, "densify", Fill(factor.blocks), (held,), makes=made)
        return Local(Factor(factor.rows, factor.columns, blocks, sampled=samples > 1), made)

    def _pushed(self, node: Node, left: Local, right: Local) -> Local:
        """Emit the columns of the right factor pushed through the layers of the left one."""
        emitter = self.emitter
        found: Local | None = None
        factor = Factor(left.factor.rows, right.factor.columns, sampled=left.factor.sampled or right.factor.sampled)
        samples = factor.times(self.batch)
        right = self.filled(node, self.matrix(node, right), 1, samples)
        for layer, index in left.passes:
            source = emitter.graph.nodes[layer.sources[index]]
            tangents = emitter.buffer(right.numbers.symbol, (samples, *source.shape, factor.columns))
            emitter.view(node, "push", right.numbers, tangents)
            stack = self._push(layer, index, tangents)
            made = emitter.buffer(stack.symbol, (samples, 1, factor.rows, factor.columns))
            emitter.view(layer, "push", stack, made)
            found = self._added(layer, found, Local(factor, made))
        assert found is not None
        return found

    def _push(self, node: Node, index: int, tangents: Buffer) -> Buffer:
        """Emit the push of tangents (B, \\*shape, K) of one input through a layer, and return them behind it."""
        emitter = self.emitter
        samples, *_, columns = tangents.shape
        stack = emitter.buffer(f"d{node.symbol}/d*", (samples, *node.shape, columns))
        clears = isinstance(node.op, Join) and node.op.clears
        if clears:
            emitter.do(node, "push", Zeros(), makes=stack)
        emitter.call(
            node,
            "push",
            "jvp_first" if isinstance(node.op, Join) else "jvp",
            (tangents,),
            makes=None if clears else stack,
            into=stack if clears else None,
            index=index if isinstance(node.op, Join) else None,
            sizes={"B": samples, "K": columns},
            names={"K": "K"},
        )
        return stack

    def _pulled(self, node: Node, left: Local, right: Local) -> Local:
        """Emit the rows of the left factor pulled through the layers of the right one."""
        emitter = self.emitter
        found: Local | None = None
        factor = Factor(left.factor.rows, right.factor.columns, sampled=left.factor.sampled or right.factor.sampled)
        samples, rows = factor.times(self.batch), factor.rows
        left = self.filled(node, self.matrix(node, left), 1, samples)
        for layer, index in right.passes:
            source = emitter.graph.nodes[layer.sources[index]]
            cotangents = emitter.pulled(left.numbers.symbol, (samples, *layer.shape), rows)
            emitter.do(layer, "cotangent", ToRows(), (left.numbers,), makes=cotangents)
            pulled = emitter.pulled(f"d*/d{source.symbol}", (samples, *source.shape), rows)
            emitter.call(
                layer,
                "cotangent",
                layer.op.vjp_rule(index) if isinstance(layer.op, Join) else "vjp",
                (cotangents,),
                makes=pulled,
                index=index if isinstance(layer.op, Join) else None,
                sizes={"B": samples, "K": rows},
                names={"K": "K"},
            )
            made = emitter.buffer(pulled.symbol, (samples, 1, rows, factor.columns))
            emitter.do(layer, "cotangent", FromRows(), (pulled,), makes=made)
            found = self._added(layer, found, Local(factor, made))
        assert found is not None
        return found

    def _added(self, node: Node, held: Local | None, more: Local) -> Local:
        return more if held is None else self.total(node, held, more)

    def _room(self, node: Node, factor: Factor) -> Buffer:
        """Return a buffer for a factor that stands; blocks that are alike are kept once."""
        blocks = 1 if factor.alike else factor.blocks
        shape = (factor.times(self.batch), blocks, factor.rows // factor.blocks, factor.columns // factor.blocks)
        return self.emitter.buffer(f"d{node.symbol}/d*", shape)

    def _do(
        self,
        node: Node,
        operation: Operation,
        operands: tuple[Buffer, ...],
        made: Buffer,
        sizes: dict[str, int],
        rule: str = "run",
    ) -> None:
        dims = Dims(sizes, {symbol: symbol for symbol in sizes})
        self.emitter.do(node, "product", operation, operands, rule=rule, makes=made, dims=dims)
