"""Which array is alive when: predicted from the schedule, and held at each step against a real run."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import pytest
from hypothesis import given

import gradcost
from gradcost.counting import Meter
from gradcost.execution import execute
from gradcost.execution.timeline import timeline
from gradcost.strategies import STRATEGIES, Plan, applying
from networks import networks, variants


class StepMeter(Meter):
    """Notes the peak of each step: every one enters its row first."""

    def __init__(self) -> None:
        self.peaks: list[int] = []
        super().__init__()

    def enter(self, row: Hashable) -> None:
        self.peaks.append(self.peak)
        self.peak = self.live
        super().enter(row)


def peaks_of_a_run(plan: Plan, data: execute.Data, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    with monkeypatch.context() as patch:
        patch.setattr(execute, "Meter", StepMeter)
        meter, _ = execute.run_counted(plan, data)
    assert isinstance(meter, StepMeter)
    return [*meter.peaks[2:], meter.peak]


@given(networks())
def test_each_step_of_random_networks(spec: dict[str, Any]) -> None:
    network = gradcost.load(spec)
    data = execute.Data(network)
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name in applying(network):
            for options in variants(name, (2,)):
                plan = STRATEGIES[name].plan(network, options)
                found = timeline(plan)
                for index, moment in enumerate(found.moments):
                    alive = sum(life.bytes for life in found.lives if life.first <= index <= life.last)
                    assert alive + moment.workspace == moment.bytes
                if len(plan.segments) == 1:
                    measured = peaks_of_a_run(plan, data, monkeypatch)
                    assert measured == [moment.bytes for moment in found.moments] * found.passes


@pytest.mark.parametrize("outputs", ["loss", "out"])
def test_its_peak_is_the_predicted_one(outputs: str) -> None:
    layers = [{"type": "dense", "units": 5, "activation": "tanh"}, {"name": "out", "type": "dense", "units": 4}]
    analysis = gradcost.study({"input": {"shape": [3]}, "layers": layers}, outputs=outputs, measure=False)
    for name, strategy in analysis.report.all.items():
        peak = max(moment.bytes for moment in analysis.timeline(name).moments)
        assert peak == strategy.predicted.peak_bytes


def test_names_follow_an_array_that_is_written_over() -> None:
    """z[1] becomes a[1] where it dies; both are one array of four numbers."""
    layers = [{"type": "dense", "units": 4, "activation": "sigmoid"}, {"type": "dense", "units": 1}]
    analysis = gradcost.study({"input": {"shape": [3]}, "layers": layers, "loss": "mse"}, measure=False)
    lives = {life.name: life for life in analysis.timeline("reverse").lives}
    assert lives["z[1]"].last + 1 == lives["a[1]"].first
    assert (lives["a[1]"].shape, lives["a[1]"].bytes, lives["a[1]"].kind) == ((1, 4), 32, "primal")
    assert lives["W[1]"].kind == "parameters"
