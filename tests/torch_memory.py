"""What eager PyTorch holds: the bytes of all live storages, followed through the steps of a reference training loop."""

from __future__ import annotations

import functools
import sys
import weakref
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import nn
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensor
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves
from torch.utils.checkpoint import checkpoint

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": functools.partial(torch.optim.SGD, lr=1e-3),
    "momentum": functools.partial(torch.optim.SGD, lr=1e-3, momentum=0.9),
    "adam": functools.partial(torch.optim.Adam, lr=1e-3),
    "adamw": functools.partial(torch.optim.AdamW, lr=1e-3),
    "adafactor": functools.partial(torch.optim.Adafactor, lr=1e-3),
}
SCALAR = torch.ops.aten._local_scalar_dense.default
ADD, ADD_INTO = torch.ops.aten.add.Tensor, torch.ops.aten.add_.Tensor
ALIAS = torch.ops.aten.alias.default


class Event(NamedTuple):
    """A storage came (`change` above zero) or went; `live` is what stands after it."""

    phase: str
    operation: str
    change: int
    live: int
    storage: int


class Tracker(TorchDispatchMode):
    """Follow live storages: each counts once, from the operation that returns it until it dies.

    Enter it after FakeTensorMode. While a dispatch mode is active, and for fake tensors always, PyTorch writes no sum
    into a temporary of its own: autograd's sum of the gradients of a value that is used twice, a linear layer's bias on
    an input that is not contiguous, the mask of attention's math kernel. With nobody watching it does, if nothing else
    holds the temporary, and so does this tracker; with `alone=False` its figures are those of any other tracker.
    """

    def __init__(self, *, alone: bool = True) -> None:
        super().__init__()
        self.temporary = _temporary() if alone else None
        self.phase = "forward"
        self.operation = ""
        self.live = self.peak = 0
        self.peak_phase = ""
        self.events: list[Event] = []
        self.labels: dict[int, str] = {}
        self._known: dict[int, tuple[int, int]] = {}
        self._first: dict[int, int] = {}
        self._peak_event = 0
        self._serial = 0

    def hold(self, tensor: torch.Tensor, label: str) -> None:
        """Count a tensor's storage, if it is not yet counted."""
        storage = tensor.untyped_storage()
        key = id(storage)
        if key in self._known:
            return
        self._serial += 1
        self._known[key] = (self._serial, storage.nbytes())
        self.labels[self._serial] = label
        weakref.finalize(storage, self._gone, key).atexit = False  # the Python object lives as long as its storage
        self._note(label, storage.nbytes(), self._serial)

    def name(self, tensor: torch.Tensor, label: str) -> None:
        """Count a tensor's storage, and say what it is."""
        self.hold(tensor, label)
        self.labels[self._known[id(tensor.untyped_storage())][0]] = label

    def name_all(self, several: Iterable[torch.Tensor], label: str) -> None:
        for tensor in several:
            self.name(tensor, label)

    def enter(self, phase: str) -> None:
        self.phase = phase

    def reset(self) -> None:
        """Start a new measurement from what is live now."""
        self.events.clear()
        self.peak, self.peak_phase, self._peak_event = self.live, self.phase, 0
        self._first = dict(self._known.values())

    def label_of(self, tensor: torch.Tensor) -> str:
        """Return what a live storage was called, or the operation that made it."""
        serial, _ = self._known.get(id(tensor.untyped_storage()), (0, 0))
        return self.labels.get(serial, "from outside")

    def alive(self) -> list[str]:
        """List the storages that came since the last reset and are still here."""
        now = dict(self._known.values())
        return [f"{self.labels[serial]} {size:,} B" for serial, size in now.items() if serial not in self._first]

    def at_peak(self) -> Counter[str]:
        """Return the bytes alive at the peak, by what they are: a name, or the operation that made them."""
        alive = dict(self._first)
        for event in self.events[: self._peak_event]:
            if event.change > 0:
                alive[event.storage] = event.change
            else:
                alive.pop(event.storage, None)
        total: Counter[str] = Counter()
        for storage, size in alive.items():
            total[self.labels[storage]] += size
        return total

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.namespace != "prim":  # asking for a device is no operation
            self.operation = func.__name__.removesuffix(".default")
        if func is ADD and not kwargs and _counts(args[0]) == self.temporary and fits(*args):
            ADD_INTO(*args)
            return ALIAS(args[0])
        try:
            result = func(*args, **(kwargs or {}))
        except DataDependentOutputException:
            if func is not SCALAR:
                raise
            return 1.0  # a fake scalar: its value decides no size here
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor):
                self.hold(leaf, self.operation)
        return result

    def _gone(self, key: int) -> None:
        serial, size = self._known.pop(key)
        self._note(self.operation, -size, serial)

    def _note(self, operation: str, change: int, serial: int) -> None:
        self.live += change
        self.events.append(Event(self.phase, operation, change, self.live, serial))
        if self.live > self.peak:
            self.peak, self.peak_phase, self._peak_event = self.live, self.phase, len(self.events)


class _Counts(TorchDispatchMode):
    """What the counts of references say of a gradient that only autograd's own buffer holds."""

    found = (0, 0, 0)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is ADD and not torch.is_grad_enabled():
            self.found = _counts(args[0])
        return func(*args, **(kwargs or {}))


def _counts(tensor: torch.Tensor) -> tuple[int, int, int]:
    """Count who refers to a tensor, to its storage, and to its Python object."""
    storage = tensor.untyped_storage()
    return int(tensor._use_count()), int(torch._C._storage_Use_Count(storage._cdata)), sys.getrefcount(tensor)


@functools.cache
def _temporary() -> tuple[int, int, int]:
    """Return the counts of a tensor that PyTorch's own code alone holds, as a dispatch mode sees it."""
    with _disable_current_modes(), torch.enable_grad(), _Counts() as counts:
        x = torch.ones(3, requires_grad=True) * 2
        (x.sin() + x.exp()).exp().sum().backward()
    return counts.found


def fits(left: torch.Tensor, right: Any) -> bool:
    """Say whether a sum has the shape and the type of its left operand, which lies densely."""
    if not isinstance(right, torch.Tensor) or torch.result_type(left, right) != left.dtype:
        return False
    expected = 1
    for stride, length in sorted(zip(left.stride(), left.shape, strict=True)):
        if length > 1 and stride != expected:
            return False
        expected *= length
    return bool(torch.broadcast_shapes(left.shape, right.shape) == left.shape)


@dataclass(frozen=True)
class Measured:
    """The second step's figures, in bytes. `made` says what the peak consists of."""

    peak: int
    phase: str
    weights: int
    buffers: int
    gradients: int
    state: int
    data: int
    made: Counter[str] = field(repr=False, compare=False)
    events: list[Event] = field(repr=False, compare=False)

    @property
    def kept(self) -> int:
        """Weights, buffers, gradients and optimizer state: what is there whatever the batch."""
        return self.weights + self.buffers + self.gradients + self.state


def size(tensors: Iterable[torch.Tensor]) -> int:
    """Return the bytes of the distinct storages under some tensors."""
    storages = {id(storage): storage for storage in (tensor.untyped_storage() for tensor in tensors)}
    return sum(storage.nbytes() for storage in storages.values())


def fake_mode(model: nn.Module) -> AbstractContextManager[Any]:
    """Return the mode that a model's fake parameters were made in; for real ones, nothing."""
    modes = {leaf.fake_mode for leaf in model.parameters() if isinstance(leaf, FakeTensor)}
    return modes.pop() if modes else nullcontext()


@contextmanager
def checkpointing(blocks: Iterable[nn.Module]) -> Iterator[None]:
    """Run each block under torch.utils.checkpoint while this lasts."""
    blocks = list(blocks)
    for block in blocks:
        block.forward = functools.partial(checkpoint, block.forward, use_reentrant=False)
    try:
        yield
    finally:
        for block in blocks:
            del block.forward


@contextmanager
def converted(model: nn.Module, dtype: torch.dtype | None) -> Iterator[None]:
    """Hold parameters and buffers in another type while this lasts: `module.to` cannot, for fake tensors."""
    before = [(module, dict(module._parameters), dict(module._buffers)) for module in model.modules()]
    made: dict[int, Any] = {}
    for module, parameters, buffers in before if dtype else ():
        for name, value in parameters.items():
            if value is not None:
                made.setdefault(id(value), nn.Parameter(value.detach().to(dtype), value.requires_grad))
                module._parameters[name] = made[id(value)]
        for name, value in buffers.items():
            if value is not None and value.is_floating_point():
                module._buffers[name] = value.to(dtype)
        if isinstance(module, nn.RNNBase):
            module._init_flat_weights()
    try:
        yield
    finally:
        for module, parameters, buffers in before if dtype else ():
            module._parameters.update(parameters)
            module._buffers.update(buffers)
            if isinstance(module, nn.RNNBase):
                module._init_flat_weights()


def tensors(tree: Any) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)]


def gradients(model: nn.Module) -> list[torch.Tensor]:
    return [parameter.grad for parameter in model.parameters() if parameter.grad is not None]


def state_of(optimizer: torch.optim.Optimizer | None) -> list[torch.Tensor]:
    return tensors([list(state.values()) for state in optimizer.state.values()]) if optimizer else []


def train(
    model: nn.Module,
    inputs: Sequence[torch.Tensor],
    targets: torch.Tensor | None,
    loss: Callable[[Any, Any], torch.Tensor],
    optimizer: torch.optim.Optimizer | None,
    *,
    enter: Callable[[str], object],
    autocast: bool = False,
    zero_grad: str = "none",
    accumulate: int = 1,
    keep_outputs: bool = False,
) -> Generator[None, None, None]:
    """Run the reference loop, one step at a time: a plain loop's names live through the optimizer's step."""
    device = next(model.parameters()).device.type
    output = value = None
    while True:
        enter("forward")
        (optimizer or model).zero_grad(set_to_none=zero_grad == "none")
        for micro in range(accumulate):
            enter("forward")
            with torch.autocast(device, dtype=torch.bfloat16, enabled=autocast):
                output = model(*inputs)
                value = loss(output, targets)
            enter("backward")
            (value / accumulate if accumulate > 1 else value).backward()
            if not keep_outputs and micro + 1 < accumulate:
                output = value = None
        if optimizer is not None:
            enter("step")
            optimizer.step()
        if not keep_outputs:
            output = value = None
        yield


def measure(
    model: nn.Module,
    inputs: Sequence[torch.Tensor],
    targets: torch.Tensor | None,
    loss: Callable[[Any, Any], torch.Tensor],
    optimizer: str = "none",
    precision: str = "float32",
    checkpoint: str = "none",
    zero_grad: str = "none",
    accumulate: int = 1,
    *,
    blocks: Iterable[nn.Module] = (),
    keep_outputs: bool = False,
    foreach: bool | None = None,
    alone: bool = True,
) -> Measured:
    """Run two training steps and report the second. The model keeps its mode; `inputs` and `targets` are counted.

    `foreach` is the optimizer's: by default it loops over the parameters on a CPU, and takes them at once on a GPU.
    """
    with fake_mode(model), converted(model, torch.bfloat16 if precision == "bfloat16" else None):
        if precision == "bfloat16":
            inputs = [x.to(torch.bfloat16) if x.is_floating_point() else x for x in inputs]
        model.zero_grad()
        chosen = OPTIMIZERS[optimizer](model.parameters(), foreach=foreach) if optimizer != "none" else None
        tracker = Tracker(alone=alone)
        tracker.name_all(model.parameters(), "weights")
        tracker.name_all(model.buffers(), "buffers")
        tracker.name_all(tensors([inputs, targets]), "data")
        with tracker, checkpointing(blocks if checkpoint == "blocks" else ()):
            steps = train(
                model,
                inputs,
                targets,
                loss,
                chosen,
                enter=tracker.enter,
                autocast=precision == "autocast",
                zero_grad=zero_grad,
                accumulate=accumulate,
                keep_outputs=keep_outputs,
            )
            next(steps)
            tracker.name_all(state_of(chosen), "state")
            tracker.name_all(gradients(model), "gradients")
            tracker.reset()
            next(steps)
            tracker.name_all(gradients(model), "gradients")
            steps.close()
        measured = Measured(
            peak=tracker.peak,
            phase=tracker.peak_phase,
            weights=size(model.parameters()),
            buffers=size(model.buffers()),
            gradients=size(gradients(model)),
            state=size(state_of(chosen)),
            data=size(tensors([inputs, targets])),
            made=tracker.at_peak(),
            events=list(tracker.events),
        )
        model.zero_grad()
        return measured


def measure_inference(model: nn.Module, inputs: Sequence[torch.Tensor], *, autocast: bool = False) -> Measured:
    """Run the forward pass without gradients, in evaluation mode."""
    training = model.training
    with fake_mode(model):
        tracker = Tracker()
        tracker.name_all(model.parameters(), "weights")
        tracker.name_all(model.buffers(), "buffers")
        tracker.name_all(tensors(inputs), "data")
        device = next(model.parameters()).device.type
        model.eval()
        with tracker, torch.no_grad(), torch.autocast(device, dtype=torch.bfloat16, enabled=autocast):
            tracker.reset()
            model(*inputs)
        model.train(training)
        return Measured(
            peak=tracker.peak,
            phase=tracker.peak_phase,
            weights=size(model.parameters()),
            buffers=size(model.buffers()),
            gradients=0,
            state=0,
            data=size(tensors(inputs)),
            made=tracker.at_peak(),
            events=list(tracker.events),
        )
