"""Parameters in forward accumulation: their births, dy/dW, and what becomes of the columns carried at the output."""

from __future__ import annotations

from math import prod

from gradcost.carrying.carried import Compact
from gradcost.carrying.columns import Columns
from gradcost.carrying.pusher import Pusher
from gradcost.formula import Dims
from gradcost.graph import At, Layer, Node, rule, rule_of
from gradcost.numerics import Array, np
from gradcost.schedule.emitter import Emitter
from gradcost.schedule.program import Buffer, Operation, Part
from gradcost.schedule.walk import Gradients, add_gradient, new_gradient
from gradcost.units import Shape


def parameter_births(pusher: Pusher, node: Node) -> tuple[Compact, ...]:
    """Emit the births of a node's parameters: their Jacobians are diagonal in the layer's units."""
    born = []
    for name in node.own_parameters:
        shape, axes = node.op.birth_shape(name), node.op.birth_axes(name)
        rest = prod(shape) // prod(node.shape[slice(*axes)])
        birth = pusher.birth_of(node, name)
        made = pusher.new_compact(node, birth, rest)
        pusher.emitter.birth(node, name, made)
        rest_name = node.dims.names.get("m") if len(shape) > 1 else None
        born.append(Compact(birth, made, axes, rest, rest_name, unit=_is_one(node.op, name)))
    return tuple(born)


def _is_one(layer: Layer, name: str) -> bool:
    """Whether dy/dP is 1 wherever it is not 0, as that of a bias: a view of the single 1.0."""
    rule = f"birth_{name}"
    return hasattr(layer, rule) and rule_of(layer, rule).reads == ("one",)


def contract_parameter(
    emitter: Emitter,
    node: Node,
    name: str,
    cotangent: Buffer,
    columns: tuple[Buffer, tuple[int, int]] | Compact,
    gradients: Gradients,
) -> None:
    """Emit dL/dW[j] = sum over samples and outputs of dL/da[L] da[L]/dW[j]."""
    gradient = new_gradient(emitter, node, name, gradients)
    shape, order = node.op.birth_order(name)
    ordered = order == tuple(sorted(order))
    found = gradient if ordered else emitter.buffer(f"{gradient.symbol}^T", node.op.birth_shape(name))
    batch, size = emitter.graph.batch_of(emitter.graph.output), _size_name(node, name)
    if isinstance(columns, Compact):
        lead, _, trail, _ = columns.blocks
        dims = Dims(
            {"B": batch, "S": lead // batch, "T": trail, "p": gradient.elements, "i": emitter.graph.item_bytes},
            {"B": "B", "T": f"T{node.number}", "p": size},
        )
        if columns.unit:
            emitter.do(node, "contraction", SumUnits(columns.blocks), (cotangent,), makes=found, dims=dims)
        else:
            contraction = ContractRows(columns.blocks) if trail == 1 else ContractBlocks(columns.blocks)
            emitter.do(node, "contraction", contraction, (cotangent, columns.buffer), makes=found, dims=dims)
    else:
        output = emitter.graph.output
        dims = Dims(
            {"B": batch, "N": prod(output.shape), "p": gradient.elements},
            {"B": "B", "N": f"n{output.number}", "p": size},
        )
        emitter.do(node, "contraction", ContractColumns(), (cotangent, Part(*columns)), makes=found, dims=dims)
    if not ordered:
        emitter.do(node, "contraction", Reorder(shape, order), (found,), makes=gradient)
    add_gradient(emitter, node, name, gradient, gradients)


def jacobian_parts(pusher: Pusher, stack: Buffer, columns: Columns) -> Gradients:
    """Emit each parameter's part of the output's Jacobian, from the columns of all births side by side."""
    gradients: Gradients = {}
    for index, (node, name) in pusher.owners.items():
        part = _parameter_columns(pusher.emitter, node, name, Part(stack, columns.place(index)))
        add_gradient(pusher.emitter, node, name, part, gradients)
    return gradients


def _parameter_columns(emitter: Emitter, node: Node, name: str, columns: Part) -> Buffer:
    """Emit a parameter's part of the output's Jacobian: a view of its columns, or a copy where they are reordered."""
    shape, order = node.op.birth_order(name)
    lead = columns.buffer.shape[:-1]
    symbol = f"d{emitter.graph.output.symbol}/d{node.parameter_symbol(name)}"
    made = emitter.buffer(symbol, (*lead, *node.op.gradient_shape(name)), held=True)
    if order == tuple(sorted(order)):
        emitter.view(node, "jacobian", columns, made)
    else:
        emitter.do(node, "jacobian", Reorder(shape, order, len(lead)), (columns,), makes=made)
    return made


class ContractColumns(Operation):
    """dL/dW = sum over samples and outputs of dL/da[L] da[L]/dW, from dense columns."""

    @rule(macs="B*N*p", additions="(B*N-1)*p")
    def run(self, at: At, g: Array, columns: Array, out: Array) -> None:
        """Fill out (p,) for g of B N numbers and as many rows of p columns."""
        np.matmul(g.reshape(1, -1), columns.reshape(-1, columns.shape[-1]), out=out.reshape(1, -1))


class _Blocks(Operation):
    """The same from a compact Jacobian, where each unit meets its own rows alone."""

    def __init__(self, blocks: tuple[int, int, int, int]) -> None:
        """Take the blocks of the compact Jacobian."""
        self.blocks = blocks


class ContractRows(_Blocks):
    """One row for each unit and position: S positions before the units, none behind."""

    @rule(macs="B*S*p", additions="(B*S-1)*p")
    def run(self, at: At, g: Array, c: Array, out: Array) -> None:
        """Fill out[k] = sum_s g[s,k] c[s,k]."""
        lead, units, _, rest = self.blocks
        rows = c.reshape(lead, units, rest).transpose(1, 0, 2)
        np.matmul(g.reshape(lead, 1, units).transpose(2, 1, 0), rows, out=out.reshape(units, 1, rest))


class ContractBlocks(_Blocks):
    """A block of T positions behind each unit."""

    @rule(macs="B*S*T*p", additions="B*S*(T-1)*p + (B*S-1)*p", workspace="i*B*S*p")
    def run(self, at: At, g: Array, c: Array, out: Array) -> None:
        """Fill out[k] = sum_s,t g[s,k,t] c[s,k,t]."""
        lead, units, trail, rest = self.blocks
        each = np.matmul(g.reshape(lead, units, 1, trail), c.reshape(lead, units, trail, rest))
        np.add.reduce(each.reshape(lead, units, rest), axis=0, out=out.reshape(units, rest))


class SumUnits(_Blocks):
    """The same from known ones: each unit's own cotangents, summed."""

    @rule(says="the sum of {0} over the batch", additions="(B*S*T-1)*p")
    def run(self, at: At, g: Array, out: Array) -> None:
        """Fill out[k] = sum_s,t g[s,k,t]."""
        lead, units, trail, _ = self.blocks
        np.add.reduce(g.reshape(lead, units, trail), axis=(0, 2), out=out.reshape(units))


class Reorder(Operation):
    """Columns in the parameter's own order (see ``Layer.birth_order``)."""

    def __init__(self, shape: Shape, order: tuple[int, ...], lead: int = 0) -> None:
        """Take the order, and how many axes of rows stand before the columns."""
        self.shape, self.order, self.lead = shape, order, lead

    @rule(says="({0})^T")
    def run(self, at: At, columns: Array, out: Array) -> None:
        """Copy them."""
        lead = out.shape[: self.lead]
        axes = (*range(self.lead), *(self.lead + axis for axis in self.order))
        target = out.reshape(*lead, *self.shape).transpose(axes)
        np.copyto(target, columns.reshape(*lead, *(self.shape[axis] for axis in self.order)))


def _size_name(node: Node, name: str) -> str:
    """Write a parameter's size in the network's symbols: ``n1*n0`` for W[1]."""
    names = node.dims.names
    parts = [names[symbol] for symbol, _ in zip("nm", node.op.parameters[name], strict=False) if symbol in names]
    return "*".join(parts) if len(parts) == min(len(node.op.parameters[name]), 2) else f"p{node.number}"
