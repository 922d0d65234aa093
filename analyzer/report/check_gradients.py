"""Judgement on measured gradients: exact ones against each other, estimates against what the exact one makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gradcost.execution.execute import Data, Gradients, Measurement
from gradcost.execution.rounding import moved_by_rounding
from gradcost.execution.variance import measured_variance
from gradcost.graph import Graph
from gradcost.layers.softmax import Softmax
from gradcost.numerics import Array, np
from gradcost.report.check_finite import all_finite, causes, warnings
from gradcost.report.model import Mismatch
from gradcost.schedule.program import Plan
from gradcost.strategies import STRATEGIES

ROUNDINGS = 300  # that gradients may be apart, each an eps of what they are sums of
HALF_ROUNDINGS = 30  # of float16, whose eps is 1e-3: more of them would excuse anything


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the gradients of several strategies say of each other.

    Attributes:
        errors: each strategy's largest relative error, the first exact one's against all others; None where there is
            nothing to compare with, or something is not finite.
        mismatches: gradients that disagree.
        warnings: sentences on a loss or gradients that are not finite, or zero.
        variances: of estimates, measured, and over how many runs.
    """

    errors: Mapping[str, float | None]
    mismatches: Sequence[Mismatch]
    warnings: Sequence[str]
    variances: Mapping[str, tuple[float, int]]


class Scale:
    """The size of what each tensor of a gradient is a sum of; an error is a share of that.

    At first, it is the tensor's largest entry. Where terms cancel, down to a gradient that is zero by mathematics, that
    says nothing; then it is what the gradient moves by when every term moves by an eps, over that eps.
    """

    def __init__(self, exact: Gradients, dtype: str) -> None:
        """Start from the largest entries."""
        self.exact = exact
        self.dtype = dtype
        self.eps = float(np.finfo(dtype).eps)
        self.sizes = {key: _size(values) for key, values in exact.items()}

    @property
    def limit(self) -> float:
        """The largest error that rounding excuses."""
        return (HALF_ROUNDINGS if self.dtype == "float16" else ROUNDINGS) * self.eps

    def widen(self, moved: Gradients, still: Gradients) -> None:
        """Take note of a run in which every term was moved by an eps, and of what it would be otherwise."""
        for key in self.sizes:
            self.sizes[key] = max(self.sizes[key], _distance(moved[key], still[key]) / self.eps)

    def errors(self, other: Gradients) -> dict[tuple[int, str], float]:
        """Return each tensor's largest difference as a share of its size; a tensor that is missing counts as zero."""
        found = {}
        for key, values in self.exact.items():
            difference = _distance(other[key], values) if key in other else _size(values)
            found[key] = difference / (self.sizes[key] or difference or 1.0)
        return found

    def error(self, other: Gradients) -> float:
        """Return the largest of the errors."""
        return max(self.errors(other).values())

    def near(self, other: Gradients) -> bool:
        """Whether there is no more between the two than rounding."""
        return self.error(other) <= self.limit

    @property
    def zero(self) -> bool:
        """Whether the whole gradient is zero but for rounding."""
        return all(_size(values) <= self.limit * self.sizes[key] for key, values in self.exact.items())


def judge(graph: Graph, plans: Mapping[str, Plan], found: Mapping[str, Measurement], data: Data) -> Judgement:
    """Compare what strategies measured, each with the first whose gradient is exact and finite.

    A strategy that is not exact is held against what it ``expects`` to make of an exact gradient, if it says so. Where
    something looks wrong, strategies are run a few times more, to see how far rounding carries.
    """
    why = causes(graph, plans, found, data)
    said = warnings(found, why)
    errors: dict[str, float | None] = dict.fromkeys(found)
    usable = {name: m.gradients for name, m in found.items() if all_finite(m.gradients)}
    reference = next((name for name in usable if STRATEGIES[name].exact), None)
    if reference is None:
        return Judgement(errors, (), said, {})
    truth = Scale(usable[reference], graph.dtype)
    others = {name: gradients for name, gradients in usable.items() if name != reference}
    scales = _scales(reference, plans, data, truth, others)
    wrong = [
        Mismatch(name, "", f"those of {reference} are", "gradient", truth.limit, None)
        for name, cause in why.items()
        if name not in usable and not cause.excused
    ]
    for name, scale in scales.items():
        each = scale.errors(usable[name])
        worst = max(each, key=lambda key: each[key])
        if each[worst] > scale.limit:
            place = f"against {reference}" if STRATEGIES[name].exact else f"expected from {reference}"
            label = graph.parameter_label(worst)
            wrong.append(Mismatch(name, label, place, "gradient", scale.limit, each[worst]))
    if reference not in why:
        exact = [name for name in others if STRATEGIES[name].exact]
        errors |= {name: truth.error(gradients) for name, gradients in others.items()}
        errors |= {name: scales[name].error(others[name]) for name in exact}
        errors[reference] = max((scales[name].error(others[name]) for name in exact), default=None)
    if truth.zero and not wrong:
        said.append(_nothing_there(graph))
    right = scales.keys() - {mismatch.strategy for mismatch in wrong}
    random = [] if truth.zero else [name for name in scales if name in right and not STRATEGIES[name].exact]
    variances = {name: measured_variance(plans[name], data, truth.exact) for name in random}
    return Judgement(errors, wrong, said, {name: found for name, found in variances.items() if found is not None})


def _scales(
    reference: str, plans: Mapping[str, Plan], data: Data, truth: Scale, others: Mapping[str, Gradients]
) -> Mapping[str, Scale]:
    """Return what each of the other gradients is held against; none for an estimate that does not say what it expects.

    Rounding is looked into where a gradient is not near at once: that of the reference, then the strategy's own.
    """

    def expected(name: str, exact: Gradients) -> Gradients:
        expects = STRATEGIES[name].expects
        return exact if expects is None else expects(plans[name], data, exact)

    found = {
        name: Scale(expected(name, truth.exact), truth.dtype)
        for name in others
        if STRATEGIES[name].exact or STRATEGIES[name].expects is not None
    }
    doubtful = [name for name, scale in found.items() if not scale.near(others[name])]
    if doubtful:
        for moved in moved_by_rounding(plans[reference], data):
            truth.widen(moved, truth.exact)
            for name in doubtful:
                found[name].widen(expected(name, moved), found[name].exact)
    for name in doubtful:
        if not found[name].near(others[name]):
            for moved in moved_by_rounding(plans[name], data):
                found[name].widen(moved, others[name])
    return found


def _nothing_there(graph: Graph) -> str:
    """Say that the gradient is zero, and the reason where it is known."""
    said = "The gradient is zero but for rounding"
    if not graph.jacobian and not graph.loss.needs_target and isinstance(graph.output.layer, Softmax):
        return f"{said}: with no loss the outputs are summed, and those of a softmax always sum to 1; give a loss."
    small = ", or it is too small for float16" if graph.dtype == "float16" else ""
    return f"{said}: what is differentiated does not depend on the parameters{small}."


def _size(values: Array) -> float:
    return float(np.abs(values).max())


def _distance(one: Array, other: Array) -> float:
    """Return the largest difference, which may be beyond the range of float16."""
    return _size(np.subtract(one, other, dtype=np.result_type(one, np.float32)))
