"""Random network specs for property-based tests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod
from typing import Any

import pytest
from hypothesis import strategies as st

from gradcost.graph import Layer
from gradcost.layers.activations import ACTIVATIONS
from gradcost.layers.columns import Columns
from gradcost.strategies import Options
from gradcost.units import DTYPES

SMOOTH = ("sigmoid", "tanh", "gelu", "silu", "softplus", "softmax", "identity")
Shape = tuple[int, ...]


@st.composite
def dense_chains(draw: st.DrawFn) -> dict[str, Any]:
    """Sigmoid chains, whose figures docs/mathematics.md has in full: widths 1-8, depth 1-6, batch 1-4."""
    widths = draw(st.lists(st.integers(1, 8), min_size=2, max_size=7))
    bias = draw(st.booleans())
    return {
        "batch": draw(st.integers(1, 4)),
        "dtype": draw(st.sampled_from(("float32", "float64"))),
        "input": {"shape": [widths[0]]},
        "layers": [{"type": "dense", "units": n, "activation": "sigmoid", "bias": bias} for n in widths[1:]],
        "loss": draw(st.sampled_from(("bce", "mse", "none"))),
    }


@st.composite
def networks(draw: st.DrawFn, activations: tuple[str, ...] = ACTIVATIONS, tokens: bool = True) -> dict[str, Any]:
    """Networks of many layer types: several inputs, branches that rejoin, frozen layers, shapes of one to three axes.

    Without ``tokens`` every input has a derivative.
    """
    shapes: dict[str, Shape] = {}
    for i in range(draw(st.integers(1, 2))):
        shapes[f"in{i}"] = tuple(draw(st.lists(st.integers(1, 4), min_size=1, max_size=2)))
    inputs: dict[str, Any] = {name: list(shape) for name, shape in shapes.items()}
    layers: list[dict[str, Any]] = []
    unused = list(shapes)

    def add(layer: dict[str, Any], sources: list[str], shape: Shape) -> str:
        name = f"l{len(layers)}"
        layers.append({"name": name, "from": sources, **layer})
        shapes[name] = shape
        for source in sources:
            if source in unused:
                unused.remove(source)
        unused.append(name)
        return name

    def dense(source: str, units: int) -> str:
        layer: dict[str, Any] = {"type": "dense", "units": units, "bias": draw(st.booleans())}
        layer |= {"activation": draw(st.sampled_from(activations)), "trainable": draw(st.integers(0, 3)) > 0}
        return add(layer, [source], (*shapes[source][:-1], units))

    if tokens and draw(st.integers(0, 3)) == 0:
        length, units = draw(st.integers(1, 3)), draw(st.integers(1, 4))
        inputs["ids"] = {"shape": [length], "vocabulary": draw(st.integers(1, 4))}
        add({"type": "embedding", "units": units, "trainable": draw(st.booleans())}, ["ids"], (length, units))
    for _ in range(draw(st.integers(1, 6))):
        source = draw(st.sampled_from(unused if draw(st.booleans()) else list(shapes)))
        shape = shapes[source]
        kinds = [
            "dense",
            "activation",
            "dropout",
            "layernorm",
            "flatten",
            "reshape",
            "add",
            "multiply",
            "concat",
            *(["max_pool"] if "relu" in activations else []),  # it has kinks too
        ]
        kind = draw(st.sampled_from(kinds))
        if kind == "dense":
            dense(source, draw(st.integers(1, 4)))
        elif kind == "activation":
            add({"type": kind, "activation": draw(st.sampled_from(activations))}, [source], shape)
        elif kind == "dropout":
            add({"type": kind, "rate": 0.25}, [source], shape)
        elif kind == "layernorm":
            add({"type": kind, "trainable": draw(st.booleans())}, [source], shape)
        elif kind == "flatten":
            add({"type": kind}, [source], (prod(shape),))
        elif kind == "reshape":
            wanted = draw(st.sampled_from([(prod(shape), 1), tuple(reversed(shape)), (1, *shape)]))
            add({"type": kind, "shape": list(wanted)}, [source], wanted)
        elif kind == "max_pool":
            *_, height, width = 1, *shape
            image = (prod(shape) // (height * width), height, width)
            if image != shape:
                source = add({"type": "reshape", "shape": list(image)}, [source], image)
            kernel, stride = [min(2, size) for size in image[1:]], draw(st.integers(1, 2))
            padded = draw(st.booleans())
            pool = {"type": kind, "kernel": kernel, "stride": stride, "padding": "same" if padded else "valid"}
            sides = (
                -(-size // stride) if padded else (size - side) // stride + 1
                for size, side in zip(image[1:], kernel, strict=True)
            )
            add(pool, [source], (image[0], *sides))
        elif kind == "concat":
            axis = draw(st.integers(0, len(shape) - 1))
            same = [
                n
                for n, s in shapes.items()
                if (len(s), s[:axis], s[axis + 1 :]) == (len(shape), shape[:axis], shape[axis + 1 :])
            ]
            parts = [source, *draw(st.lists(st.sampled_from(same), min_size=1, max_size=2))]
            total = sum(shapes[part][axis] for part in parts)
            add({"type": kind, "axis": axis}, parts, (*shape[:axis], total, *shape[axis + 1 :]))
        else:
            same = [name for name, s in shapes.items() if s == shape]
            parts = [source, *draw(st.lists(st.sampled_from(same), min_size=1, max_size=2))]
            add({"type": kind}, parts, shape)
    flat = [
        name if len(shapes[name]) == 1 else add({"type": "flatten"}, [name], (prod(shapes[name]),))
        for name in list(unused)
    ]
    if len(flat) > 1:
        flat = [add({"type": "concat"}, flat, (sum(prod(shapes[name]) for name in flat),))]
    units = draw(st.integers(1, 3))
    loss = draw(st.sampled_from(("bce", "softmax_ce", "mse", "none")))
    last = {
        "type": "dense",
        "units": units,
        "activation": "sigmoid" if loss == "bce" else draw(st.sampled_from(("identity", "tanh"))),
    }
    add(last, flat, (units,))
    targets = draw(st.sampled_from((None, "classes", "dense"))) if loss == "softmax_ce" else None
    return {
        "batch": draw(st.integers(1, 3)),
        "dtype": draw(st.sampled_from(DTYPES)),
        "inputs": inputs,
        "layers": layers,
        "loss": loss,
        **({"targets": targets} if targets else {}),
    }


@contextmanager
def pieces(elements: int) -> Iterator[None]:
    """Let rules work on a few elements at a time: networks that are built here are cut in pieces, as large ones are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Columns, "limit", elements)
        patch.setattr(Layer, "run", elements)
        yield


def variants(strategy: str, chunks: Sequence[int]) -> list[Options]:
    """Return the options under which a strategy does different things."""
    if strategy == "reverse_checkpointed":
        return [Options(checkpoints=schedule) for schedule in ("sqrt", "uniform:1", "binomial:0", "binomial:2")]
    if strategy in ("forward_jvp", "forward_gradient"):
        return [Options(chunk=chunk) for chunk in chunks]
    return [Options()]
