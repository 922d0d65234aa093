"""Orders of elimination, executed: what is predicted is measured, and the Jacobians are those of autograd."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import gradcost
from gradcost.chains.elimination import cost_of
from gradcost.chains.orders import least_order
from gradcost.eliminating.elimination import eliminate
from gradcost.eliminating.locals import Locals
from gradcost.execution.execute import Data, measure
from gradcost.report.check_counts import compare_figures
from gradcost.schedule.emitter import Emitter
from gradcost.schedule.predict import predict
from gradcost.schedule.program import Plan, Segment
from networks import networks
from test_jacobian import CHOSEN, between_dense, expected_jacobians


def prove(network: gradcost.Network, reverse: bool = False) -> None:
    """Eliminate in the least order, or from the sinks back; the price of an order is what its program does."""
    emitter = Emitter(network)
    emitter.forward()
    found = Locals(emitter)
    dag = found.dag()
    order = dag.inner[::-1] if reverse else least_order(dag)
    before = predict(Plan([Segment(emitter.program)])).counts.multiplies
    plan = Plan([Segment(emitter.program)], eliminate(found, order))
    data = Data(network)
    prediction, measurement = predict(plan), measure(plan, data)
    wrong = list(compare_figures("elimination", prediction, measurement))
    assert not wrong, "\n".join(map(str, wrong))
    assert prediction.counts.multiplies - before == cost_of(dag, order)
    for key, expected in expected_jacobians(network, data).items():
        bound = 1e-9 * (1 + np.abs(expected).max())
        np.testing.assert_allclose(measurement.gradients[key], expected, rtol=1e-7, atol=bound, err_msg=str(key))


@pytest.mark.parametrize(("kind", "shape", "options"), CHOSEN)
@pytest.mark.parametrize("wrt", ["params", "inputs"])
def test_every_layer(kind: str, shape: list[int], options: dict[str, Any], wrt: str) -> None:
    spec = between_dense(kind, shape, options)
    network = gradcost.load(spec, wrt=wrt, outputs="out")
    if any(node.op.couples for node in network.nodes if node.active):
        return
    for reverse in (False, True):
        prove(network, reverse)


@given(networks(tokens=False), st.sampled_from(["params", "inputs"]), st.booleans(), st.data())
def test_random_networks(spec: dict[str, Any], wrt: str, reverse: bool, data: st.DataObject) -> None:
    names = [entry.name for entry in gradcost.load(spec).spec.layers]
    try:
        network = gradcost.load(spec, dtype="float64", wrt=wrt, outputs=data.draw(st.sampled_from(names)))
    except gradcost.GradcostError:
        assume(False)  # nothing trainable stands above that layer
    assume(not any(node.op.couples for node in network.nodes if node.active))
    assume(0 < network.rows * network.trained_parameters < 3000)
    prove(network, reverse)
