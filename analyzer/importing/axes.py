"""Views of a value as an algebra of axes: where the batch is, and which axes were split, merged and swapped.

Frameworks move axes about, the batch axis too, before they compute. Here each axis is a product of atoms, as in
einops (Rogozhnikov 2022): a reshape regroups them, a transpose reorders them, and only what computes makes a layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

from gradcost.units import Shape


class UnsupportedError(Exception):
    """Something that a spec cannot say; the message says what."""


@dataclass(frozen=True, eq=False, slots=True)
class Atom:
    """A piece of an axis: itself and no other of the same size."""

    size: int
    batch: bool = False


Axis = tuple[Atom, ...]


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor of the framework: the output of a layer, seen through axes.

    Attributes:
        layer: the spec layer or input.
        shape: that layer's own shape, without the batch axis.
        stored: the atoms of that shape, in order; none of size 1.
        axes: the axes of the tensor; one of size 1 has no atoms, and the batch is one atom somewhere.
    """

    layer: str
    shape: Shape
    stored: tuple[Atom, ...]
    axes: tuple[Axis, ...]

    @property
    def sizes(self) -> Shape:
        """The shape of the tensor."""
        return tuple(prod(atom.size for atom in axis) for axis in self.axes)

    @property
    def plain(self) -> tuple[Atom, ...]:
        """The atoms in the order of the tensor's axes, without the batch."""
        return tuple(atom for axis in self.axes for atom in axis if not atom.batch)

    @property
    def own_shape(self) -> Shape:
        """The shape of the tensor without its batch axis."""
        kept = [axis for axis in self.axes if not (len(axis) == 1 and axis[0].batch)]
        return tuple(prod(atom.size for atom in axis if not atom.batch) for axis in kept)

    @property
    def batch_axis(self) -> int | None:
        """The axis that is the batch alone."""
        found = [place for place, axis in enumerate(self.axes) if len(axis) == 1 and axis[0].batch]
        return found[0] if found else None

    def position(self, axis: int) -> int:
        """Return where an axis of the tensor is in ``own_shape``. Raises ``UnsupportedError`` for the batch."""
        axis %= len(self.axes)
        if any(atom.batch for atom in self.axes[axis]):
            raise UnsupportedError("it works along the batch axis")
        before = self.batch_axis
        return axis - (before is not None and before < axis)

    def moved(self, order: Sequence[int]) -> Value:
        """Return the tensor with its axes in another order."""
        return replace(self, axes=tuple(self.axes[axis] for axis in order))

    def swapped(self, first: int, second: int) -> Value:
        """Return the tensor with two axes exchanged."""
        order = list(range(len(self.axes)))
        order[first], order[second] = order[second], order[first]
        return self.moved(order)

    def with_axis(self, place: int) -> Value:
        """Return the tensor with one more axis, of size 1."""
        place = place % (len(self.axes) + 1)
        return replace(self, axes=(*self.axes[:place], (), *self.axes[place:]))

    def without_axis(self, axis: int) -> Value:
        """Return the tensor without an axis of size 1. A batch of 1 stays, out of sight."""
        axis %= len(self.axes)
        return replace(self, axes=(*self.axes[:axis], *self.axes[axis + 1 :]))

    def reshaped(self, wanted: Sequence[int]) -> Value:
        """Return the tensor with its atoms regrouped, some of them split."""
        wanted = list(wanted)
        if -1 in wanted:
            rest = prod(size for size in wanted if size != -1)
            wanted[wanted.index(-1)] = prod(self.sizes) // max(rest, 1)
        value, left = self, [atom for axis in self.axes for atom in axis]
        axes: list[Axis] = []
        for size in wanted:
            axis: list[Atom] = []
            while True:
                done = prod(atom.size for atom in axis)
                if left and left[0].batch and left[0].size == 1 and not axis:
                    axis.append(left.pop(0))
                    if size == 1:
                        break
                    continue
                if done == size:
                    break
                if not left or size % done or (size // done) == 0:
                    raise UnsupportedError(f"it reshapes {list(self.sizes)} to {wanted} across axes")
                atom, need = left[0], size // done
                if need % atom.size == 0:
                    axis.append(left.pop(0))
                elif atom.size % need == 0 and not atom.batch:
                    value, parts = value._split(atom, need)
                    left[0:1] = parts
                else:
                    raise UnsupportedError(f"it reshapes {list(self.sizes)} to {wanted} across axes")
            axes.append(tuple(axis))
        if left:
            raise UnsupportedError(f"it reshapes {list(self.sizes)} to {wanted}, which has fewer elements")
        return replace(value, axes=tuple(axes)).settled()

    def settled(self) -> Value:
        """Return the tensor with a batch of 1, whose place a reshape does not tell, on an axis of its own if it can be.

        A batch of more than 1 is where it is.
        """
        batch = next((atom for axis in self.axes for atom in axis if atom.batch), None)
        if batch is None or batch.size > 1 or self.batch_axis is not None:
            return self
        axes = [tuple(atom for atom in axis if not atom.batch) for axis in self.axes]
        place = axes.index(()) if () in axes else 0
        axes[place] = (batch, *axes[place])
        return replace(self, axes=tuple(axes))

    def _split(self, atom: Atom, outer: int) -> tuple[Value, list[Atom]]:
        parts = [Atom(outer), Atom(atom.size // outer)]

        def change(atoms: tuple[Atom, ...]) -> tuple[Atom, ...]:
            return tuple(new for old in atoms for new in (parts if old is atom else [old]))

        return replace(self, stored=change(self.stored), axes=tuple(change(axis) for axis in self.axes)), parts


def fresh(layer: str, shape: Shape, batch: Atom, place: int = 0) -> Value:
    """Return a layer's output with the batch in front, or elsewhere."""
    atoms = [Atom(size) if size > 1 else None for size in shape]
    axes = [(atom,) if atom else () for atom in atoms]
    axes.insert(place, (batch,))
    return Value(layer, shape, tuple(atom for atom in atoms if atom), tuple(axes))
