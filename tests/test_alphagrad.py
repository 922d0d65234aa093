"""The perceptron and the encoder of AlphaGrad (Lohoff & Neftci 2024), beside the best orders that its evaluation draws.

A ``positional`` layer in front makes the input a parameter too: dL/dP = dL/dx. The target is left out.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import gradcost
from gradcost.formula import CATEGORIES
from gradcost.graph import rule_of

DRAWN = {"perceptron": 392, "encoder": 4688}  # multiplies of the best orders there
INPUT = {"name": "x", "type": "positional"}
PERCEPTRON: dict[str, Any] = {
    "input": {"shape": [4]},
    "layers": [
        INPUT,
        {"name": "hidden", "type": "dense", "units": 8, "activation": "tanh"},
        {"type": "layernorm"},
        {"name": "logits", "type": "dense", "units": 4, "activation": "tanh"},
    ],
    "loss": "softmax_ce",
}


def encoder_block(number: int, source: str, units: int) -> list[dict[str, Any]]:
    """Return softmax(q k^T) v, with its input added, a norm, and a dense layer, on four positions of width four."""
    q, k, v, scores, weights, mixed, added = (
        f"{name}{number}" for name in ("q", "k", "v", "scores", "weights", "mixed", "added")
    )
    dense = {"type": "dense", "units": 4, "bias": False, "from": source}
    return [
        *({"name": name, **dense} for name in (q, k, v)),
        {"name": scores, "type": "matmul", "transpose": True, "from": [q, k]},
        {"name": weights, "type": "activation", "activation": "softmax"},
        {"name": mixed, "type": "matmul", "from": [weights, v]},
        {"name": added, "type": "add", "from": [source, mixed]},
        {"type": "layernorm"},
        {"name": f"z{number}", "type": "dense", "units": units, "activation": "silu"},
    ]


ENCODER: dict[str, Any] = {
    "input": {"shape": [4, 4]},
    "layers": [INPUT, *encoder_block(1, "x", 4), *encoder_block(2, "z1", 2)],
    "loss": "mse",
}


def products(spec: dict[str, Any], **target: Any) -> int:
    """Return the multiplies of optimal's products, as an elimination counts them: without values, slopes and loss."""
    analysis = gradcost.study(spec, measure=True, **target)
    report = analysis.report
    assert not report.mismatches
    optimal = report.strategies["optimal"]
    assert optimal.predicted.multiplies == min(s.predicted.multiplies for s in report.strategies.values() if s.exact)
    given: int = sum(optimal.phase(phase).multiplies for phase in ("primal", "derivative", "loss"))
    for step in analysis.plans["optimal"].segments[0].program.steps:
        if step.rule == "vjp_fused":  # which makes the slope as it pulls
            given += rule_of(step.owner, "derivative").cost.evaluate(step.term.dims)[CATEGORIES.index("multiplies")]
    total: int = optimal.predicted.multiplies
    return total - given


@pytest.mark.parametrize(
    ("name", "spec", "target", "multiplies"),
    [
        ("perceptron", PERCEPTRON, {}, 180),
        ("encoder", ENCODER, {}, 1728),
        ("encoder", ENCODER, {"outputs": "z2"}, 13760),
    ],
)
def test_products_beside_the_best_order_drawn(
    name: str, spec: dict[str, Any], target: dict[str, str], multiplies: int
) -> None:
    assert products(spec, **target) == multiplies
    page = (Path(__file__).parent.parent / "docs" / "mathematics.md").read_text(encoding="utf-8")
    rows = re.findall(rf"^\| {name}, .* \| ([\d,]+) \| ([\d,]+) \|$", page, re.MULTILINE)
    assert (f"{multiplies:,}", f"{DRAWN[name]:,}") in rows
