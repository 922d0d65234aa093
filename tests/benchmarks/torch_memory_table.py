"""What PyTorch holds at the peak of a training step, network by network: `python torch_memory_table.py table.json`.

Under FakeTensorMode: no weights, no GPU; an LSTM also for real. `peak` is the figure of PyTorch with nobody watching,
`watched` that of a tracker in whose presence sums go into new tensors.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

sys.path.insert(0, str(Path(__file__).parents[1]))

from torch_memory import fake_mode, measure, measure_inference
from torch_models import Twin, build

NETWORKS: dict[str, tuple[str, dict[str, str]]] = {
    "resnet18": ("resnet18", {}),
    "resnet50": ("resnet50", {}),
    "vgg16": ("vgg16", {}),
    "mobilenet_v2": ("mobilenet_v2", {}),
    "efficientnet_b0": ("efficientnet_b0", {}),
    "vit_b16": ("vit_b16", {}),
    "vit_b16 fused": ("vit_b16", {"attention": "fused"}),
    "vit_b16 eager": ("vit_b16", {"attention": "eager"}),
    "gpt2_small fused": ("gpt2_small", {"attention": "fused"}),
    "gpt2_small eager": ("gpt2_small", {"attention": "eager"}),
    "bert_base fused": ("bert_base", {"attention": "fused"}),
    "bert_base eager": ("bert_base", {"attention": "eager"}),
    "lstm_lm": ("lstm_lm", {}),
    "lstm_lm, real": ("lstm_lm", {}),
    "lstm_lm, real, without oneDNN": ("lstm_lm", {}),
    "unet": ("unet", {}),
    "llama_block fused": ("llama_block", {"attention": "fused"}),
    "llama_block eager": ("llama_block", {"attention": "eager"}),
    "llama_block grouped": ("llama_block", {"attention": "grouped"}),
    "llama_block fused, nn.RMSNorm": ("llama_block", {"attention": "fused", "norm": "module"}),
}
REAL = {
    "lstm_lm, real": True,
    "lstm_lm, real, without oneDNN": False,
}  # a fake LSTM has no workspace; with oneDNN or not
AXES: dict[str, tuple[Any, ...]] = {
    "batch": (1, 8, 32),
    "optimizer": ("none", "sgd", "adam"),
    "checkpoint": ("none", "blocks"),
    "precision": ("float32", "autocast"),
}
SIZES = ("peak", "phase", "weights", "buffers", "gradients", "state", "data")


def cells(label: str) -> Iterator[dict[str, Any]]:
    name, variants = NETWORKS[label]
    with nullcontext() if label in REAL else FakeTensorMode():
        twin = build(name, **variants)
    with torch.backends.mkldnn.flags(enabled=REAL.get(label, True)):
        yield from measured(label, twin)


def measured(label: str, twin: Twin) -> Iterator[dict[str, Any]]:
    for values in itertools.product(*AXES.values()):
        cell = dict(zip(AXES, values, strict=True))
        if cell["checkpoint"] == "blocks" and not twin.blocks:
            continue
        batch = cell.pop("batch")
        with fake_mode(twin.module):
            inputs, targets = twin.data(batch)
        found = measure(twin.module, inputs, targets, twin.loss, blocks=twin.blocks, **cell)
        watched = measure(twin.module, inputs, targets, twin.loss, blocks=twin.blocks, alone=False, **cell)
        figures = {key: getattr(found, key) for key in SIZES}
        yield {"network": label, "batch": batch, **cell, **figures, "watched": watched.peak, "made": dict(found.made)}
    for batch in AXES["batch"]:
        with fake_mode(twin.module):
            inputs, _ = twin.data(batch)
        found = measure_inference(twin.module, inputs)
        row = {"network": label, "batch": batch, "optimizer": "inference", "checkpoint": "none", "precision": "float32"}
        figures = {key: value for key, value in asdict(found).items() if key in SIZES}
        yield {**row, **figures, "watched": found.peak, "made": dict(found.made)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path, nargs="?", help="write the table here, as JSON")
    parser.add_argument("--network", action="append", choices=sorted(NETWORKS), help="only these")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    if options.network and options.path and options.path.exists():  # the others stay
        rows = [row for row in json.loads(options.path.read_text()) if row["network"] not in options.network]
    for label in options.network or NETWORKS:
        for row in cells(label):
            rows.append(row)
            kept = row["weights"] + row["buffers"] + row["gradients"] + row["state"]
            print(
                f"{label:30} {row['batch']:3} {row['optimizer']:9} {row['checkpoint']:6} {row['precision']:8} "
                f"{row['peak']:14,} {row['phase']:8} {kept:14,}  watched {row['watched']:14,}",
                flush=True,
            )
        if options.path:
            options.path.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
