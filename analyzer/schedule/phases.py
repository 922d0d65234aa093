"""The phases of a schedule, and the kinds of array that no step makes: their names, explanations and colour groups.

A step names its phase; an array's kind is the phase of the step that makes it, or one of ``KINDS``. Whatever shows
phases or kinds (tables, page, plots) reads them here.
"""

from __future__ import annotations

from dataclasses import dataclass

OTHER = "other"

GROUPS = {
    "parameters": "parameters",
    "data": "data, constants",
    "activations": "activations",
    "recomputed": "activations, computed again",
    "derivatives": "derivatives f'",
    "jacobians": "Jacobians, tangents",
    "cotangents": "cotangents",
    "gradients": "gradients",
    "workspace": "workspace",
    OTHER: "other",
}


@dataclass(frozen=True, slots=True)
class Phase:
    """A part that steps play in a schedule, or a kind of array.

    Attributes:
        name: as reports have it.
        label: what it is, in a few words.
        group: the one of ``GROUPS`` whose colour its arrays have.
    """

    name: str
    label: str
    group: str


def _by_name(*phases: Phase) -> dict[str, Phase]:
    return {phase.name: phase for phase in phases}


PHASES = _by_name(
    Phase("primal", "the forward pass", "activations"),
    Phase("loss", "the loss's value", "activations"),
    Phase("recompute", "the forward pass again, from a checkpoint", "recomputed"),
    Phase("derivative", "f'(z) of an activation", "derivatives"),
    Phase("seed", "unit vectors, or random ones, to start from", "jacobians"),
    Phase("birth", "dz/dW where a parameter enters", "jacobians"),
    Phase("push", "carried Jacobians pass a layer", "jacobians"),
    Phase("densify", "zeros of compact Jacobians written out", "jacobians"),
    Phase("tangent", "a tangent passes a layer", "jacobians"),
    Phase("product", "Jacobians of neighbouring stages multiplied", "jacobians"),
    Phase("jacobian", "the Jacobian that was asked for, filled", "jacobians"),
    Phase("cotangent", "delta passes a layer backwards", "cotangents"),
    Phase("gradient", "dL/dW from delta", "gradients"),
    Phase("contraction", "dL/da times what was carried", "gradients"),
    Phase("estimate", "the random directions, weighted by their slopes", "gradients"),
)

KINDS = _by_name(
    Phase("parameters", "weights and biases", "parameters"),
    Phase("data", "inputs and targets", "data"),
    Phase("constants", "drawn or fixed once, such as a dropout mask", "data"),
    Phase("directions", "random vectors, drawn once", "jacobians"),
    Phase("result", "the gradient or Jacobian, filled part by part", "gradients"),
    Phase("held", "there from the start", OTHER),
    Phase("workspace", "what a step needs while it runs", "workspace"),
)


def described(name: str) -> Phase:
    """Return a phase or kind; of a name that is not declared, as a strategy from outside may have, a plain one."""
    return PHASES.get(name) or KINDS.get(name) or Phase(name, name, OTHER)
