"""from_torch: modules keep parameters and MACs, beside PyTorch's own counter (extra `torch`)."""

from __future__ import annotations

import io
import warnings
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest

import gradcost

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore")
nn: Any = torch.nn


def counted(module: Any, *inputs: Any) -> int:
    """PyTorch's MACs of the primal; its fused attention, which it does not count, switched off."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    torch.backends.mha.set_fastpath_enabled(False)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        module(*inputs)
    return int(counter.get_total_flops()) // 2


def check(module: Any, *inputs: Any, macs: int | None = None) -> gradcost.Report:
    imported = gradcost.from_torch(module, inputs, loss="mse")
    import yaml

    for spec in (imported.spec, yaml.safe_load(imported.yaml)):
        report = gradcost.analyze(spec, strategies=["reverse"], measure=True)
        assert not report.mismatches
        assert report.network.parameters == sum(p.numel() for p in module.parameters())
        assert report.primal.predicted.macs == (counted(module, *inputs) if macs is None else macs)
    return report


class Block(nn.Module):  # type: ignore[misc]
    """Convolutions, a gate, a residual: what image networks are made of."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.one = nn.Conv2d(channels, channels, 3, padding=1, groups=2, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.gate = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Any) -> Any:
        y = torch.relu(self.norm(self.one(x)))
        gate = torch.sigmoid(self.gate(y.mean((2, 3), keepdim=True)))
        return x + nn.functional.silu(y * gate)


class Text(nn.Module):  # type: ignore[misc]
    """A small GPT with tied embeddings, written by hand."""

    def __init__(self, depth: int = 3, words: int = 20, length: int = 6, width: int = 8) -> None:
        super().__init__()
        self.table, self.places = nn.Embedding(words, width), nn.Embedding(length, width)
        parts = {"norm": nn.LayerNorm(width), "qkv": nn.Linear(width, 3 * width), "out": nn.Linear(width, width)}
        self.blocks = nn.ModuleList(
            nn.ModuleDict({name: type(part)(*shape) for name, part, shape in self._parts(parts, width)})
            for _ in range(depth)
        )
        self.head = nn.Linear(width, words, bias=False)
        self.head.weight = self.table.weight

    @staticmethod
    def _parts(parts: dict[str, Any], width: int) -> list[Any]:
        shapes = {"norm": (width,), "qkv": (width, 3 * width), "out": (width, width)}
        return [(name, part, shapes[name]) for name, part in parts.items()]

    def forward(self, x: Any) -> Any:
        batch, length = x.shape
        y = self.table(x) + self.places(torch.arange(length))
        for block in self.blocks:
            parts = block["qkv"](block["norm"](y)).chunk(3, dim=-1)
            q, k, v = (part.view(batch, length, 2, -1).transpose(1, 2) for part in parts)
            mixed = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            y = y + block["out"](mixed.transpose(1, 2).reshape(batch, length, -1))
        return self.head(y)


@pytest.mark.parametrize("batch", [1, 2])
def test_image_networks(batch: int) -> None:
    module = nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2), Block(4), nn.MaxPool2d(2), nn.ConvTranspose2d(4, 6, 2, stride=2),
        nn.GroupNorm(2, 6), nn.Hardswish(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(24, 5),
    ).eval()  # fmt: skip
    report = check(module, torch.randn(batch, 3, 12, 12))
    assert report.network.batch == batch


def test_repeated_blocks_are_folded() -> None:
    module = nn.Sequential(nn.Linear(6, 4), *(nn.Sequential(nn.Linear(4, 4), nn.GELU()) for _ in range(6))).eval()
    imported = gradcost.from_torch(module, (torch.randn(2, 6),))
    assert "activation: gelu" in imported.yaml
    check(module, torch.randn(2, 6))


@pytest.mark.parametrize("batch", [1, 3])
def test_text_networks_with_tied_embeddings(batch: int) -> None:
    imported = gradcost.from_torch(Text().eval(), (torch.zeros(batch, 6, dtype=torch.long),))
    assert "repeat: 3" in imported.yaml
    assert imported.spec["layers"][-1]["share"] == "table"
    check(Text().eval(), torch.randint(0, 20, (batch, 6)))


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("batch", [1, 2])
def test_the_frameworks_own_transformer(first: bool, batch: int) -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=first)
    check(nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval(), torch.randn(batch, 5, 8))


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_recurrent_networks(kind: str) -> None:
    class Last(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.layers = getattr(nn, kind)(3, 4, 2, batch_first=True)

        def forward(self, x: Any) -> Any:
            return self.layers(x)[0][:, -1]

    gates = {"RNN": 1, "LSTM": 4, "GRU": 3}[kind]
    check(Last().eval(), torch.randn(2, 5, 3), macs=2 * 5 * gates * 4 * (3 + 4 + 4 + 4))


def test_training_and_freezing_are_kept() -> None:
    module = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.25), nn.Linear(4, 2))
    module[0].requires_grad_(False)
    layers = gradcost.from_torch(module.train(), (torch.randn(2, 4),)).spec["layers"]
    assert [layer["type"] for layer in layers] == ["dense", "dropout", "dense"]
    assert [layer.get("trainable", True) for layer in layers] == [False, True, True]
    norm = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2)).train()
    layers = gradcost.from_torch(norm, (torch.randn(2, 1, 3, 3),)).spec["layers"]
    assert layers[1]["statistics"] == "batch"


def test_what_has_no_counterpart_is_named_with_its_place() -> None:
    class Odd(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.part = nn.Linear(3, 3)

        def forward(self, x: Any) -> Any:
            return torch.cumsum(self.part(x), 1) + torch.fft.fft(x).real

    with pytest.raises(gradcost.UsageError) as raised:
        gradcost.from_torch(Odd(), (torch.randn(2, 3),))
    assert "cumsum.default at Odd, [2, 3]: no layer type does this" in str(raised.value)
    assert "fft" in str(raised.value)
    with pytest.raises(gradcost.UsageError, match="example_inputs"):
        gradcost.from_torch(nn.Linear(2, 2), ())


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "efficientnet_b0", "vit_b_16", "densenet121"])
def test_published_networks(name: str) -> None:
    models = pytest.importorskip("torchvision").models
    module = getattr(models, name)(weights=None).eval()
    image = torch.randn(1, 3, 224, 224)
    imported = gradcost.from_torch(module, (image,))
    report = gradcost.analyze(imported.spec, strategies=["reverse"], measure=False)
    assert report.network.parameters == sum(p.numel() for p in module.parameters())
    assert report.primal.predicted.macs == counted(module, image)


@pytest.mark.parametrize("module", [Text(), Block(4), nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)])
def test_an_exported_file_has_the_same_macs(module: Any, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    module.eval()
    inputs = {
        Text: torch.zeros(2, 6, dtype=torch.long),
        Block: torch.randn(2, 4, 6, 6),
        nn.TransformerEncoderLayer: torch.randn(2, 5, 8),
    }[type(module)]
    path = tmp_path / "m.onnx"
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        torch.onnx.export(module, (inputs,), str(path), dynamo=True)
    report = gradcost.analyze(gradcost.from_onnx(path).spec, strategies=["reverse"], measure=True)
    assert not report.mismatches
    assert report.primal.predicted.macs == counted(module, inputs)
