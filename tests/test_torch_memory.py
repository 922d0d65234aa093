"""The witness of PyTorch's memory, held against PyTorch's own tracker, a real run and the CPU allocator's record."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import yaml

import gradcost
from gradcost.configs import read

torch = pytest.importorskip("torch", minversion="2.6")

from torch import nn  # noqa: E402
from torch._subclasses.fake_tensor import FakeTensorMode  # noqa: E402

import torch_memory as memory  # noqa: E402
import torch_models as models  # noqa: E402
import torch_probe as probe  # noqa: E402


def spec(name: str) -> Any:
    own = Path(__file__).parent / "specs" / f"{name}.yaml"
    return yaml.safe_load(own.read_text() if own.exists() else read(f"zoo/{name}"))


def twin(name: str, batch: int, **variants: str) -> tuple[models.Twin, Any, Any]:
    with FakeTensorMode() as mode:
        made = models.build(name, **variants)
    with mode:
        return made, *made.data(batch)


@pytest.mark.parametrize("name", models.MODELS)
def test_a_twin_has_its_specs_parameters(name: str) -> None:
    made, _, _ = twin(name, 1)
    count = sum(parameter.numel() for parameter in made.module.parameters())
    assert count == gradcost.load(spec(name)).parameters + made.extra_parameters


def mem_tracker(made: models.Twin, inputs: Any, targets: Any, optimizer: str) -> int:
    """Return the second step's peak by PyTorch's own tracker."""
    from torch.distributed._tools.mem_tracker import MemTracker

    with memory.fake_mode(made.module):
        made.module.zero_grad()
        chosen = memory.OPTIMIZERS[optimizer](made.module.parameters())
        tracker = MemTracker()
        tracker.track_external(made.module, chosen, *inputs, *memory.tensors(targets))
        with tracker:
            steps = memory.train(made.module, inputs, targets, made.loss, chosen, enter=lambda phase: None)
            next(steps)
            tracker.reset_mod_stats()
            tracker._peak_mem, tracker._peak_mem_snap = {}, {}
            next(steps)
        (found,) = tracker.get_tracker_snapshot("peak").values()
        made.module.zero_grad()
        return int(found["Total"])


@pytest.mark.parametrize(
    ("name", "batch", "optimizer"),
    [
        ("resnet18", 8, "sgd"),
        ("vgg16", 1, "adam"),
        ("vit_b16", 8, "adam"),
        ("gpt2_small", 1, "sgd"),
        ("lstm_lm", 32, "adam"),
    ],
)
def test_pytorchs_tracker_sees_the_same_peak(name: str, batch: int, optimizer: str) -> None:
    made, inputs, targets = twin(name, batch)
    ours = memory.measure(made.module, inputs, targets, made.loss, optimizer, alone=False)
    assert abs(ours.peak - mem_tracker(made, inputs, targets, optimizer)) <= 0.01 * 2**20


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(32)
        self.first, self.second, self.head = nn.Linear(32, 128), nn.Linear(128, 32), nn.Linear(32, 10)

    def forward(self, x: Any) -> Any:
        x = x + self.second(torch.nn.functional.gelu(self.first(self.norm(x))))
        return self.head(x.mean(1))


@pytest.mark.parametrize("precision", ["float32", "autocast", "bfloat16"])
@pytest.mark.parametrize("optimizer", ["none", "adam", "adafactor"])
def test_a_fake_run_is_a_real_one(precision: str, optimizer: str) -> None:
    peaks = []
    for fake in (True, False):
        with FakeTensorMode() if fake else nullcontext():
            module, x, y = Small(), torch.randn(8, 64, 32), torch.randint(10, (8,))
        found = memory.measure(module, [x], y, nn.functional.cross_entropy, optimizer, precision)
        peaks.append((found.peak, found.phase, found.kept))
    assert peaks[0] == peaks[1]


@pytest.mark.parametrize(
    "name",
    [
        "linear, 3-D",
        "linear, 3-D, of a transposed tensor",
        "relu6, in place (after x * 1)",
        "layer_norm",
        "rms_norm, by hand",
    ],
)
def test_the_allocators_record_of_a_real_run(name: str) -> None:
    """With nobody watching: what a dispatch mode alone makes PyTorch allocate is not in the witness's figures."""
    make, inputs = probe.CASES[name]
    module, given = make(), [one() for one in inputs]
    ours, allocator = probe.transients(module, *given).rises, probe.allocated(module, *given)
    assert ours == pytest.approx(allocator, abs=1024)


@pytest.mark.parametrize("name", probe.FAN_IN)
def test_gradients_of_several_uses_are_summed_as_when_nobody_watches(name: str) -> None:
    module, x = probe.FAN_IN[name](), torch.randn(4, 64, 32, requires_grad=True)
    assert probe.transients(module, x).rises == pytest.approx(probe.allocated(module, x), abs=1024)


def test_a_users_sum_is_a_tensor_of_its_own() -> None:
    """`x + f(x)` writes into no one, whoever else holds x."""
    x = torch.randn(4, 64, 32, requires_grad=True)

    def block(x: Any) -> Any:
        return x + nn.functional.layer_norm(x, (32,))

    found = probe.transients(lambda x: block(x * 1), x)
    assert rise_of(found, "add.Tensor") == 4 * 64 * 32 * 4


def rise_of(found: probe.Transients, operation: str) -> int:
    return sum(event.change for event in found.forward if event.operation == operation and event.change > 0)
