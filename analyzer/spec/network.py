"""The network spec as a whole: its own keys, its variables and inputs, and its layers, unrolled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gradcost.errors import SpecError
from gradcost.spec import foreign
from gradcost.spec.expressions import substitute
from gradcost.spec.fields import MAX_SIZE, TARGETS, Choice, Int, Sizes, Text, check_keys, read_mapping
from gradcost.spec.located import Located, describe
from gradcost.spec.source import read_source
from gradcost.spec.training import read_training
from gradcost.spec.unroll import LayerEntry, check_name, read_blocks, unroll
from gradcost.units import DTYPES, Shape

_UNROLLED = ("vars", "blocks", "layers")  # their expressions may read variables of inner scopes
_NETWORK_KEYS = (
    "name",
    "dtype",
    "batch",
    "vars",
    "input",
    "inputs",
    "blocks",
    "layers",
    "loss",
    "targets",
    "training",
)


@dataclass(frozen=True, slots=True)
class InputSpec:
    """An input of the network.

    Attributes:
        shape: without the batch axis.
        vocabulary: for inputs that hold tokens, whole numbers from 0 on, how many there are.
    """

    shape: Shape
    vocabulary: int | None = None


_INPUT_FIELDS = {"shape": Sizes(), "vocabulary": Int(None)}


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """A network spec whose structure has been checked; layer options are still to be read by their types.

    Attributes:
        wrt: what is differentiated by: ``params``, ``inputs``, or the name of a layer, block or input.
        outputs: what is differentiated: ``loss``, or the name of a layer, whose whole output it is then.
        loss_where: the loss's place.
        targets: what a loss that may read classes reads: ``classes`` or ``dense``; None: as it is by itself.
        targets_where: the place of that.
        across_batch: whether a Jacobian is that of a whole batch of outputs by a whole batch of inputs, and not one for
            each sample.
        training: the choices that ``training:`` makes (see ``SETTINGS``).
    """

    name: str
    dtype: str
    batch: int
    inputs: Mapping[str, InputSpec]
    layers: tuple[LayerEntry, ...]
    loss: str
    where: str
    wrt: str = "params"
    outputs: str = "loss"
    loss_where: str = ""
    targets: str | None = None
    targets_where: str = ""
    across_batch: bool = False
    training: Mapping[str, Any] = field(default_factory=dict)

    def overridden(
        self,
        *,
        batch: int | None = None,
        dtype: str | None = None,
        wrt: str | None = None,
        outputs: str | None = None,
        across_batch: bool | None = None,
    ) -> NetworkSpec:
        """Return the spec with what is given in its place. Raises ``SpecError`` for what is not allowed."""
        changed = replace(self, wrt=wrt or self.wrt, outputs=outputs or self.outputs)
        if across_batch is not None:
            changed = replace(changed, across_batch=across_batch)
        if batch is not None:
            changed = replace(changed, batch=Int().read(Located(batch, "batch"), "batch"))
        if dtype is not None:
            changed = replace(changed, dtype=_DTYPE.read(Located(dtype, "dtype"), "dtype"))
        return changed


_DTYPE = Choice("float64", DTYPES, foreign.DTYPES)


def read_spec(source: str | Path | Mapping[str, Any]) -> NetworkSpec:
    """Read a network spec from wherever ``read_source`` finds it.

    Raises:
        SpecError: the spec cannot be used; the message names the place and the mend.
    """
    read = read_source(source)
    return _network(read.root, read.name)


def _network(root: Located, default_name: str) -> NetworkSpec:
    check_keys(root, _NETWORK_KEYS, "the network spec")
    variables = _variables(root.value.get("vars"))
    present = {key: item if key in _UNROLLED else substitute(item, variables) for key, item in root.value.items()}
    root = Located(present, root.where, root.keys)
    values = read_mapping(
        Located({k: v for k, v in present.items() if k in ("name", "dtype", "batch")}, root.where, root.keys),
        {"name": Text(default_name), "dtype": _DTYPE, "batch": Int(1)},
        "the network spec",
    )
    loss = present.get("loss", Located(None, root.where))
    values["loss"] = "none" if loss.value is None else Text().read(loss, "loss")
    targets = present.get("targets")
    if targets is not None:
        values |= {"targets": TARGETS.read(targets, "targets"), "targets_where": targets.where}
    inputs = _inputs(root)
    if "layers" not in present:
        raise root.error("the network spec needs the key 'layers'")
    values["training"] = read_training(present["training"]) if "training" in present else {}
    entries = unroll(present["layers"], read_blocks(present.get("blocks")), list(inputs), variables)
    _refuse_unused(entries, inputs, root)
    return NetworkSpec(inputs=inputs, layers=entries, where=root.where, loss_where=loss.where, **values)


def _variables(node: Located | None) -> dict[str, int]:
    """Read ``vars``: whole numbers, or expressions of those above them."""
    variables: dict[str, int] = {}
    if node is None:
        return variables
    if not isinstance(node.value, dict):
        raise node.error(f"vars must map names to whole numbers, not {describe(node.value)}")
    for name, item in node.value.items():
        check_name(name, node.keys[name])
        variables[name] = Int(minimum=-MAX_SIZE).read(substitute(item, variables), name)
    return variables


def _inputs(root: Located) -> dict[str, InputSpec]:
    present = root.value
    if ("input" in present) == ("inputs" in present):
        raise root.error("give either `input: {shape: [3]}` or `inputs: {left: [3], right: [4]}`")
    if "input" in present:
        return {"input": InputSpec(**read_mapping(present["input"], _INPUT_FIELDS, "input"))}
    node = present["inputs"]
    if not isinstance(node.value, dict) or not node.value:
        raise node.error("inputs must map names to shapes, as in {left: [3], right: [4]}")
    shapes = {}
    for name, shape in node.value.items():
        check_name(name, node.keys[name])
        if isinstance(shape.value, dict):
            shapes[name] = InputSpec(**read_mapping(shape, _INPUT_FIELDS, f"input {name!r}"))
        else:
            shapes[name] = InputSpec(Sizes().read(shape, f"the shape of input {name!r}"))
    return shapes


def _refuse_unused(entries: tuple[LayerEntry, ...], inputs: Mapping[str, InputSpec], root: Located) -> None:
    used = {source for entry in entries for source in entry.sources}
    for entry in entries[:-1]:
        if entry.name not in used:
            raise entry.error("its output is never used (the network's output is the last layer); use or remove it")
    for name in inputs:
        if name not in used:
            raise SpecError(root.keys.get("inputs", root.where), f"the input {name!r} is never used; use or remove it")
