"""Parameters in forward accumulation: their births, dy/dW, and what becomes of the columns carried at the output."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

from gradcost.carrying.carried import Compact
from gradcost.carrying.columns import Columns
from gradcost.carrying.pusher import Pusher
from gradcost.formula import Cost, Dims, Term
from gradcost.graph import Node
from gradcost.numerics import np
from gradcost.schedule import equations
from gradcost.schedule.emitter import Emitter
from gradcost.schedule.program import Arrays, Buffer
from gradcost.schedule.walk import Gradients, add_gradient, new_gradient
from gradcost.units import Shape

DENSE = Cost(macs="B*N*p", additions="(B*N-1)*p")
COMPACT = Cost(macs="B*S*p", additions="(B*S-1)*p")
COMPACT_WITH_TRAIL = Cost(macs="B*S*T*p", additions="B*S*(T-1)*p + (B*S-1)*p", workspace="B*S*p")


def jacobian_parts(
    emitter: Emitter, owners: Mapping[int, tuple[Node, str]], stack: Buffer, columns: Columns
) -> Gradients:
    """Emit each parameter's part of the output's Jacobian, from the columns of all births side by side."""
    gradients: Gradients = {}
    for index, (node, name) in owners.items():
        part = _parameter_columns(emitter, node, name, stack, columns.place(index))
        add_gradient(emitter, node, name, part, gradients)
    return gradients


def _parameter_columns(emitter: Emitter, node: Node, name: str, stack: Buffer, span: tuple[int, int]) -> Buffer:
    """Emit a parameter's part of the output's Jacobian: a view of its columns, or a copy where they are reordered."""
    shape, order = node.op.birth_order(name)
    lead = stack.shape[:-1]
    symbol = f"d{emitter.graph.output.symbol}/d{node.parameter_symbol(name)}"
    made = Buffer(symbol, (*lead, *node.op.parameters[name]), held=True)

    def view(arrays: Arrays) -> Any:
        return arrays[stack][..., slice(*span)].reshape(made.shape)

    def copy(arrays: Arrays) -> None:
        axes = (*range(len(lead)), *(len(lead) + axis for axis in order))
        columns = arrays[stack][..., slice(*span)].reshape(*lead, *node.op.birth_shape(name))
        np.copyto(arrays[made].reshape(*lead, *shape).transpose(axes), columns)

    if order == tuple(sorted(order)):
        emitter.program.step(
            node.label, "jacobian", view, touches=(stack,), makes=made, view_of=stack, says="columns of {0}"
        )
    else:
        emitter.program.step(node.label, "jacobian", copy, touches=(stack,), makes=made, says="columns of {0}")
    return made


def parameter_births(pusher: Pusher, node: Node) -> tuple[Compact, ...]:
    """Emit the births of a node's parameters: their Jacobians are diagonal in the layer's units."""
    born = []
    for name in node.own_parameters:
        shape, axes = node.op.birth_shape(name), node.op.birth_axes(name)
        rest = prod(shape) // prod(node.shape[slice(*axes)])
        birth = pusher.birth_of(node, name)
        made = pusher.new_compact(node, birth, rest)
        pusher.emitter.birth(node, name, made)
        born.append(Compact(birth, made, axes, rest, node.dims.names.get("m") if len(shape) > 1 else None))
    return tuple(born)


def contract_parameter(
    emitter: Emitter,
    node: Node,
    name: str,
    cotangent: Buffer,
    columns: tuple[Buffer, tuple[int, int]] | Compact,
    gradients: Gradients,
) -> None:
    """Emit dL/dW[j] = sum over samples and outputs of dL/da[L] da[L]/dW[j]."""
    gradient = new_gradient(node, name, gradients)
    shape, order = node.op.birth_order(name)
    ordered = order == tuple(sorted(order))
    found = gradient if ordered else Buffer(f"{gradient.symbol}^T", node.op.birth_shape(name))
    if isinstance(columns, Compact):
        _contract_compact(emitter, node, cotangent, columns, found)
    else:
        _contract_dense(emitter, node, cotangent, *columns, found)
    if not ordered:
        run = _reorder(found, gradient, shape, order)
        emitter.program.step(node.label, "contraction", run, touches=(found,), makes=gradient, says="({0})^T")
    add_gradient(emitter, node, name, gradient, gradients)


def _reorder(found: Buffer, gradient: Buffer, shape: Shape, order: tuple[int, ...]) -> Callable[[Arrays], None]:
    """Copy columns back into the parameter's own order (see ``Layer.birth_order``)."""

    def run(arrays: Arrays) -> None:
        np.copyto(arrays[gradient].reshape(shape).transpose(order), arrays[found])

    return run


def _contract_dense(
    emitter: Emitter, node: Node, cotangent: Buffer, stack: Buffer, span: tuple[int, int], gradient: Buffer
) -> None:
    def run(arrays: Arrays) -> None:
        columns = arrays[stack].reshape(-1, stack.shape[-1])[:, slice(*span)]
        np.matmul(arrays[cotangent].reshape(1, -1), columns, out=arrays[gradient].reshape(1, -1))

    output = emitter.graph.output
    dims = Dims(
        {"B": emitter.graph.batch, "N": prod(output.shape), "p": gradient.elements},
        {"B": "B", "N": f"n{output.number}", "p": _size_name(node, gradient)},
    )
    emitter.program.step(
        node.label,
        "contraction",
        run,
        touches=(cotangent, stack),
        makes=gradient,
        term=Term(DENSE, dims),
        says=lambda: f"{gradient.name} = {cotangent.name} . {equations.part(stack, span)}",
    )


def _contract_compact(emitter: Emitter, node: Node, cotangent: Buffer, part: Compact, gradient: Buffer) -> None:
    """Each unit meets its own rows alone."""
    lead, units, trail, rest = part.blocks

    def run(arrays: Arrays) -> None:
        g = arrays[cotangent].reshape(lead, 1, units).transpose(2, 1, 0)
        c = arrays[part.buffer].reshape(lead, units, rest).transpose(1, 0, 2)
        np.matmul(g, c, out=arrays[gradient].reshape(units, 1, rest))

    def run_with_trail(arrays: Arrays) -> None:
        g = arrays[cotangent].reshape(lead, units, 1, trail)
        each = np.matmul(g, arrays[part.buffer].reshape(lead, units, trail, rest))
        np.add.reduce(each.reshape(lead, units, rest), axis=0, out=arrays[gradient].reshape(units, rest))

    batch = emitter.graph.batch
    dims = Dims(
        {"B": batch, "S": lead // batch, "T": trail, "p": gradient.elements},
        {"B": "B", "T": f"T{node.number}", "p": _size_name(node, gradient)},
    )
    emitter.program.step(
        node.label,
        "contraction",
        run if trail == 1 else run_with_trail,
        touches=(cotangent, part.buffer),
        makes=gradient,
        term=Term(COMPACT if trail == 1 else COMPACT_WITH_TRAIL, dims),
    )


def _size_name(node: Node, gradient: Buffer) -> str:
    """Write a parameter's size in the network's symbols: ``n1*n0`` for W[1]."""
    names = node.dims.names
    parts = [names[symbol] for symbol, _ in zip("nm", gradient.shape, strict=False) if symbol in names]
    return "*".join(parts) if len(parts) == min(len(gradient.shape), 2) else f"p{node.number}"
