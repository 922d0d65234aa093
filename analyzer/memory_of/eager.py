"""The eager machine: operations one after the other, what each allocates and saves, and when a storage dies.

A storage dies after the last moment that touches it, as under reference counting: a forward value dies with the last
operation that reads it, what was saved with the derivative that reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import accumulate

from gradcost.memory_of.operations import OPERATIONS, RESULTS, Cast, Pull
from gradcost.memory_of.tensors import FOREVER, Call, Storage, Tensor, contiguous, view_strides
from gradcost.units import ITEM_BYTES, Shape

WIDTH = {"bool": 0, "int64": 0, "bfloat16": 1, "float16": 1, "float32": 2, "float64": 3}


@dataclass(eq=False)
class Block:
    """Calls of a checkpointed block: what they save is made again, all at once, when the first is needed.

    Attributes:
        rerun: makes the same calls again.
        inputs: what it reads, held until the backward pass has left the block.
        calls: those of the first time.
        last: the number, within the block, of the last one that saves anything: the second run stops there.
        saved: what the second run saved, by number.
    """

    rerun: Callable[[], object]
    inputs: Sequence[Tensor]
    calls: list[Call] = field(default_factory=list)
    last: int = -1
    saved: dict[int, tuple[Tensor, ...]] | None = None


class _EnoughError(Exception):
    """All that a block's derivatives read is there again (early stop of non-reentrant checkpointing)."""


class Eager:
    """Runs operations on tensors without numbers.

    Attributes:
        tape: the recorded calls, in order: the graph of the backward pass.
        moments: label and phase of each moment.
    """

    def __init__(self, *, device: str, autocast: bool, recording: bool, inplace: bool, onednn: bool) -> None:
        """Start with nothing allocated; ``recording`` is what ``torch.no_grad`` switches off."""
        self.device, self.autocast, self.recording = device, autocast, recording
        self.inplace, self.onednn = inplace, onednn
        self.tape: list[Call] = []
        self.moments: list[tuple[str, str]] = [("", "start")]
        self.label, self.phase = "", "forward"
        self._storages: list[Storage] = []
        self._casts: dict[int, Tensor] = {}
        self._block: Block | None = None
        self._again: Block | None = None
        self._done = 0

    @property
    def now(self) -> int:
        """The moment that is going on."""
        return len(self.moments) - 1

    def moment(self) -> None:
        """Begin the next moment."""
        self.moments.append((self.label, self.phase))

    def new(self, shape: Shape, dtype: str, *, strides: Shape | None = None, held: bool = False) -> Tensor:
        """Allocate a tensor, contiguous unless told otherwise."""
        size = ITEM_BYTES[dtype]
        for axis in shape:
            size *= axis
        storage = Storage(size, self.now, FOREVER if held else self.now)
        self._storages.append(storage)
        return Tensor(storage, shape, strides or contiguous(shape), dtype)

    def touch(self, *tensors: Tensor) -> None:
        """Read some tensors now."""
        for tensor in tensors:
            if tensor.storage.last < self.now:
                tensor.storage.last = self.now

    def call(
        self,
        name: str,
        shape: Shape,
        /,
        *,
        view: Shape | None = None,
        over: Tensor | None = None,
        strides: Shape | None = None,
        dtype: str | None = None,
        saves: str | None = None,
        results: Mapping[str, tuple[Shape, str]] | None = None,
        **given: Tensor | None,
    ) -> Tensor:
        """Run one operation of the table.

        Args:
            name: its row.
            shape: of the result.
            view: the strides of the result, where it is a view of the first operand.
            over: the operand that it is written over, in place.
            strides: of a result that is not contiguous.
            dtype: of the result, where it does not follow from the operands.
            saves: what is read by the derivative instead of what the row says (in-place variants).
            results: shape and dtype of further results, where they do not follow from the operands.
            given: the operands, by the names that the row has for them, several of a kind with a number behind.
        """
        row = OPERATIONS[name]
        operands = {key: tensor for key, tensor in given.items() if tensor is not None}
        cast = row.cuda if self.device == "cuda" and row.cuda is not None else row.cast
        if self.autocast and cast is not Cast.FOLLOW:
            operands = {key: self.cast(tensor, cast.value) for key, tensor in operands.items()}
        wanted = {key: t for key, t in operands.items() if t.wanted and row.differentiates(key)}
        recorded = self.recording and bool(wanted)
        reads = row.saved(operands, wanted if saves is None else {}, saves) if recorded else []
        if self._again is not None and recorded and self._stops(reads, operands):
            self._keep(tuple(operands[key] for key in reads))
            raise _EnoughError
        self.moment()
        self.touch(*operands.values())
        first = next(iter(operands.values()))
        widest = dtype or max((t.dtype for t in operands.values()), key=lambda each: WIDTH[each])
        if view is not None:
            result = first.view(shape, view)
        elif over is not None:
            result = over.view(shape, over.strides)
        else:
            result = self.new(shape, widest, strides=strides)
        seen = {**operands, **dict.fromkeys(RESULTS, result)}
        made = {key: self.new(*(results or {}).get(key, extra(seen))) for key, extra in row.extra.items()}
        if recorded:
            saved = tuple((seen | made)[key] for key in reads)
            self._result = result
            result.maker = self._record(Call(name, self.label, wanted, shape, result.dtype, saved))
        return result

    def _record(self, call: Call) -> Call:
        call.keeps_result = any(saved.storage is self._result.storage for saved in call.saved)
        if self._again is not None:
            self._keep(call.saved)
            if self._again.last == self._done - 1:
                raise _EnoughError
            return call
        self.tape.append(call)
        if self._block is not None:
            call.block, call.number_in_block = self._block, len(self._block.calls)
            if call.saved:
                self._block.last = call.number_in_block
            call.saved = ()
            self._block.calls.append(call)
        return call

    def _keep(self, saved: tuple[Tensor, ...]) -> None:
        assert self._again is not None
        assert self._again.saved is not None
        self._again.saved[self._done] = saved
        self._done += 1

    def _stops(self, reads: list[str], operands: Mapping[str, Tensor]) -> bool:
        """Whether a second run ends before this call computes: it is the last that saves, and saves operands alone."""
        assert self._again is not None
        return self._done == self._again.last and all(name in operands for name in reads)

    def cast(self, tensor: Tensor, dtype: str) -> Tensor:
        """Return a tensor in another floating-point dtype; autocast keeps those of the parameters."""
        if tensor.dtype == dtype or not WIDTH[tensor.dtype]:
            return tensor
        cached = self.autocast and tensor.leaf is not None and dtype == Cast.LOW.value
        if cached and id(tensor) in self._casts:
            return self._casts[id(tensor)]
        made = self.call("_to_copy", tensor.shape, dtype=dtype, self=tensor)
        if cached:
            self._casts[id(tensor)] = made
        return made

    @contextmanager
    def autocasting(self) -> Iterator[None]:
        """Run what is in the block under autocast, if that is asked for; its copies of parameters live till the end."""
        outer, self._casts = self._casts, {}
        yield
        self.touch(*self._casts.values())
        self._casts = outer

    @contextmanager
    def checkpointed(self, rerun: Callable[[], object], inputs: Sequence[Tensor]) -> Iterator[None]:
        """Save nothing of what is in the block, which ``rerun`` does again when the backward pass comes to it."""
        self._block = Block(rerun, inputs)
        yield
        self._block = None

    def saved(self, call: Call) -> tuple[Tensor, ...]:
        """Return what a call saved, made again if it is of a checkpointed block."""
        block = call.block
        if block is None:
            return call.saved
        assert isinstance(block, Block)
        if block.saved is None:
            block.saved = {}
            self._again, self._done, phase = block, 0, self.phase
            casts, self._casts = self._casts, {}
            with suppress(_EnoughError):
                block.rerun()
            self.touch(*self._casts.values())
            self._again, self._casts, self.phase = None, casts, phase
        self.touch(*block.inputs)
        return block.saved.get(call.number_in_block, ())

    def may_overwrite(self, tensor: Tensor) -> bool:
        """Whether a value can be written over: nobody else reads it, and no derivative does."""
        if not self.inplace or tensor.readers != 1 or tensor.leaf is not None:
            return False
        if tensor.maker is None:
            return not self.recording
        return not tensor.maker.keeps_result and OPERATIONS[tensor.maker.name].pull is not Pull.VIEW

    def reshape(self, tensor: Tensor, shape: Shape) -> Tensor:
        """Return a view in another shape, or a copy where there is no such view."""
        strides = view_strides(tensor.shape, tensor.strides, shape)
        if strides is None:
            tensor = self.call("clone", tensor.shape, self=tensor)
            strides = contiguous(shape)
        return self.call("view", shape, view=strides, self=tensor)

    def another(self, tensor: Tensor) -> Tensor:
        """Return one more result of the call that made a view."""
        more = tensor.view(tensor.shape, tensor.strides)
        if tensor.maker is not None:
            more.maker, more.output = tensor.maker, tensor.maker.outputs
            tensor.maker.outputs += 1
        return more

    def permute(self, tensor: Tensor, order: tuple[int, ...]) -> Tensor:
        """Return a view with the axes in another order."""
        shape = tuple(tensor.shape[axis] for axis in order)
        strides = tuple(tensor.strides[axis] for axis in order)
        made = self.call("permute", shape, view=strides, self=tensor)
        if made.maker is not None:
            made.maker.order = order
        return made

    def live(self) -> list[int]:
        """Return the bytes that are alive at each moment."""
        change = [0] * (len(self.moments) + 1)
        for storage in self._storages:
            change[storage.born] += storage.bytes
            if storage.last < self.now:
                change[storage.last + 1] -= storage.bytes
        return list(accumulate(change[:-1]))
