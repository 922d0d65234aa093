"""The engine: cotangents walk the recorded calls back, the last call first, to the gradients of the parameters.

Three rules stand nowhere in ``derivatives.yaml``: cotangents of one value from several readers are added into a new
array (``InputBuffer``; under a tracker, or for a tensor subclass, never in place); a parameter's first gradient is the
array that came, if nobody else holds it and it lies as the parameter does, else a copy (``AccumulateGrad``); a
cotangent of another dtype than its value's is cast.
"""

from __future__ import annotations

from collections import Counter
from math import prod

from gradcost.memory_of.eager import Eager
from gradcost.memory_of.operations import OPERATIONS, Pull
from gradcost.memory_of.tensors import FOREVER, Call, Tensor, contiguous, view_strides
from gradcost.units import Shape


class Engine:
    """Walks back from a call.

    Attributes:
        gradients: of the parameters, by what their leaves go by; those that are there already are added to in place.
    """

    def __init__(self, eager: Eager, gradients: dict[object, Tensor]) -> None:
        """Take the machine whose tape is walked."""
        self.eager = eager
        self.gradients = gradients
        self._pending: dict[tuple[object, int], Tensor] = {}
        self._uses: Counter[object] = Counter()

    def run(self, root: Tensor) -> None:
        """Walk back from a scalar."""
        eager = self.eager
        assert root.maker is not None
        tape, eager.tape = eager.tape, []
        reached = {root.maker}
        for call in reversed(tape):
            if call in reached:
                for tensor in call.inputs.values():
                    self._uses[tensor.maker or tensor.leaf] += 1
                    if tensor.maker is not None:
                        reached.add(tensor.maker)
        eager.label, eager.phase = root.maker.label, "backward"
        eager.moment()
        self._pending[root.maker, 0] = eager.new(root.shape, root.dtype)
        for call in reversed(tape):
            if call in reached:
                places = [(call, output) for output in range(call.outputs)]
                self._step(call, [self._pending.pop(place) for place in places if place in self._pending])

    def _step(self, call: Call, cotangents: list[Tensor]) -> None:
        eager, cotangent = self.eager, cotangents[0]
        eager.label = call.label
        saved = eager.saved(call)
        eager.label = call.label
        eager.moment()
        eager.touch(*cotangents, *saved)
        pulled = {name: self._pull(call, name, tensor, cotangent) for name, tensor in call.inputs.items()}
        for name, tensor in call.inputs.items():
            self._arrive(
                tensor, pulled[name], shared=sum(p.storage is pulled[name].storage for p in pulled.values()) > 1
            )

    def _pull(self, call: Call, name: str, tensor: Tensor, cotangent: Tensor) -> Tensor:
        eager, row = self.eager, OPERATIONS[call.name]
        if row.pull is Pull.SAME:
            return self._summed(cotangent, tensor.shape)
        if row.pull is Pull.VIEW:
            return self._viewed(call, tensor, cotangent)
        if row.pull is Pull.WIDE:
            return self._summed(eager.new(call.shape, cotangent.dtype), tensor.shape)
        if row.pull is Pull.PADDED:
            return eager.new(tensor.shape, tensor.dtype)
        if row.pull is Pull.POSITIONS:
            _, count, rows, size = tensor.shape
            return eager.new(tensor.shape, tensor.dtype, strides=(count * rows * size, size, count * size, 1))
        # The cotangent of a matrix that is a transposed view is made as one (mm_mat1_backward, mm_mat2_backward).
        column_major = call.name in ("mm", "addmm") and tensor.strides == (1, tensor.shape[0])
        strides = tensor.strides if column_major else None
        for _ in range(row.work):
            eager.new(tensor.shape, tensor.dtype)
        return eager.new(tensor.shape, tensor.dtype, strides=strides)

    def _viewed(self, call: Call, tensor: Tensor, cotangent: Tensor) -> Tensor:
        if call.name == "permute":
            back = sorted(range(len(call.order)), key=call.order.__getitem__)
            return cotangent.view(tensor.shape, tuple(cotangent.strides[axis] for axis in back))
        if call.name == "sum":
            return cotangent.view(tensor.shape, (0,) * len(tensor.shape))
        if call.name == "cat":
            return cotangent.view(tensor.shape, cotangent.strides)
        strides = view_strides(cotangent.shape, cotangent.strides, tensor.shape)
        if strides is not None:
            return cotangent.view(tensor.shape, strides)
        return self.eager.new(tensor.shape, cotangent.dtype)

    def _summed(self, cotangent: Tensor, shape: Shape) -> Tensor:
        """Return a cotangent summed to the shape that was broadcast."""
        if cotangent.shape == shape:
            return cotangent
        if prod(cotangent.shape) == prod(shape):  # broadcast along axes of 1
            strides = view_strides(cotangent.shape, cotangent.strides, shape)
            return cotangent.view(shape, strides or contiguous(shape))
        self.eager.moment()
        self.eager.touch(cotangent)
        return self.eager.new(shape, cotangent.dtype)

    def _arrive(self, tensor: Tensor, cotangent: Tensor, *, shared: bool) -> None:
        """Hand a cotangent to the call that made a value, or to the parameter that it is."""
        eager, key = self.eager, tensor.maker or tensor.leaf
        place = key, tensor.output
        if cotangent.dtype != tensor.dtype:
            eager.moment()
            eager.touch(cotangent)
            cotangent, shared = eager.new(tensor.shape, tensor.dtype), False
        held = self._pending.get(place)
        if held is not None:
            eager.moment()
            eager.touch(held, cotangent)
            cotangent, shared = eager.new(tensor.shape, tensor.dtype), False
        self._pending[place] = cotangent
        self._uses[key] -= 1
        if tensor.maker is None and not self._uses[key]:
            self._accumulate(tensor, self._pending.pop(place), shared=shared)

    def _accumulate(self, tensor: Tensor, cotangent: Tensor, *, shared: bool) -> None:
        eager = self.eager
        eager.moment()
        eager.touch(cotangent)
        held = self.gradients.get(tensor.leaf)
        if held is None:
            stolen = not shared and view_strides(tensor.shape, cotangent.strides, (prod(tensor.shape),)) == (1,)
            held = cotangent if stolen else eager.new(tensor.shape, tensor.dtype)
            self.gradients[tensor.leaf] = held
            held.storage.last = FOREVER
