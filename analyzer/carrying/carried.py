"""What forward accumulation carries from node to node.

``Carried`` is the Jacobian of one node's value with respect to all births above it:

* ``stack``: dense columns side by side, (B, \\*shape, K);
* ``compact``: births whose Jacobian is still diagonal. da[1]/dW[1] at its birth is one: unit k sees row k of W alone,
  so (B, n1, n0) holds what dense would take n1 times as much for. It stays so through elementwise layers and sums;
* ``terms``: what waits for the slope of an activation behind (see ``Term``).

It is the sum of its parts: only where terms wait may a birth stand in several of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from gradcost.carrying.columns import Columns
from gradcost.graph import Node
from gradcost.schedule.program import Buffer


@dataclass(frozen=True, slots=True)
class Compact:
    """A Jacobian that is diagonal in some axes of its node's shape.

    J[b, lead.., k.., trail.., (k'.., r)] = buffer[b, lead.., k.., trail.., r] where k == k', zero elsewhere.

    Attributes:
        birth: whose columns these are.
        buffer: (B, \\*shape, r).
        axes: the first and the end of the axes k, counted without the batch axis.
        rest: the length of r.
        rest_name: its name in closed forms; None: quiet.
        unit: whether every number in it is a known 1, which nothing is multiplied by.
    """

    birth: int
    buffer: Buffer
    axes: tuple[int, int]
    rest: int
    rest_name: str | None
    unit: bool = False

    @property
    def blocks(self) -> tuple[int, int, int, int]:
        """The buffer's shape with neighbouring axes merged: batch and lead, diagonal, trail, r."""
        low, high = self.axes
        shape = self.buffer.shape
        return prod(shape[: low + 1]), prod(shape[low + 1 : high + 1]), prod(shape[high + 1 : -1]), self.rest

    @property
    def sizes(self) -> dict[str, int]:
        """The symbol r of closed forms."""
        return {"r": self.rest}

    @property
    def names(self) -> dict[str, str]:
        """The name that r goes by."""
        return {} if self.rest_name is None else {"r": self.rest_name}


@dataclass(frozen=True, slots=True)
class Carried:
    """See the module."""

    columns: Columns
    stack: Buffer | None = None
    compact: tuple[Compact, ...] = ()
    terms: tuple[Term, ...] = ()

    def find(self, birth: int) -> tuple[Buffer, tuple[int, int]] | Compact:
        """Return where a birth's Jacobian is: a span of the stack, or its compact form."""
        for part in self.compact:
            if part.birth == birth:
                return part
        assert self.stack is not None
        return self.stack, self.columns.place(birth)

    def all_columns(self) -> Columns:
        """Return the columns with those of the compact births."""
        columns = self.columns
        for part in self.compact:
            columns = columns.with_birth(part.birth)
        return columns


@dataclass(frozen=True, slots=True, eq=False)
class Term:
    """A summand of the Jacobian of a value before its activation: sigma' may go into it, or into its factor, first.

    Attributes:
        node: the layer that has still to push what its input carries; None: what is carried is the term itself.
        carried: that.
    """

    node: Node | None
    carried: Carried

    @property
    def columns(self) -> Columns:
        """Its columns."""
        return self.carried.all_columns()

    @property
    def factor(self) -> Node:
        """The layer of a term that has still to be pushed."""
        assert self.node is not None
        return self.node

    @property
    def inputs(self) -> int:
        """How many numbers of its factor sigma' meets for each of the value; its columns, where it has none."""
        return self.columns.width if self.node is None else self.factor.op.inputs[0][-1]
