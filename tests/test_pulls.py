"""Several cotangents at once: every pull of every layer gives what as many pulls of one give, at K times the price."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given

import gradcost
from gradcost.counting import CountingArray, Meter
from gradcost.execution.execute import Data, Gradients, measure, run_plain
from gradcost.formula import CATEGORIES
from gradcost.graph import At, Elementwise
from gradcost.report.check_counts import compare_figures
from gradcost.schedule.emitter import Emitter
from gradcost.schedule.predict import predict
from gradcost.schedule.program import Arrays, Buffer, Plan, Segment, Step
from gradcost.schedule.walk import Walk
from gradcost.strategies import STRATEGIES
from layer_classes import concrete_layers
from networks import networks, pieces
from test_catalogue import CASES

SEVERAL = 3
EACH = [(kind, shape, options) for kind, cases in CASES.items() for shape, options in cases]
EMBEDDING = ("embedding", [3], {"units": 2})


def network_of(kind: str, shape: list[int], options: dict[str, Any], dtype: str = "float64") -> gradcost.Network:
    """Return a small network with the layer in it, and something trainable in front of it, where that can be."""
    before = {"name": "h", "type": "dense", "units": shape[-1]}
    layers: list[dict[str, Any]] = [{"type": kind, **options}] if kind == "embedding" else [before]
    if "pooled" in options.get("from", ()):
        layers.append({"name": "pooled", "type": "global_avg_pool"})
    if kind != "embedding":
        layers.append({"type": kind, **options})
    given = {"shape": shape, "vocabulary": 5} if kind == "embedding" else {"shape": shape}
    return gradcost.load({"batch": 2, "dtype": dtype, "input": given, "layers": layers, "loss": "none"})


def by_inputs(*, across_batch: bool) -> gradcost.Network:
    """Return a network whose input is a variable."""
    layers = [{"name": "y", "type": "dense", "units": 2}]
    spec = {"input": {"shape": [3]}, "layers": layers}
    return gradcost.load(spec, outputs="y", wrt="inputs", across_batch=across_batch)


def pulls(network: gradcost.Network) -> Iterator[tuple[Step, dict[str, Any]]]:
    """Yield each pull of the network's backward sweep, with the arrays that its rule reads.

    What elementwise layers have twice are pulls with a derivative that is there, as in a loop, and without.
    """
    found: list[tuple[Step, dict[str, Any]]] = []

    def watch(step: Step, arrays: Arrays) -> None:
        if step.rule.startswith("vjp"):
            found.append((step, {name: arrays[buffer] for name, buffer in step.reads.items()}))

    data = Data(network)
    run_plain(STRATEGIES["reverse"].plan(network), data, watch=watch)
    fused = {step.node for step, _ in found if step.rule == "vjp_fused"}
    yield from found
    if fused:
        found.clear()
        emitter = Emitter(network)
        emitter.forward()
        emitter.derivatives()
        walk = Walk(emitter, emitter.cotangent())
        walk.back(network.nodes)
        run_plain(Plan([Segment(emitter.program)], walk.gradients), data, watch=watch)
        yield from ((step, reads) for step, reads in found if step.node in fused)


def pull(step: Step, reads: dict[str, Any], cotangents: Any, out: Any) -> None:
    before = () if step.index is None else (step.index,)
    getattr(step.owner, step.rule)(At(reads), *before, cotangents, out=out)


@pytest.mark.parametrize(("dtype", "run"), [("float64", 2**15), ("float64", 7), ("float32", 20)])
@pytest.mark.parametrize(("kind", "shape", "options"), [*EACH, EMBEDDING])
def test_several_pulls_are_as_many_single_ones(
    kind: str, shape: list[int], options: dict[str, Any], dtype: str, run: int
) -> None:
    with pieces(run):
        hold_pulls(network_of(kind, shape, options, dtype), 1e-12 if dtype == "float64" else 1e-4)


def hold_pulls(network: gradcost.Network, tolerance: float) -> None:
    rng = np.random.default_rng(0)
    for step, reads in pulls(network):
        (operand,), filled = step.args, step.fills
        assert isinstance(operand, Buffer)
        assert filled is not None
        cotangents = rng.standard_normal((SEVERAL, *operand.shape[1:])).astype(network.dtype)
        alone = rng.standard_normal((SEVERAL, *filled.shape[1:])).astype(network.dtype)
        meter = Meter()
        counted = {name: CountingArray(values, meter) for name, values in reads.items()}
        together = alone.copy()
        operands = CountingArray(cotangents, meter), CountingArray(together, meter)
        held = meter.peak = meter.live
        pull(step, counted, *operands)
        for k in range(SEVERAL):
            pull(step, reads, cotangents[k : k + 1], alone[k : k + 1])
        np.testing.assert_allclose(together, alone, rtol=tolerance, atol=tolerance, err_msg=step.rule)
        *counts, workspace = step.term.cost.evaluate(step.term.dims.extended({"K": SEVERAL}, {}))
        assert [getattr(meter.counts, category) for category in CATEGORIES] == counts, step.rule
        assert meter.peak - held == workspace, step.rule


def test_no_pull_is_left_out() -> None:
    """Every rule that pulls, of every class of layers, is among those that the test above sees."""
    seen = {
        (type(step.owner), step.rule)
        for network in [
            *(network_of(*case) for case in (*EACH, EMBEDDING)),
            *(by_inputs(across_batch=across) for across in (False, True)),
        ]
        for step, _ in pulls(network)
    }
    rules = {(layer, name) for layer in concrete_layers() for name in dir(layer) if name.startswith("vjp_")}
    rules |= {(layer, "vjp") for layer in concrete_layers() if hasattr(layer, "vjp")}
    rules -= {
        (layer, "vjp_fused") for layer in concrete_layers() if issubclass(layer, Elementwise) and not layer.fuses()
    }
    assert {(layer, name) for layer, name in rules if name != "vjp_rule"} - seen == set()


@given(networks())
def test_a_walk_of_several_cotangents_is_as_many_walks(spec: dict[str, Any]) -> None:
    """K seeds pulled together through a whole network: the counts and the peak of their closed forms, and each seed's
    gradients as it has them alone."""
    network = gradcost.load({**spec, "dtype": "float64"})
    assume(network.trained)
    data = Data(network)
    seeds = np.random.default_rng(1).normal(size=(3, network.batch, *network.output.shape))

    def run(given: np.ndarray[Any, Any]) -> Gradients:
        emitter = Emitter(network)
        key = ("seed",)
        cotangent = emitter.pulled("g", emitter.shaped(network.output), len(given), held=True)
        cotangent.key = key
        emitter.program.initial.append(cotangent)
        data.arrays[key] = given
        emitter.forward()
        walk = Walk(emitter, cotangent)
        walk.back(network.nodes)
        plan = Plan([Segment(emitter.program)], {}, carried=emitter.carried)
        assert not list(compare_figures("walk", predict(plan), measure(plan, data)))
        found: dict[tuple[int, str], Any] = {}

        def watch(step: Step, arrays: Arrays) -> None:
            found.update({k: np.array(arrays[b]) for k, b in walk.gradients.items() if b in arrays})

        run_plain(plan, data, watch=watch)
        return found

    together = run(seeds)
    alone = [run(seeds[k : k + 1]) for k in range(3)]
    for key, values in together.items():
        assert values.shape == (3, *network.trained[key])
        for k in range(3):
            np.testing.assert_allclose(values[k], alone[k][key][0], rtol=1e-9, atol=1e-9)
