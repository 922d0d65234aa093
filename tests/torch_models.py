"""The zoo's networks as PyTorch's users write them: torchvision's, nanoGPT's, Hugging Face's idioms, in plain modules.

Each is the network of its spec, parameter for parameter, in training mode. Where the spec leaves something out (dropout
of a language model, stochastic depth), so does the module.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class Twin:
    """A module, its inputs and targets at a batch, its loss, and the blocks that a user would checkpoint."""

    module: nn.Module
    data: Callable[[int], tuple[list[Tensor], Tensor | None]]
    loss: Callable[[Any, Any], Tensor]
    blocks: Sequence[nn.Module]
    extra_parameters: int = 0


def total(output: Tensor, target: None) -> Tensor:
    """Differentiate the sum of the outputs: a spec's `loss: none`."""
    return output.sum()


def next_words(logits: Tensor, target: Tensor) -> Tensor:
    """Average over the batch and the positions, flat, as language models are trained."""
    return functional.cross_entropy(logits.view(-1, logits.size(-1)), target.view(-1))


def pictures(classes: int, side: int = 224) -> Callable[[int], tuple[list[Tensor], Tensor]]:
    return lambda batch: ([torch.randn(batch, 3, side, side)], torch.randint(classes, (batch,)))


def words(vocabulary: int, tokens: int) -> Callable[[int], tuple[list[Tensor], Tensor]]:
    def make(batch: int) -> tuple[list[Tensor], Tensor]:
        return [torch.randint(vocabulary, (batch, tokens))], torch.randint(vocabulary, (batch, tokens))

    return make


# Convolutions, as torchvision writes them


class BasicBlock(nn.Module):
    expansion = 1

    def __init__(self, before: int, width: int, stride: int, downsample: nn.Module | None) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        identity = x
        out = self.conv1(x)
        out = self.bn1(out)
        out = self.relu(out)
        out = self.conv2(out)
        out = self.bn2(out)
        if self.downsample is not None:
            identity = self.downsample(x)
        out += identity
        return self.relu(out)


class Bottleneck(nn.Module):
    expansion = 4

    def __init__(self, before: int, width: int, stride: int, downsample: nn.Module | None) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        identity = x
        out = self.conv1(x)
        out = self.bn1(out)
        out = self.relu(out)
        out = self.conv2(out)
        out = self.bn2(out)
        out = self.relu(out)
        out = self.conv3(out)
        out = self.bn3(out)
        if self.downsample is not None:
            identity = self.downsample(x)
        out += identity
        return self.relu(out)


class ResNet(nn.Module):
    def __init__(self, block: type[BasicBlock] | type[Bottleneck], depths: Sequence[int]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        blocks: list[nn.Module] = []
        before = 64
        for stage, depth in enumerate(depths):
            width = 64 << stage
            for index in range(depth):
                stride = 2 if stage and not index else 1
                after = width * block.expansion
                down = None
                if stride != 1 or before != after:
                    down = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))
                blocks.append(block(before, width, stride, down))
                before = after
        self.layers = nn.Sequential(*blocks)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(before, 1000)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        x = self.bn1(x)
        x = self.relu(x)
        x = self.maxpool(x)
        x = self.layers(x)
        x = self.avgpool(x)
        x = torch.flatten(x, 1)
        return self.fc(x)


def resnet(block: type[BasicBlock] | type[Bottleneck], depths: Sequence[int]) -> Twin:
    module = ResNet(block, depths)
    return Twin(module, pictures(1000), functional.cross_entropy, list(module.layers))


class VGG(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        before = 3
        stages: list[nn.Module] = []
        for width, depth in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
            layers: list[nn.Module] = []
            for _ in range(depth):
                layers += [nn.Conv2d(before, width, 3, padding=1), nn.ReLU(inplace=True)]
                before = width
            stages.append(nn.Sequential(*layers, nn.MaxPool2d(2, 2)))
        self.features = nn.Sequential(*stages)
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096),
            nn.ReLU(True),
            nn.Dropout(),
            nn.Linear(4096, 4096),
            nn.ReLU(True),
            nn.Dropout(),
            nn.Linear(4096, 1000),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        x = self.avgpool(x)
        x = torch.flatten(x, 1)
        return self.classifier(x)


def vgg16() -> Twin:
    module = VGG()
    return Twin(module, pictures(1000), functional.cross_entropy, list(module.features))


def conv_bn(
    before: int, after: int, kernel: int, stride: int, groups: int, activation: Callable[..., nn.Module] | None
) -> nn.Sequential:
    """Stack what torchvision calls Conv2dNormActivation; the activation works in place."""
    layers = [nn.Conv2d(before, after, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(after)]
    return nn.Sequential(*layers, activation(inplace=True)) if activation else nn.Sequential(*layers)


class InvertedResidual(nn.Module):
    def __init__(self, before: int, after: int, stride: int, expand: int) -> None:
        super().__init__()
        self.residual = stride == 1 and before == after
        wide = before * expand
        layers: list[nn.Module] = [conv_bn(before, wide, 1, 1, 1, nn.ReLU6)] if expand != 1 else []
        layers += [
            conv_bn(wide, wide, 3, stride, wide, nn.ReLU6),
            nn.Conv2d(wide, after, 1, bias=False),
            nn.BatchNorm2d(after),
        ]
        self.conv = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.residual else self.conv(x)


class MobileNetV2(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        before = 32
        layers: list[nn.Module] = [conv_bn(3, 32, 3, 2, 1, nn.ReLU6)]
        for expand, width, depth, stride in (
            (1, 16, 1, 1),
            (6, 24, 2, 2),
            (6, 32, 3, 2),
            (6, 64, 4, 2),
            (6, 96, 3, 1),
            (6, 160, 3, 2),
            (6, 320, 1, 1),
        ):
            for index in range(depth):
                layers.append(InvertedResidual(before, width, 1 if index else stride, expand))
                before = width
        self.features = nn.Sequential(*layers, conv_bn(before, 1280, 1, 1, 1, nn.ReLU6))
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, 1000))

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        x = functional.adaptive_avg_pool2d(x, (1, 1))
        x = torch.flatten(x, 1)
        return self.classifier(x)


def mobilenet_v2() -> Twin:
    module = MobileNetV2()
    blocks = [layer for layer in module.features if isinstance(layer, InvertedResidual)]
    return Twin(module, pictures(1000), functional.cross_entropy, blocks)


class SqueezeExcitation(nn.Module):
    def __init__(self, wide: int, squeezed: int) -> None:
        super().__init__()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(wide, squeezed, 1)
        self.fc2 = nn.Conv2d(squeezed, wide, 1)
        self.activation = nn.SiLU(inplace=True)
        self.scale_activation = nn.Sigmoid()

    def _scale(self, x: Tensor) -> Tensor:
        scale = self.avgpool(x)
        scale = self.fc1(scale)
        scale = self.activation(scale)
        scale = self.fc2(scale)
        return self.scale_activation(scale)

    def forward(self, x: Tensor) -> Tensor:
        scale = self._scale(x)
        return scale * x


class MBConv(nn.Module):
    def __init__(self, before: int, after: int, kernel: int, stride: int, expand: int) -> None:
        super().__init__()
        self.residual = stride == 1 and before == after
        wide = before * expand
        layers: list[nn.Module] = [conv_bn(before, wide, 1, 1, 1, nn.SiLU)] if expand != 1 else []
        layers += [
            conv_bn(wide, wide, kernel, stride, wide, nn.SiLU),
            SqueezeExcitation(wide, before // 4),
            conv_bn(wide, after, 1, 1, 1, None),
        ]
        self.block = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        result = self.block(x)
        if self.residual:
            result += x
        return result


class EfficientNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        before = 32
        layers: list[nn.Module] = [conv_bn(3, 32, 3, 2, 1, nn.SiLU)]
        for expand, kernel, stride, width, depth in (
            (1, 3, 1, 16, 1),
            (6, 3, 2, 24, 2),
            (6, 5, 2, 40, 2),
            (6, 3, 2, 80, 3),
            (6, 5, 1, 112, 3),
            (6, 5, 2, 192, 4),
            (6, 3, 1, 320, 1),
        ):
            for index in range(depth):
                layers.append(MBConv(before, width, kernel, 1 if index else stride, expand))
                before = width
        self.features = nn.Sequential(*layers, conv_bn(before, 1280, 1, 1, 1, nn.SiLU))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(0.2, inplace=True), nn.Linear(1280, 1000))

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        x = self.avgpool(x)
        x = torch.flatten(x, 1)
        return self.classifier(x)


def efficientnet_b0() -> Twin:
    module = EfficientNet()
    blocks = [layer for layer in module.features if isinstance(layer, MBConv)]
    return Twin(module, pictures(1000), functional.cross_entropy, blocks)


class DoubleConv(nn.Module):
    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(before, after, 3, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(inplace=True),
            nn.Conv2d(after, after, 3, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(inplace=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class UNet(nn.Module):
    def __init__(self, width: int = 64, depth: int = 4) -> None:
        super().__init__()
        widths = [width << level for level in range(depth + 1)]
        self.left = nn.ModuleList(DoubleConv(a, b) for a, b in zip([3, *widths], widths, strict=False))
        self.pool = nn.MaxPool2d(2)
        downwards = list(zip(reversed(widths), reversed(widths[:-1]), strict=False))
        self.up = nn.ModuleList(nn.ConvTranspose2d(a, b, 2, stride=2) for a, b in downwards)
        self.right = nn.ModuleList(DoubleConv(2 * b, b) for _, b in downwards)
        self.mask = nn.Conv2d(width, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        x1 = self.left[0](x)
        x2 = self.left[1](self.pool(x1))
        x3 = self.left[2](self.pool(x2))
        x4 = self.left[3](self.pool(x3))
        x = self.left[4](self.pool(x4))
        x = self.right[0](torch.cat([x4, self.up[0](x)], 1))
        x = self.right[1](torch.cat([x3, self.up[1](x)], 1))
        x = self.right[2](torch.cat([x2, self.up[2](x)], 1))
        x = self.right[3](torch.cat([x1, self.up[3](x)], 1))
        return self.mask(x)


def unet() -> Twin:
    module = UNet()

    def loss(logits: Tensor, target: Tensor) -> Tensor:
        with torch.autocast(logits.device.type, enabled=False):
            return functional.binary_cross_entropy(torch.sigmoid(logits.float()), target)

    def data(batch: int) -> tuple[list[Tensor], Tensor]:
        return [torch.randn(batch, 3, 256, 256)], torch.rand(batch, 1, 256, 256)

    return Twin(module, data, loss, [*module.left, *module.right])


# Transformers


def heads(x: Tensor, count: int) -> Tensor:
    batch, tokens, width = x.shape
    return x.view(batch, tokens, count, width // count).transpose(1, 2)


def together(x: Tensor) -> Tensor:
    batch, _, tokens, _ = x.shape
    return x.transpose(1, 2).contiguous().view(batch, tokens, -1)


def attend(q: Tensor, k: Tensor, v: Tensor, kind: str, mask: Tensor | None = None) -> Tensor:
    """Attention by the fused operation, or by its parts; `mask` (True: hidden) makes it causal."""
    if kind == "fused":
        return functional.scaled_dot_product_attention(q, k, v, is_causal=mask is not None)
    scores = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
    if mask is not None:
        scores = scores.masked_fill(mask, float("-inf"))
    return functional.softmax(scores, dim=-1) @ v


class Causal(nn.Module):
    """A model with one causal mask for all its layers."""

    mask: Tensor

    def __init__(self, tokens: int) -> None:
        super().__init__()
        self.register_buffer("mask", torch.ones(tokens, tokens, dtype=torch.bool).triu(1), persistent=False)


class VisionAttention(nn.Module):
    """Self-attention as timm writes it: one projection to q, k and v."""

    def __init__(self, width: int, count: int, kind: str) -> None:
        super().__init__()
        self.count, self.kind = count, kind
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, width = x.shape
        qkv = self.qkv(x).reshape(batch, tokens, 3, self.count, width // self.count).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)
        x = attend(q, k, v, self.kind)
        x = x.transpose(1, 2).reshape(batch, tokens, width)
        return self.proj(x)


class EncoderBlock(nn.Module):
    def __init__(self, width: int, count: int, attention: str) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(width, eps=1e-6)
        self.self_attention: nn.Module
        if attention == "module":
            self.self_attention = nn.MultiheadAttention(width, count, batch_first=True)
        else:
            self.self_attention = VisionAttention(width, count, attention)
        self.ln_2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.attention = attention

    def forward(self, input: Tensor) -> Tensor:
        x = self.ln_1(input)
        if self.attention == "module":
            x, _ = self.self_attention(x, x, x, need_weights=False)
        else:
            x = self.self_attention(x)
        x = x + input
        y = self.ln_2(x)
        y = self.mlp(y)
        return x + y


class VisionTransformer(nn.Module):
    def __init__(self, attention: str, width: int = 768, depth: int = 12) -> None:
        super().__init__()
        self.conv_proj = nn.Conv2d(3, width, 16, 16)
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embedding = nn.Parameter(torch.empty(1, 197, width).normal_(std=0.02))
        self.layers = nn.Sequential(*(EncoderBlock(width, 12, attention) for _ in range(depth)))
        self.ln = nn.LayerNorm(width, eps=1e-6)
        self.head = nn.Linear(width, 1000)
        self.width = width

    def forward(self, x: Tensor) -> Tensor:
        batch = x.shape[0]
        x = self.conv_proj(x)
        x = x.reshape(batch, self.width, 196)
        x = x.permute(0, 2, 1)
        x = torch.cat([self.class_token.expand(batch, -1, -1), x], dim=1)
        x = x + self.pos_embedding
        x = self.ln(self.layers(x))
        x = x[:, 0]
        return self.head(x)


def vit_b16(attention: str = "module") -> Twin:
    """Build torchvision's; `attention` is module (nn.MultiheadAttention), fused or eager."""
    module = VisionTransformer(attention)
    return Twin(module, pictures(1000), functional.cross_entropy, list(module.layers))


class GPTBlock(nn.Module):
    def __init__(self, width: int, count: int, kind: str) -> None:
        super().__init__()
        self.count, self.kind, self.width = count, kind, width
        self.ln_1 = nn.LayerNorm(width)
        self.c_attn = nn.Linear(width, 3 * width)
        self.attn_proj = nn.Linear(width, width)
        self.ln_2 = nn.LayerNorm(width)
        self.c_fc = nn.Linear(width, 4 * width)
        self.gelu = nn.GELU()
        self.mlp_proj = nn.Linear(4 * width, width)

    def attention(self, x: Tensor, mask: Tensor) -> Tensor:
        q, k, v = self.c_attn(x).split(self.width, dim=2)
        k = heads(k, self.count)
        q = heads(q, self.count)
        v = heads(v, self.count)
        y = attend(q, k, v, self.kind, mask)
        y = together(y)
        return self.attn_proj(y)

    def mlp(self, x: Tensor) -> Tensor:
        x = self.c_fc(x)
        x = self.gelu(x)
        return self.mlp_proj(x)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = x + self.attention(self.ln_1(x), mask)
        return x + self.mlp(self.ln_2(x))


class GPT(Causal):
    def __init__(self, kind: str, tokens: int = 1024, vocabulary: int = 50257, width: int = 768) -> None:
        super().__init__(tokens)
        self.wte = nn.Embedding(vocabulary, width)
        self.wpe = nn.Embedding(tokens, width)
        self.h = nn.ModuleList(GPTBlock(width, 12, kind) for _ in range(12))
        self.ln_f = nn.LayerNorm(width)
        self.lm_head = nn.Linear(width, vocabulary, bias=False)
        self.wte.weight = self.lm_head.weight

    def forward(self, words: Tensor) -> Tensor:
        positions = torch.arange(words.shape[1], dtype=torch.long, device=words.device)
        tok_emb = self.wte(words)
        pos_emb = self.wpe(positions)
        x = tok_emb + pos_emb
        for block in self.h:
            x = block(x, self.mask)
        x = self.ln_f(x)
        return self.lm_head(x)


def gpt2_small(attention: str = "fused") -> Twin:
    module = GPT(attention)
    return Twin(module, words(50257, 1024), next_words, list(module.h))


class BertLayer(nn.Module):
    def __init__(self, width: int, count: int, kind: str) -> None:
        super().__init__()
        self.count, self.kind = count, kind
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.attention_output = nn.Linear(width, width)
        self.attention_norm = nn.LayerNorm(width, eps=1e-12)
        self.intermediate = nn.Linear(width, 4 * width)
        self.gelu = nn.GELU()
        self.output = nn.Linear(4 * width, width)
        self.output_norm = nn.LayerNorm(width, eps=1e-12)

    def attention(self, x: Tensor) -> Tensor:
        q = heads(self.query(x), self.count)
        k = heads(self.key(x), self.count)
        v = heads(self.value(x), self.count)
        context = attend(q, k, v, self.kind)
        context = together(context)
        out = self.attention_output(context)
        return self.attention_norm(out + x)

    def forward(self, x: Tensor) -> Tensor:
        middle = self.attention(x)
        out = self.intermediate(middle)
        out = self.gelu(out)
        out = self.output(out)
        return self.output_norm(out + middle)


class Bert(nn.Module):
    position_ids: Tensor

    def __init__(self, kind: str, tokens: int = 512, vocabulary: int = 30522, width: int = 768) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(vocabulary, width)
        self.position_embeddings = nn.Embedding(tokens, width)
        self.token_type_embeddings = nn.Embedding(2, width)
        self.register_buffer("position_ids", torch.arange(tokens).expand((1, -1)), persistent=False)
        self.norm = nn.LayerNorm(width, eps=1e-12)
        self.layer = nn.ModuleList(BertLayer(width, 12, kind) for _ in range(12))
        self.pooler = nn.Linear(width, width)

    def forward(self, words: Tensor, sentences: Tensor) -> Tensor:
        embeddings = self.word_embeddings(words)
        embeddings = embeddings + self.token_type_embeddings(sentences)
        embeddings = embeddings + self.position_embeddings(self.position_ids)
        x = self.norm(embeddings)
        for layer in self.layer:
            x = layer(x)
        return torch.tanh(self.pooler(x[:, 0]))


def bert_base(attention: str = "fused") -> Twin:
    module = Bert(attention)

    def data(batch: int) -> tuple[list[Tensor], None]:
        return [torch.randint(30522, (batch, 512)), torch.randint(2, (batch, 512))], None

    return Twin(module, data, total, list(module.layer))


class LlamaRMSNorm(nn.Module):
    def __init__(self, width: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        dtype = x.dtype
        x = x.to(torch.float32)
        variance = x.pow(2).mean(-1, keepdim=True)
        x = x * torch.rsqrt(variance + self.eps)
        return self.weight * x.to(dtype)


class LlamaBlock(nn.Module):
    def __init__(
        self, width: int, count: int, kv_count: int, hidden: int, kind: str, norm: Callable[[int], nn.Module]
    ) -> None:
        super().__init__()
        self.count, self.kv_count, self.kind = count, kv_count, kind
        kv_width = width // count * kv_count
        self.q_proj = nn.Linear(width, width, bias=False)
        self.k_proj = nn.Linear(width, kv_width, bias=False)
        self.v_proj = nn.Linear(width, kv_width, bias=False)
        self.o_proj = nn.Linear(width, width, bias=False)
        self.gate_proj = nn.Linear(width, hidden, bias=False)
        self.up_proj = nn.Linear(width, hidden, bias=False)
        self.down_proj = nn.Linear(hidden, width, bias=False)
        self.input_layernorm, self.post_attention_layernorm = norm(width), norm(width)

    def repeat(self, x: Tensor) -> Tensor:
        batch, count, tokens, width = x.shape
        times = self.count // self.kv_count
        return x[:, :, None].expand(batch, count, times, tokens, width).reshape(batch, count * times, tokens, width)

    def attention(self, x: Tensor, mask: Tensor) -> Tensor:
        q = heads(self.q_proj(x), self.count)
        k = heads(self.k_proj(x), self.kv_count)
        v = heads(self.v_proj(x), self.kv_count)
        if self.kind == "grouped":
            y = functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        else:
            y = attend(q, self.repeat(k), self.repeat(v), self.kind, mask)
        return self.o_proj(together(y))

    def mlp(self, x: Tensor) -> Tensor:
        return self.down_proj(functional.silu(self.gate_proj(x)) * self.up_proj(x))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        residual = x
        x = self.input_layernorm(x)
        x = self.attention(x, mask)
        x = residual + x
        residual = x
        x = self.post_attention_layernorm(x)
        x = self.mlp(x)
        return residual + x


class Llama(Causal):
    def __init__(self, kind: str, norm: Callable[[int], nn.Module], tokens: int = 512, width: int = 2048) -> None:
        super().__init__(tokens)
        self.layers = nn.ModuleList(LlamaBlock(width, 32, 8, 5632, kind, norm) for _ in range(4))
        self.norm = norm(width)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x, self.mask)
        return self.norm(x)


def llama_block(attention: str = "fused", norm: str = "hand") -> Twin:
    """Build Hugging Face's; `attention`: fused or eager (keys and values repeated), grouped; `norm`: hand, module."""
    module = Llama(attention, LlamaRMSNorm if norm == "hand" else partial(nn.RMSNorm, eps=1e-6))
    return Twin(module, lambda batch: ([torch.randn(batch, 512, 2048)], None), total, list(module.layers))


# Recurrence


class WordLSTM(nn.Module):
    def __init__(self, vocabulary: int = 10000, width: int = 200) -> None:
        super().__init__()
        self.encoder = nn.Embedding(vocabulary, width)
        self.rnn = nn.LSTM(width, width, num_layers=2, batch_first=True)
        self.decoder = nn.Linear(width, vocabulary)

    def forward(self, words: Tensor) -> Tensor:
        x = self.encoder(words)
        x, _ = self.rnn(x)
        return self.decoder(x)


def lstm_lm() -> Twin:
    """nn.LSTM has two biases for each gate, the spec one."""
    return Twin(WordLSTM(), words(10000, 20), next_words, [], extra_parameters=2 * 4 * 200)


MODELS: dict[str, Callable[..., Twin]] = {
    "resnet18": partial(resnet, BasicBlock, (2, 2, 2, 2)),
    "resnet50": partial(resnet, Bottleneck, (3, 4, 6, 3)),
    "vgg16": vgg16,
    "mobilenet_v2": mobilenet_v2,
    "efficientnet_b0": efficientnet_b0,
    "vit_b16": vit_b16,
    "gpt2_small": gpt2_small,
    "bert_base": bert_base,
    "lstm_lm": lstm_lm,
    "unet": unet,
    "llama_block": llama_block,
}


def build(name: str, **variants: str) -> Twin:
    """Build a network's twin; inside FakeTensorMode it has shapes and no numbers."""
    return MODELS[name](**variants)
