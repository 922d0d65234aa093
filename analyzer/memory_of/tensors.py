"""Tensors without numbers: storages that are born at one moment and last touched at another, and views of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod

from gradcost.units import ITEM_BYTES, Shape

FOREVER = 2**62


@dataclass(slots=True, eq=False)
class Storage:
    """Memory of some bytes, alive from the moment of its birth to the last moment that anything reads it."""

    bytes: int
    born: int
    last: int


@dataclass(slots=True, eq=False)
class Tensor:
    """A view of a storage.

    Attributes:
        strides: in elements; 0 along an axis that was expanded.
        maker: the recorded call whose result it is; None for leaves, and for what nothing is differentiated through.
        leaf: of a parameter, what its gradient goes by.
        readers: of a layer's value, how many layers read it.
        output: of the maker's results, which.
    """

    storage: Storage
    shape: Shape
    strides: Shape
    dtype: str
    maker: Call | None = None
    leaf: object = None
    readers: int = 0
    output: int = 0

    @property
    def wanted(self) -> bool:
        """Whether it requires a gradient."""
        return self.maker is not None or self.leaf is not None

    @property
    def bytes(self) -> int:
        """Of its elements."""
        return prod(self.shape) * ITEM_BYTES[self.dtype]

    def view(self, shape: Shape, strides: Shape) -> Tensor:
        """Return another view of the same storage, with no history."""
        return Tensor(self.storage, shape, strides, self.dtype)


@dataclass(slots=True, eq=False)
class Call:
    """A recorded call: a node of the graph that the backward pass walks (its ``grad_fn``).

    Attributes:
        name: the operation.
        inputs: those that are differentiated, by name.
        result: its shape and dtype are those of the cotangent.
        saved: what it keeps for its derivative.
        block: the checkpointed block that has to be run again for what it saved.
        number_in_block: its number there.
        order: of a permute, of the axes.
        keeps_result: whether what it saves is what it made.
        outputs: how many results have cotangents.
    """

    name: str
    label: str
    inputs: dict[str, Tensor]
    shape: Shape
    dtype: str
    saved: tuple[Tensor, ...] = ()
    block: object = None
    number_in_block: int = 0
    order: tuple[int, ...] = ()
    keeps_result: bool = False
    outputs: int = 1


def contiguous(shape: Shape) -> Shape:
    """Return the strides of C order."""
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= size
    return tuple(reversed(strides))


def view_strides(shape: Shape, strides: Shape, wanted: Shape) -> Shape | None:
    """Return the strides of a view in another shape; None where only a copy can have it (``computeStride`` of ATen)."""
    if prod(shape) == 0:
        return contiguous(wanted)
    runs: list[tuple[int, int]] = []  # (elements, stride of the last) of axes that can be walked as one
    for size, stride in zip(shape, strides, strict=True):
        if size == 1:
            continue
        if runs and runs[-1][1] == size * stride:
            runs[-1] = runs[-1][0] * size, stride
        else:
            runs.append((size, stride))
    found: list[int] = []
    rest = list(wanted)
    for elements, stride in reversed(runs):
        left, step = elements, stride
        while rest and (left > 1 or rest[-1] == 1):
            size = rest.pop()
            if left % size:
                return None
            found.append(step)
            step *= size
            left //= size
        if left > 1:
            return None
    found += [1] * len(rest)
    return tuple(reversed(found))


def broadcast(shapes: Iterable[Shape]) -> Shape:
    """Return the shape that several are broadcast to."""
    result: list[int] = []
    for shape in shapes:
        missing = len(shape) - len(result)
        result = [1] * missing + result
        for axis, size in enumerate(shape, len(result) - len(shape)):
            result[axis] = max(result[axis], size)
    return tuple(result)
