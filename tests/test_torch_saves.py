"""What our table says that derivatives read, against PyTorch's own statement of it, which ships in its wheel."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from gradcost.memory_of.operations import OPERATIONS

torchgen = pytest.importorskip("torchgen")

OWN = {"gru", "lstm", "rnn"}  # a module's steps, which PyTorch has no single operation for
SIZES_ALONE = (
    r"\.\s*(?:sym_)?(?:sizes|size|options|scalar_type|dim|layout|strides|numel|device|suggest_memory_format)\("
)
ABSENT = {  # optional operands that no layer of ours has, and arrays of a few bytes
    "attn_mask",
    "attn_bias",
    "running_mean",
    "running_var",
    "cum_seq_q",
    "cum_seq_k",
    "rng_state",
    "unused",
    "philox_seed",
    "philox_offset",
    "dropout_state",
    "total_weight",
}
ELSEWHERE = {"log_sumexp": "logsumexp", "result4": "weight0", "hx": "hx_", "cx": "cx_"}


def entries() -> dict[str, dict[str, Any]]:
    file = Path(torchgen.__file__).parent / "packaged" / "autograd" / "derivatives.yaml"
    return {entry["name"].partition("(")[0]: entry for entry in yaml.safe_load(file.read_text())}


ENTRIES = entries()


def read(entry: dict[str, Any], name: str) -> set[str]:
    """Return the tensors that the derivative by one operand reads, as PyTorch's generator finds them."""
    rows = entry.get("dispatch", {}).get("Default", entry)
    (formula,) = (text for key, text in rows.items() if name in re.split(r",\s*", key))
    formula = re.sub(r"to_args_\w+\(tensors\)", "", formula)
    formula = re.sub(rf"\b\w+(?:->|){SIZES_ALONE}", "(", formula.replace("->", "."))
    signature = entry["name"].partition("->")
    tensors = set(re.findall(r"Tensor(?:\([a-z]!?\))?(?:\[\])?\??(?:\[\])? (\w+)", signature[0]))
    results = set(re.findall(r"Tensor (\w+)", signature[2])) | {"result"} | {f"result{i}" for i in range(5)}
    return {word for word in re.findall(r"\b[a-z_]\w*\b", formula) if word in tensors | results} - {"grad", "grads"}


@pytest.mark.parametrize("name", sorted(OPERATIONS.keys() - OWN))
def test_the_table_reads_what_derivatives_yaml_reads(name: str) -> None:
    row = OPERATIONS[name]
    key = {"masked_fill": "masked_fill.Scalar"}.get(name, name)
    for operand, ours in row.reads.items():
        own = {"weight0": "weight", "weight1": "weight", "weight2": "weight"}.get(operand, operand)
        theirs = read(ENTRIES[key], own if name == "_cudnn_rnn" else operand)
        theirs = {ELSEWHERE.get(word, word) for word in theirs} - ABSENT
        if name == "_cudnn_rnn":
            theirs = theirs - {"weight"} | {"weight0", "weight1", "weight2"}
        if name in ("nll_loss_forward", "binary_cross_entropy"):
            theirs -= {"weight"}  # of the classes: there is none
        assert set(ours.split()) == theirs, operand
