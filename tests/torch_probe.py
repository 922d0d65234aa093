"""One layer at a time: what autograd saves, and what comes and goes while it runs: `python torch_probe.py [WORD]`."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional

from torch_memory import OPTIMIZERS, Event, Tracker, measure, tensors

Function = Callable[..., Tensor]


@dataclass(frozen=True)
class Saved:
    """A tensor that a backward function holds; `role` is a parameter's name, input.N, output, or what made it."""

    role: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    bytes: int

    def __str__(self) -> str:
        return f"{self.role} {tuple(self.shape)} {str(self.dtype).removeprefix('torch.')} {self.bytes:,} B"


def held(function: Any) -> list[tuple[str, Tensor]]:
    return [*function.named_parameters(), *function.named_buffers()] if isinstance(function, nn.Module) else []


def saved(function: Function, *inputs: Any) -> list[Saved]:
    """List what autograd saves for the backward pass, once for each storage and view of it, in order."""
    packed: list[Tensor] = []

    def pack(tensor: Tensor) -> Tensor:
        packed.append(tensor)
        return tensor

    tracker = Tracker()
    tracker.name_all((tensor for _, tensor in held(function)), "parameter")
    tracker.name_all(tensors(inputs), "input")
    roles = {id(tensor.untyped_storage()): f"input.{n}" for n, tensor in enumerate(tensors(inputs))}
    roles |= {id(tensor.untyped_storage()): name for name, tensor in held(function)}
    with tracker, torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        output = function(*inputs)
    roles |= {id(tensor.untyped_storage()): "output" for tensor in tensors(output)} | roles
    found: dict[Saved, None] = {}
    for tensor in packed:
        storage = tensor.untyped_storage()
        role = roles.get(id(storage)) or tracker.label_of(tensor)
        found[Saved(role, tuple(tensor.shape), tensor.dtype, storage.nbytes())] = None
    return list(found)


@dataclass(frozen=True)
class Transients:
    """The events of a layer's forward and backward pass, and the most that each held beyond what it began with."""

    forward: list[Event]
    backward: list[Event]
    kept: list[str]

    @property
    def rises(self) -> tuple[int, int]:
        """Return the rise of both passes above what stood before each."""
        return rise(self.forward), rise(self.backward)


def rise(events: Sequence[Event]) -> int:
    live = peak = 0
    for event in events:
        live += event.change
        peak = max(peak, live)
    return peak


def transients(function: Function, *inputs: Any) -> Transients:
    """Run a layer and its gradients by all inputs and parameters, from a dense cotangent."""
    leaves = [x for x in [*tensors(inputs), *(p for _, p in held(function))] if x.requires_grad]
    tracker = Tracker()
    tracker.name_all(tensors(inputs), "input")
    tracker.name_all(leaves, "leaf")
    with tracker:
        tracker.reset()
        output = function(*inputs)
        forward = list(tracker.events)
        kept = tracker.alive()
        cotangent = torch.ones_like(output)
        tracker.enter("backward")
        tracker.reset()
        grads = torch.autograd.grad(output, leaves, cotangent, allow_unused=True)
        backward = list(tracker.events)
        del grads
    return Transients(forward, backward, kept)


def lines(events: Sequence[Event]) -> list[str]:
    """Write one line for each operation: what came, what went, what the pass then holds."""
    shown: list[list[Any]] = []
    live = 0
    for event in events:
        live += event.change
        if not shown or shown[-1][0] != event.operation or (event.change > 0 and shown[-1][2]):
            shown.append([event.operation, 0, 0, live])
        shown[-1][1 if event.change > 0 else 2] += abs(event.change)
        shown[-1][3] = live
    return [f"  {name:50} +{came:<10,} -{went:<10,} = {live:,}" for name, came, went, live in shown]


def allocated(function: Function, *inputs: Any) -> tuple[int, int]:
    """Return the same two rises by the CPU allocator's own record, of a real run: kernels' private buffers included."""
    leaves = [x for x in [*tensors(inputs), *(p for _, p in held(function))] if x.requires_grad]

    def recorded(run: Callable[[], Any]) -> tuple[int, Any]:
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
            result = run()
        events = profile.profiler.kineto_results.events()
        changes = sorted((event.start_ns(), event.nbytes()) for event in events if event.name() == "[memory]")
        live = peak = 0
        for _, change in changes:
            live += change
            peak = max(peak, live)
        return peak, result

    function(*inputs)
    forward, output = recorded(lambda: function(*inputs))
    cotangent = torch.ones_like(output)
    backward, _ = recorded(lambda: torch.autograd.grad(output, leaves, cotangent, allow_unused=True))
    return forward, backward


class HandRMSNorm(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        dtype = x.dtype
        x = x.to(torch.float32)
        variance = x.pow(2).mean(-1, keepdim=True)
        x = x * torch.rsqrt(variance + 1e-6)
        return self.weight * x.to(dtype)


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(100, 32))

    def forward(self, ids: Tensor) -> Tensor:
        return functional.linear(functional.embedding(ids, self.weight).tanh(), self.weight)


class First(nn.Module):
    """Take the first of a module's results."""

    def __init__(self, module: nn.Module, times: int = 1, **options: Any) -> None:
        super().__init__()
        self.module, self.times, self.options = module, times, options

    def forward(self, x: Tensor) -> Tensor:
        return self.module(*[x] * self.times, **self.options)[0]


class Position(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.position = nn.Parameter(torch.randn(1, 64, 32))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.position


class Prelude(nn.Module):
    """A function of a value that is not a leaf, as an in-place operation wants."""

    def __init__(self, module: Function) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        return self.module(x * 1)


def math_attention(q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Tensor:
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        return functional.scaled_dot_product_attention(q, k, v, **options)


def _float(*shape: int) -> Callable[[], Tensor]:
    return lambda: torch.randn(*shape).requires_grad_()


def _ids(limit: int, *shape: int) -> Callable[[], Tensor]:
    return lambda: torch.randint(limit, shape)


PICTURE, SEQUENCE, SHORT, FLAT = _float(4, 16, 20, 20), _float(4, 64, 32), _float(4, 5, 32), _float(64, 32)
HEADS = (_float(4, 2, 64, 16),) * 3

Case = tuple[Callable[[], Any], tuple[Callable[[], Tensor], ...]]
CASES: dict[str, Case] = {
    "linear, 2-D": (lambda: nn.Linear(32, 48), (FLAT,)),
    "linear, 2-D, no bias": (lambda: nn.Linear(32, 48, bias=False), (FLAT,)),
    "linear, 3-D": (lambda: nn.Linear(32, 48), (SEQUENCE,)),
    "linear, 3-D, no bias": (lambda: nn.Linear(32, 48, bias=False), (SEQUENCE,)),
    "linear, 3-D, of a transposed tensor": (
        lambda: lambda x, w, b: functional.linear(x.transpose(1, 2), w, b),
        (_float(4, 32, 64), _float(48, 32), _float(48)),
    ),
    "conv2d": (lambda: nn.Conv2d(16, 24, 3, padding=1), (PICTURE,)),
    "conv2d, no bias": (lambda: nn.Conv2d(16, 24, 3, padding=1, bias=False), (PICTURE,)),
    "conv2d, 1x1, no bias": (lambda: nn.Conv2d(16, 24, 1, bias=False), (PICTURE,)),
    "conv2d, stride 2": (lambda: nn.Conv2d(16, 24, 3, stride=2, padding=1), (PICTURE,)),
    "conv2d, depthwise": (lambda: nn.Conv2d(16, 16, 3, padding=1, groups=16, bias=False), (PICTURE,)),
    "conv1d": (lambda: nn.Conv1d(64, 48, 3, padding=1), (SEQUENCE,)),
    "conv_transpose2d": (lambda: nn.ConvTranspose2d(16, 24, 2, stride=2), (PICTURE,)),
    "batch_norm, train": (lambda: nn.BatchNorm2d(16), (PICTURE,)),
    "layer_norm": (lambda: nn.LayerNorm(32), (SEQUENCE,)),
    "group_norm": (lambda: nn.GroupNorm(4, 16), (PICTURE,)),
    "rms_norm, nn.RMSNorm": (lambda: nn.RMSNorm(32), (SEQUENCE,)),
    "rms_norm, by hand": (lambda: HandRMSNorm(32), (SEQUENCE,)),
    "relu": (lambda: functional.relu, (SEQUENCE,)),
    "relu, in place (after x * 1)": (lambda: Prelude(nn.ReLU(inplace=True)), (SEQUENCE,)),
    "relu6": (lambda: functional.relu6, (SEQUENCE,)),
    "relu6, in place (after x * 1)": (lambda: Prelude(nn.ReLU6(inplace=True)), (SEQUENCE,)),
    "hardswish": (lambda: functional.hardswish, (SEQUENCE,)),
    "hardsigmoid": (lambda: functional.hardsigmoid, (SEQUENCE,)),
    "silu": (lambda: functional.silu, (SEQUENCE,)),
    "silu, in place (after x * 1)": (lambda: Prelude(nn.SiLU(inplace=True)), (SEQUENCE,)),
    "gelu": (lambda: functional.gelu, (SEQUENCE,)),
    "gelu, tanh": (lambda: lambda x: functional.gelu(x, approximate="tanh"), (SEQUENCE,)),
    "sigmoid": (lambda: torch.sigmoid, (SEQUENCE,)),
    "tanh": (lambda: torch.tanh, (SEQUENCE,)),
    "softplus": (lambda: functional.softplus, (SEQUENCE,)),
    "leaky_relu": (lambda: functional.leaky_relu, (SEQUENCE,)),
    "softmax": (lambda: lambda x: functional.softmax(x, -1), (SEQUENCE,)),
    "dropout": (lambda: nn.Dropout(0.5), (SEQUENCE,)),
    "dropout, in place (after x * 1)": (lambda: Prelude(nn.Dropout(0.5, inplace=True)), (SEQUENCE,)),
    "max_pool2d": (lambda: nn.MaxPool2d(2), (PICTURE,)),
    "max_pool2d, 3, 2, 1": (lambda: nn.MaxPool2d(3, 2, 1), (PICTURE,)),
    "avg_pool2d": (lambda: nn.AvgPool2d(2), (PICTURE,)),
    "adaptive_avg_pool2d to 1": (lambda: nn.AdaptiveAvgPool2d(1), (PICTURE,)),
    "adaptive_avg_pool2d to 5": (lambda: nn.AdaptiveAvgPool2d(5), (PICTURE,)),
    "mean over the last two axes": (lambda: lambda x: x.mean((2, 3)), (PICTURE,)),
    "mean over the positions": (lambda: lambda x: x.mean(1), (SEQUENCE,)),
    "add": (lambda: torch.add, (SEQUENCE, SEQUENCE)),
    "add, in place (after x * 1)": (lambda: lambda x, y: (x * 1).add_(y), (SEQUENCE, SEQUENCE)),
    "multiply": (lambda: torch.mul, (SEQUENCE, SEQUENCE)),
    "multiply by a gate (B, C, 1, 1)": (lambda: torch.mul, (PICTURE, _float(4, 16, 1, 1))),
    "multiply by a number": (lambda: lambda x: x * 0.5, (SEQUENCE,)),
    "divide by a number": (lambda: lambda x: x / 2.0, (SEQUENCE,)),
    "subtract": (lambda: torch.sub, (SEQUENCE, SEQUENCE)),
    "square by pow": (lambda: lambda x: x.pow(2), (SEQUENCE,)),
    "cat": (lambda: lambda x, y: torch.cat([x, y], 1), (PICTURE, _float(4, 8, 20, 20))),
    "split in 3, added": (
        lambda: lambda x: (lambda a, b, c: a * b + c)(*x.split(32, dim=2)),
        (_float(4, 64, 96),),
    ),
    "chunk in 2, multiplied": (lambda: lambda x: torch.mul(*x.chunk(2, -1)), (_float(4, 64, 64),)),
    "slice x[:, 0]": (lambda: lambda x: x[:, 0], (SEQUENCE,)),
    "slice x[:, 1:]": (lambda: lambda x: x[:, 1:], (SEQUENCE,)),
    "reshape of a permuted tensor": (lambda: lambda x: x.permute(0, 2, 1).reshape(4, 2048), (SEQUENCE,)),
    "transpose": (lambda: lambda x: x.transpose(1, 2), (SEQUENCE,)),
    "view": (lambda: lambda x: x.view(4, 2048), (SEQUENCE,)),
    "embedding": (lambda: nn.Embedding(100, 32), (_ids(100, 4, 64),)),
    "embedding, tied with a linear": (Tied, (_ids(100, 4, 64),)),
    "broadcast add of a position": (Position, (SEQUENCE,)),
    "matmul, batched": (lambda: torch.matmul, (_float(4, 2, 64, 16), _float(4, 2, 16, 64))),
    "matmul with a transpose": (lambda: lambda q, k: q @ k.transpose(-1, -2), HEADS[:2]),
    "masked_fill": (
        lambda: lambda x: x.masked_fill(torch.ones(64, 64, dtype=torch.bool).triu(1), float("-inf")),
        (_float(4, 2, 64, 64),),
    ),
    "attention, fused": (lambda: functional.scaled_dot_product_attention, HEADS),
    "attention, fused, causal": (lambda: lambda *x: functional.scaled_dot_product_attention(*x, is_causal=True), HEADS),
    "attention, math backend": (lambda: math_attention, HEADS),
    "attention, math backend, causal": (lambda: lambda *x: math_attention(*x, is_causal=True), HEADS),
    "attention, fused, causal, grouped": (
        lambda: lambda *x: functional.scaled_dot_product_attention(*x, is_causal=True, enable_gqa=True),
        (_float(4, 4, 64, 16), _float(4, 2, 64, 16), _float(4, 2, 64, 16)),
    ),
    "attention, fused, of views (B, T, H, D)": (
        lambda: lambda *x: functional.scaled_dot_product_attention(*(t.view(4, 64, 2, 16).transpose(1, 2) for t in x)),
        (_float(4, 64, 32),) * 3,
    ),
    "nn.MultiheadAttention": (
        lambda: First(nn.MultiheadAttention(32, 2, batch_first=True), 3, need_weights=False),
        (SEQUENCE,),
    ),
    "nn.RNN": (lambda: First(nn.RNN(32, 24, batch_first=True)), (SHORT,)),
    "nn.GRU": (lambda: First(nn.GRU(32, 24, batch_first=True)), (SHORT,)),
    "nn.LSTM": (lambda: First(nn.LSTM(32, 24, batch_first=True)), (SHORT,)),
    "nn.LSTM, two layers": (lambda: First(nn.LSTM(32, 24, 2, batch_first=True)), (SHORT,)),
    "cross_entropy, 2-D": (lambda: functional.cross_entropy, (_float(64, 100), _ids(100, 64))),
    "cross_entropy, 3-D viewed flat": (
        lambda: lambda x, y: functional.cross_entropy(x.view(-1, x.size(-1)), y.view(-1)),
        (_float(4, 64, 100), _ids(100, 4, 64)),
    ),
    "cross_entropy, dense targets": (lambda: functional.cross_entropy, (_float(64, 100), lambda: torch.rand(64, 100))),
    "mse_loss": (lambda: functional.mse_loss, (FLAT, lambda: torch.randn(64, 32))),
    "binary_cross_entropy": (
        lambda: lambda x, y: functional.binary_cross_entropy(torch.sigmoid(x.float()), y),
        (FLAT, lambda: torch.rand(64, 32)),
    ),
    "binary_cross_entropy_with_logits": (
        lambda: functional.binary_cross_entropy_with_logits,
        (FLAT, lambda: torch.rand(64, 32)),
    ),
    "sum": (lambda: torch.sum, (SEQUENCE,)),
}


ATEN = torch.ops.aten
KERNELS: dict[str, Case] = {  # what a GPU runs, by the shapes its operations declare: read, not run
    "cuda: flash attention (half precision)": (
        lambda: lambda q, k, v: ATEN._scaled_dot_product_flash_attention(q, k, v, 0.0, True)[0],
        HEADS,
    ),
    "cuda: efficient attention (float32 too)": (
        lambda: lambda q, k, v: ATEN._scaled_dot_product_efficient_attention(q, k, v, None, True, 0.0, True)[0],
        HEADS,
    ),
    "cuda: cudnn attention (half precision)": (
        lambda: lambda q, k, v: ATEN._scaled_dot_product_cudnn_attention(q, k, v, None, True, 0.0, True)[0],
        HEADS,
    ),
    "cuda: dropout": (lambda: lambda x: ATEN.native_dropout(x, 0.5, True)[0], (SEQUENCE,)),
    "cuda: batch_norm by cudnn": (
        lambda: lambda x, w, b, m, v: ATEN.cudnn_batch_norm(x, w, b, m, v, True, 0.1, 1e-5)[0],
        (PICTURE, _float(16), _float(16), lambda: torch.zeros(16), lambda: torch.ones(16)),
    ),
}


def section(name: str, precision: str = "float32", device: str = "cpu", *, fake: bool = True, run: bool = True) -> str:
    """Describe one case: what is saved, what stands after the forward pass, the events, and the allocator's rises.

    `precision` is float32, autocast, or low: autocast on inputs in bfloat16 already, as a matrix product leaves them.
    """
    make, inputs = {**CASES, **KERNELS}[name]
    autocast = torch.autocast(device, dtype=torch.bfloat16, enabled=precision != "float32")

    def given_as(x: Tensor) -> Tensor:
        return x.detach().bfloat16().requires_grad_() if precision == "low" and x.requires_grad else x

    def built(fake: bool) -> tuple[Any, list[Tensor]]:
        with FakeTensorMode() if fake else nullcontext(), torch.device(device):
            return make(), [given_as(one()) for one in inputs]

    text = [f"== {name}, {precision}, {device}{'' if fake else ', real'}"]
    module, given = built(fake)
    names = [(f"input.{n}", x) for n, x in enumerate(given)] + held(module)
    text.append("sizes: " + ", ".join(f"{n} {tuple(x.shape)} {x.untyped_storage().nbytes():,} B" for n, x in names))
    mode = given[0].fake_mode if fake else nullcontext()
    with mode, autocast:
        text.append("saved: " + "; ".join(map(str, saved(module, *given))))
    with mode, autocast:
        found = transients(module, *given)
    text.append("after the forward pass: " + "; ".join(found.kept))
    text += ["forward:", *lines(found.forward), "backward:", *lines(found.backward)]
    text.append("rises: forward {:,}, backward {:,}".format(*found.rises))
    if run:
        module, given = built(False)
        with autocast:
            text.append(
                "rises of a real run, by the allocator: forward {:,}, backward {:,}".format(*allocated(module, *given))
            )
    return "\n".join(text)


# The engine: what no single layer shows


class TwoUses(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        h = x * 1
        return (h.sin() + h.exp()).exp()


class Residual(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        h = x * 1
        return (h + h.tanh()).exp()


class Thrice(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        h = x * 1
        return ((h.sin() + h.exp()).exp() + h.tanh()).exp()


class ViewFirst(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        h = x * 1
        return (h.view(-1).sin().view_as(h) + h.tanh()).exp()


FAN_IN: dict[str, Callable[[], Any]] = {
    "two uses": TwoUses,
    "residual: h + tanh(h)": Residual,
    "three uses": Thrice,
    "one use a view": ViewFirst,
}


def training_events(module: nn.Module, x: Tensor, optimizer: str = "none", *, steps: int = 2) -> dict[str, list[Event]]:
    """Return the last step's events by phase, from the reference loop with a mean square as loss."""
    found = measure(module, [x], None, lambda y, _: y.square().mean(), optimizer, accumulate=steps - 1)
    return {phase: [e for e in found.events if e.phase == phase] for phase in ("forward", "backward", "step")}


class Born(nn.Module):
    """Parameters whose gradients come in different ways."""

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.randn(1, 1, 30))
        self.position = nn.Parameter(torch.randn(1, 11, 30))
        self.linear = nn.Linear(30, 70)
        self.back = nn.Parameter(torch.randn(70, 40))
        self.embedding = nn.Embedding(50, 40)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([self.token.expand(4, 1, 30), x], 1) + self.position
        x = self.linear(x).tanh() @ self.back
        return x + self.embedding(torch.arange(11, device=x.device))


def engine() -> list[str]:
    text = ["== fan-in: the backward pass of a value with several uses (|x| = 32,768 B)"]
    for name, module in FAN_IN.items():
        made = module()
        for alone in (True, False):
            with FakeTensorMode():
                x = SEQUENCE()
            with x.fake_mode:
                tracker = Tracker(alone=alone)
                tracker.name(x, "x")
                with tracker:
                    y = made(x)
                    cotangent = torch.ones_like(y)
                    tracker.enter("backward")
                    tracker.reset()
                    torch.autograd.grad(y, [x], cotangent)
            text.append(f"{name}, {'alone' if alone else 'watched'}: rise {rise(tracker.events):,}")
            text += lines(tracker.events) if alone else []
        text.append(f"  the allocator, a real run: {allocated(made, SEQUENCE())[1]:,}")
    text.append("== birth of gradients: second step, one micro-batch; then two (the second adds)")
    for steps in (2, 3):
        with FakeTensorMode():
            module, x = Born(), torch.randn(4, 10, 30)
        text += [f"{name} {tuple(p.shape)} {p.untyped_storage().nbytes():,} B" for name, p in module.named_parameters()]
        text += lines(training_events(module, x, steps=steps)["backward"])
    text.append(
        "== order of release in a chain: linear, relu, linear, relu, linear (widths 100, 101, 102, 103; batch 64)"
    )
    with FakeTensorMode():
        chain = nn.Sequential(nn.Linear(100, 101), nn.ReLU(), nn.Linear(101, 102), nn.ReLU(), nn.Linear(102, 103))
        x = torch.randn(64, 100)
    events = training_events(chain, x)
    text += ["forward:", *lines(events["forward"]), "backward:", *lines(events["backward"])]
    text.append("== the optimizers' second step: one linear of 300 x 200 (240,000 B) and its bias (1,200 B)")
    for name, foreach in itertools.product(OPTIMIZERS, (None, True)):
        with FakeTensorMode():
            module, x = nn.Linear(200, 300), torch.randn(2, 200)
        found = measure(module, [x], None, lambda y, _: y.square().mean(), name, foreach=foreach)
        step = [event for event in found.events if event.phase == "step"]
        title = f"{name}{', foreach (the default on cuda)' if foreach else ''}"
        text += [f"{title}: state {found.state:,} B, rise {rise(step):,} B", *lines(step)]
    return text


def main() -> None:
    if len(sys.argv) > 1 and sys.argv[1] == "engine":
        print("\n".join(engine()))
        return
    chosen = [name for name in CASES if len(sys.argv) == 1 or any(word in name for word in sys.argv[1:])]
    for precision in ("float32", "autocast", "low"):
        for name in chosen:
            print(section(name, precision), end="\n\n", flush=True)
    for name, precision in itertools.product(KERNELS, ("float32", "low")):
        if len(sys.argv) == 1 and not ("half" in name and precision == "float32"):
            print(section(name, precision, run=False), end="\n\n", flush=True)
    for onednn in (True, False):
        for name in chosen:
            if name.startswith(("nn.RNN", "nn.GRU", "nn.LSTM")):
                with torch.backends.mkldnn.flags(enabled=onednn):
                    print(f"oneDNN {onednn}", section(name, fake=False), sep="\n", end="\n\n", flush=True)


if __name__ == "__main__":
    main()
