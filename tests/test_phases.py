"""Phases and kinds of array: each that a schedule has is declared, and each that is declared is used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given

import gradcost
from gradcost.execution.timeline import timeline
from gradcost.graph import Graph
from gradcost.schedule.phases import GROUPS, KINDS, OTHER, PHASES, described
from gradcost.strategies import PRIMAL, STRATEGIES, Plan, applying
from networks import networks, variants

FALLBACK = {"held", "workspace"}  # kinds of no buffer of ours


def plans(network: Graph) -> Iterator[Plan]:
    yield PRIMAL.plan(network)
    for name in applying(network):
        for options in variants(name, (2,)):
            yield STRATEGIES[name].plan(network, options)


def names_in(network: Graph) -> set[str]:
    """Return the phases of all steps and the kinds of all arrays, of every strategy."""
    found: set[str] = set()
    for plan in plans(network):
        found |= {step.phase for segment in plan.segments for step in segment.program.steps}
        found |= {life.kind for life in timeline(plan).lives}
    return found


@given(networks())
def test_what_strategies_emit_is_declared(spec: dict[str, Any]) -> None:
    declared = set(PHASES) | set(KINDS) - FALLBACK
    assert names_in(gradcost.load(spec)) <= declared
    assert names_in(gradcost.load(spec, outputs=spec["layers"][-1]["name"])) <= declared


def test_what_is_declared_is_emitted() -> None:
    units = [3, 4, 2, 4, 3]
    layers: list[dict[str, Any]] = [{"type": "dense", "units": n, "activation": "tanh"} for n in units]
    layers.insert(1, {"type": "dropout"})
    layers[-1]["name"] = "out"
    spec = {"input": {"shape": [4]}, "layers": layers, "loss": "mse"}
    asked = [(None, None), ("out", None), ("out", "inputs")]
    found = {name for outputs, wrt in asked for name in names_in(gradcost.load(spec, outputs=outputs, wrt=wrt))}
    assert found == set(PHASES) | set(KINDS) - FALLBACK


@pytest.mark.parametrize("phase", [*PHASES.values(), *KINDS.values()], ids=lambda phase: phase.name)
def test_each_explains_itself_and_has_a_colour_group(phase: Any) -> None:
    assert described(phase.name) is phase
    assert phase.group in GROUPS
    assert phase.label != phase.name


def test_a_phase_from_outside_is_shown_as_it_is() -> None:
    assert (described("relax").label, described("relax").group) == ("relax", OTHER)
    assert not set(PHASES) & set(KINDS)
