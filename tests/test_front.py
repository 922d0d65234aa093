"""optimal --by peak_bytes: the lowest peak, and multiplies against peak, against every order one by one."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import gradcost
from gradcost.chains.fronts import Point, front, undominated
from gradcost.eliminating.frontier import MOST, local, scheduled, weighed
from gradcost.execution.execute import Data, measure
from gradcost.report.check_counts import compare_figures
from gradcost.report.tables import fronts
from gradcost.schedule.predict import predict
from gradcost.strategies import STRATEGIES, Options
from networks import networks
from test_cli import run
from test_optimal import chain

Figures = tuple[int, int]


def figures(network: gradcost.Network, order: tuple[int, ...]) -> Figures:
    """Return what the schedule of an order is predicted to take."""
    prediction = predict(scheduled(local(network), order))
    return prediction.counts.multiplies, prediction.peak_bytes


def brute(found: Iterable[Figures]) -> list[Figures]:
    """Return those that no other beats in both, compared pair by pair."""
    every = set(found)
    beaten = {one for one in every for two in every if one != two and two[0] <= one[0] and two[1] <= one[1]}
    return sorted(every - beaten)


@settings(max_examples=40)
@given(networks(), st.sampled_from(["params", "inputs"]), st.data())
def test_the_front_is_that_of_every_order(spec: dict[str, Any], wrt: str, data: st.DataObject) -> None:
    names = [entry.name for entry in gradcost.load(spec).spec.layers]
    try:
        network = gradcost.load(spec, wrt=wrt, outputs=data.draw(st.sampled_from(names)))
    except gradcost.GradcostError:
        assume(False)  # nothing trainable stands above that layer
    assume(not any(node.op.couples for node in network.nodes if node.active))
    inner = local(network).dag().inner
    assume(2 <= len(inner) <= 5)
    expected = brute(figures(network, order) for order in permutations(inner))
    assert [(point.cost, point.height) for point in weighed(network)] == expected


@pytest.mark.parametrize(("sizes", "batch"), [([4, 4, 4, 12], 1), ([3, 6, 4, 12, 6], 2)])
def test_there_are_orders_to_choose_from(sizes: list[int], batch: int) -> None:
    """More multiplies, and less that is alive."""
    network = gradcost.load(chain(sizes, batch), wrt="inputs", outputs="out")
    points = weighed(network)
    assert len(points) == 2
    assert [point[:2] for point in points] == brute(
        figures(network, order) for order in permutations(local(network).dag().inner)
    )


weights = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=64, max_size=64)


@given(st.integers(1, 5), weights)
def test_a_table_over_sets_holds_the_front(count: int, weights: list[Figures]) -> None:
    """With a cost and a height for each set and each vertex behind it."""

    def step(before: tuple[int, ...], v: int) -> Figures:
        return weights[(sum(1 << u for u in before) + 11 * v) % len(weights)]

    def whole(order: tuple[int, ...]) -> Figures:
        steps = [step(order[:place], v) for place, v in enumerate(order)]
        return sum(cost for cost, _ in steps), max(height for _, height in steps)

    orders = list(permutations(range(count)))
    expected = brute(map(whole, orders))
    known = [Point(*whole(order), order) for order in orders[::7]]
    for given_known in ([], known):
        found = front(range(count), step, given_known, Point(0, 0, ()))
        assert [point[:2] for point in found] == expected
        assert all(whole(point.order) == point[:2] for point in found)


def test_long_orders_are_searched_from_those_that_are_known() -> None:
    network = gradcost.load(chain([6, 2, 9, 3, 8, 2, 7, 4], batch=2), wrt="inputs", outputs="out")
    inner = local(network).dag().inner
    assert len(inner) > MOST
    points = weighed(network)
    assert [point[:2] for point in points] == [figures(network, point.order) for point in points]
    assert points == undominated(points)
    assert points[-1].height <= min(figures(network, order)[1] for order in (inner, inner[::-1]))


@pytest.mark.parametrize("wrt", ["params", "inputs", "l1"])
@pytest.mark.parametrize("outputs", ["out", "loss"])
def test_no_strategy_has_a_lower_peak_and_it_is_measured(wrt: str, outputs: str) -> None:
    network = gradcost.load(chain([9, 2, 12, 3, 8], batch=2), wrt=wrt, outputs=outputs)
    plan = STRATEGIES["optimal"].plan(network, Options(by="peak_bytes"))
    prediction = predict(plan)
    assert not list(compare_figures("optimal", prediction, measure(plan, Data(network))))
    assert (prediction.counts.multiplies, prediction.peak_bytes) == (
        plan.front[-1].multiplies,
        plan.front[-1].peak_bytes,
    )
    for name in ("reverse", "forward_jacobian", "forward_jvp"):
        for chunk in (1, 3, None):
            other = predict(STRATEGIES[name].plan(network, Options(chunk=chunk)))
            assert prediction.peak_bytes <= other.peak_bytes
    fewest = predict(STRATEGIES["optimal"].plan(network, Options())).counts.multiplies
    assert plan.front[0].multiplies == fewest


def test_layers_that_couple_samples_have_the_pure_modes() -> None:
    spec = chain([5, 6, 2], batch=3)
    spec["layers"].insert(1, {"type": "batchnorm", "statistics": "batch"})
    report = gradcost.analyze(spec, outputs="out", wrt="inputs", by="peak_bytes", measure=True)
    assert not report.mismatches
    optimal = report.strategies["optimal"]
    assert {each.schedule for each in optimal.front} <= {*report.strategies, "reverse, chunk 1", "forward_jvp, chunk 1"}


def test_the_page_the_table_and_json_have_the_front() -> None:
    options = ("bottleneck", "--outputs", "out", "--wrt", "inputs", "--by", "peak_bytes", "--no-measure")
    done = run("analyze", *options)
    assert done.returncode == 0, done.stderr
    report = gradcost.analyze("bottleneck", outputs="out", wrt="inputs", by="peak_bytes", measure=False)
    assert report.comparison.recommended == "optimal"
    points = report.strategies["optimal"].front
    assert len(points) > 2
    assert points[-1].peak_bytes == min(s.predicted.peak_bytes for s in report.strategies.values())
    (table,) = fronts(report)
    page = Path(__file__).parent.parent / "docs" / "mathematics.md"
    for row in table.rows:
        assert "  ".join(row).split() in [line.split() for line in done.stdout.splitlines()]
        assert "  ".join(row).split() in [line.split() for line in page.read_text(encoding="utf-8").splitlines()]
    assert gradcost.Report.from_json(report.to_json()).strategies["optimal"].front == points
    assert gradcost.analyze("bottleneck", measure=False).strategies["optimal"].front == ()


def test_what_decides_is_checked() -> None:
    with pytest.raises(gradcost.UsageError, match="by cannot be 'peak_byte'; did you mean 'peak_bytes'"):
        gradcost.analyze("two_layer", strategies="reverse", by="peak_byte", measure=False)
