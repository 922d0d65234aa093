"""Judgement on measured gradients: exact ones against each other, estimates against what the exact one makes."""

from __future__ import annotations

import math
from collections.abc import Mapping

from gradcost.execution.execute import Data, Measurement
from gradcost.execution.variance import measured_variance
from gradcost.graph import Graph
from gradcost.report.model import Mismatch
from gradcost.report.verify import Tolerance, gradient_errors, worst_tensor
from gradcost.schedule.program import Plan
from gradcost.strategies import STRATEGIES


def judge(
    graph: Graph, plans: Mapping[str, Plan], found: Mapping[str, Measurement], data: Data
) -> tuple[dict[str, float | None], list[Mismatch]]:
    """Return each strategy's gradient error, and what is wrong; add an estimate's measured variance to its note.

    The error is None where there is nothing to compare with, or a gradient is not finite.
    """
    exact = {name: m.gradients for name, m in found.items() if STRATEGIES[name].exact}
    reference = next(iter(exact), None)
    errors = dict(gradient_errors(graph, exact))
    limit = Tolerance.of(graph.dtype).relative
    wrong: list[Mismatch] = []
    if reference is not None and not _broken(errors[reference]):
        truth = exact[reference]
        for name, gradients in exact.items():
            error = errors[name]
            if name != reference and error is not None and error > limit:
                worst = worst_tensor(graph, truth, gradients)
                wrong.append(Mismatch(name, worst, f"against {reference}", "gradient", limit, error))
        for name in found.keys() - exact.keys():
            gradients, plan = found[name].gradients, plans[name]
            errors[name] = gradient_errors(graph, {reference: truth, name: gradients})[name]
            expects = STRATEGIES[name].expects
            if expects is None:
                continue
            error = gradient_errors(graph, {reference: expects(plan, data, truth), name: gradients})[name]
            if error is not None and error > limit:
                wrong.append(Mismatch(name, "estimate", f"from {reference}'s gradient", "gradient", limit, error))
            variance = None if _broken(error) else measured_variance(plan, data, truth)
            if variance is not None:
                plan.note += "; {:.4g} times measured over {} runs".format(*variance)
    for name, error in errors.items():
        if _broken(error):
            wrong.append(Mismatch(name, "", "", "gradient", limit, None))
    return {name: None if _broken(error) else error for name, error in errors.items()}, wrong


def _broken(error: float | None) -> bool:
    """Whether a gradient was not finite."""
    return error is not None and math.isnan(error)
