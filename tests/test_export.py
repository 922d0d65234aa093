"""The report for others to read: figures, graph layout, page, plots, Markdown, CSV."""

from __future__ import annotations

import csv
import io
import json
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import gradcost
from gradcost.configs import names
from gradcost.export import growth_axes, growth_figures, memory_figure, to_csv, to_html, to_markdown
from gradcost.export.colours import OF_GROUP, look
from gradcost.export.figures import SHOWN_ARRAYS, SHOWN_STEPS, binary_step, spread
from gradcost.export.layout import group, lay_out
from gradcost.export.plots import draw
from gradcost.grids import Axis
from gradcost.grids.run import PREDICT
from gradcost.schedule.phases import GROUPS, KINDS, PHASES
from gradcost.strategies import STRATEGIES
from gradcost.units import format_bytes

HOSTILE = '</script><b>"x" & {{data}} | _'
TWO_LAYER = Path(__file__).parent.parent / "configs" / "two_layer.yaml"


def chain(depth: int) -> dict[str, Any]:
    body = {"repeat": depth, "name": "body", "layers": [{"name": "up", "type": "dense", "units": 3}]}
    return {"name": HOSTILE, "input": {"shape": [3]}, "layers": [body, {"type": "dense", "units": 1}], "loss": "mse"}


class Outline(HTMLParser):
    """Follows which tags are open, and keeps what is in the script of the data."""

    VOID = ("meta", "input", "link", "br")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.data = ""
        self.cells: list[list[str]] = []
        self._in_data = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.loads += [str(given[key]) for key in ("src", "href") if not str(given.get(key, "#")).startswith("#")]
        self._in_data = given.get("id") == "data"
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "tr":
            self.cells.append([])
        if tag == "td" and self.cells:
            self.cells[-1].append(str(given.get("data-sort")))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        self._in_data = False

    def handle_data(self, data: str) -> None:
        if self._in_data:
            self.data += data


def test_the_page_holds_all_and_loads_nothing() -> None:
    analysis = gradcost.study(chain(3), measure=True)
    report = analysis.report
    growth = growth_figures(chain(3), [Axis("batch", (1, 8)), Axis("layers.body.repeat", (2, 4))], PREDICT)
    page = to_html(analysis, growth)
    outline = Outline()
    outline.feed(page)
    outline.close()
    assert (outline.open, outline.loads) == ([], [])
    assert page.count("{{data}}") == 2, "the name, in the title and at the head"
    data = json.loads(outline.data)
    assert data["strategies"] == list(report.strategies)
    assert [figure["path"] for figure in data["growth"]] == ["batch", "layers.body.repeat"]
    for figure in data["memory"]:
        peak = max(instant[3] for instant in figure["instants"])
        assert peak == report.strategies[figure["strategy"]].predicted.peak_bytes
    exact = {float(cells[0]) for cells in outline.cells if cells}
    assert exact == {float(strategy.predicted.multiplies) for strategy in report.all.values()}
    assert set(data["phases"]) == set(PHASES) | set(KINDS)
    assert {group for _, group in data["phases"].values()} <= set(data["groups"])
    shown = [name for figure in data["memory"] for name in (*(i[2] for i in figure["instants"]), *figure["rest"])]
    assert {*shown, *(band[3] for figure in data["memory"] for band in figure["bands"])} <= set(data["phases"])
    for variable in [*(f"--k-{each}" for each in data["groups"]), *(line for line, _ in data["looks"].values())]:
        assert page.count(f"{variable}: #") == 2, "one colour in the light, one in the dark"
    rows = data["costs"]["reverse"]["rows"]
    assert sum(row[2][0] for row in rows) == report.strategies["reverse"].predicted.multiplies
    nodes = {each["name"]: each for each in data["graph"]["nodes"]}
    assert list(nodes) == ["input", "body.1.up", "body.2.up", "body.3.up", "dense_2", "loss"]
    assert sum(each["costs"]["reverse"][1] for each in nodes.values() if each["costs"]) == pytest.approx(1.0)


@pytest.mark.parametrize("name", names())
def test_every_example_has_a_page_without_growth(name: str) -> None:
    path = next((TWO_LAYER.parent).rglob(f"{name}.yaml"))
    outline = Outline()
    outline.feed(to_html(gradcost.study(path, measure=False)))
    outline.close()
    assert outline.open == []
    assert len(json.loads(outline.data)["graph"]["nodes"]) <= 162


def test_a_long_schedule_keeps_its_peak_and_its_sums() -> None:
    analysis = gradcost.study(chain(400), measure=False)
    for name, strategy in analysis.report.all.items():
        figure = memory_figure(name, analysis.timeline(name))
        assert len(figure.instants) <= SHOWN_STEPS
        assert len(figure.bands) <= SHOWN_ARRAYS
        assert figure.unshown > 0
        assert max(instant.bytes for instant in figure.instants) == strategy.predicted.peak_bytes
        for place, instant in enumerate(figure.instants):
            shown = sum(band.bytes for band in figure.bands if band.first <= place <= band.last)
            others = sum(sizes[place] for sizes in figure.rest.values())
            assert shown + others + instant.workspace == instant.bytes


def test_growth_along_what_makes_no_network_is_left_out() -> None:
    spec = {**chain(2), "layers": [*chain(2)["layers"], {"type": "reshape", "shape": [1, 1]}]}
    axes = [Axis("layers.2.units", (1, 2, 4)), Axis("batch", (1, 2))]
    (figure,) = growth_figures(spec, axes, PREDICT)
    assert figure.path == "batch"
    for curve in figure.curves:
        for value, multiplies in zip(curve.values, curve.figures["multiplies"], strict=True):
            report = gradcost.analyze(spec, batch=value, measure=False)
            assert report.strategies[curve.strategy].predicted.multiplies == multiplies


def test_default_axes_are_those_that_are_quick() -> None:
    small, large = ({**chain(depth), "name": "x"} for depth in (2, 2000))
    assert [axis.path for axis in growth_axes(small, gradcost.study(small, measure=False))] == [
        "batch",
        "layers.body.repeat",
        "input.shape.1",
        "layers.body.layers.up.units",
        "layers.2.units",
    ]
    assert growth_axes(large, gradcost.study(large, measure=False)) == []


def nested(outer: Any, inner: Any) -> dict[str, Any]:
    """Eight layers with a size before blocks in blocks."""
    dense = [{"name": f"d{i}", "type": "dense", "units": 2} for i in range(8)]
    body = {"name": "body", "repeat": inner, "layers": [{"type": "dense", "units": 2}]}
    stack = {"name": "stack", "repeat": outer, "layers": [body]}
    return {"vars": {"wide": 2, "deep": 2}, "input": {"shape": ["=wide"]}, "layers": [*dense, stack], "loss": "mse"}


@pytest.mark.parametrize(
    ("outer", "inner", "depths"),
    [
        (2, 2, ["layers.stack.repeat", "layers.stack.layers.body.repeat"]),
        ("=deep", 2, ["vars.deep", "layers.stack.layers.body.repeat"]),
        (2, "= deep", ["vars.deep", "layers.stack.repeat"]),
    ],
)
def test_depths_come_before_other_sizes(outer: Any, inner: Any, depths: list[str]) -> None:
    spec = nested(outer, inner)
    axes = growth_axes(spec, gradcost.study(spec, measure=False))
    assert [axis.path for axis in axes][:4] == ["batch", *depths, "vars.wide"]
    assert len(axes) == 6


def test_a_depth_that_takes_long_leaves_room_for_what_does_not() -> None:
    spec = {"inputs": {"x": [3]}, **{key: value for key, value in chain(600).items() if key != "input"}}
    axes = growth_axes(spec, gradcost.study(spec, measure=False))
    assert [axis.path for axis in axes] == ["batch", "layers.body.layers.up.units", "layers.2.units"]


@given(st.integers(4, 10**30))
def test_marks_of_memory_are_a_power_of_two_apart(most: int) -> None:
    step = binary_step(most)
    assert step & (step - 1) == 0
    assert 3 <= most / step <= 6


@given(st.lists(st.integers(1, 10**6), min_size=2, max_size=60, unique=True).map(sorted), st.integers(2, 10))
def test_marks_of_values_are_some_of_them(values: list[int], most: int) -> None:
    found = spread(values, most)
    assert found[0] == values[0]
    assert set(found) <= set(values)
    assert len(found) <= most + 1
    assert spread([2**i for i in range(8)], 10) == [2**i for i in range(8)]


@given(st.data())
def test_layouts_have_no_overlap_and_go_down(data: st.DataObject) -> None:
    nodes = [f"n{i}" for i in range(data.draw(st.integers(1, 12)))]
    pairs = [(a, b) for i, a in enumerate(nodes) for b in nodes[i + 1 :]]
    edges = data.draw(st.lists(st.sampled_from(pairs), max_size=20)) if pairs else []
    layout = lay_out(nodes, edges)
    assert list(layout.places) == nodes
    assert len(set(layout.places.values())) == len(nodes)
    assert set(layout.edges) == set(edges)
    for (start, end), route in layout.edges.items():
        assert (route[0], route[-1]) == (layout.places[start], layout.places[end])
        assert [row for _, row in route] == list(range(route[0][1], route[-1][1] + 1))


def test_deep_networks_are_drawn_by_their_blocks() -> None:
    layers = [f"stage.{i}.body.{j}.up" for i in range(3) for j in range(4)]
    assert group(layers, 12) == {name: name for name in layers}
    assert set(group(layers, 11).values()) == {"stage.0.body", "stage.1.body", "stage.2.body"}
    assert set(group([*layers, "head"], 2).values()) == {"stage", "head"}
    flat = group([f"l{i}" for i in range(10)], 4)
    assert list(dict.fromkeys(flat.values())) == ["l0 .. l2", "l3 .. l5", "l6 .. l8", "l9"]


def test_markdown_is_two_tables_whatever_the_name() -> None:
    report = gradcost.analyze(chain(1), measure=True)
    text = to_markdown(report)
    lines = text.splitlines()
    strategies, layers = (part.splitlines() for part in text.split("\n\n") if part.startswith("|"))
    assert len(strategies) == 2 + len(report.all)
    assert len(layers) == 2 + len(report.network.layers) + 2, "with the loss and the totals"
    for table in (strategies, layers):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table}) == 1
    assert strategies[3].startswith("| **reverse** |")
    assert "= predicted" in strategies[3]
    assert lines[0] == '### \\</script\\>\\<b\\>"x" & {{data}} \\| \\_'


def test_csv_has_every_figure_exactly() -> None:
    report = gradcost.analyze(TWO_LAYER, strategies=["reverse", "forward_jvp"], measure=True)
    rows = list(csv.DictReader(io.StringIO(to_csv(report))))
    assert [row["strategy"] for row in rows] == ["primal", "reverse", "forward_jvp"]
    for row in rows:
        strategy = report.all[row["strategy"]]
        assert strategy.measured is not None
        assert {key: int(row[f"predicted_{key}"]) for key in dict(strategy.predicted)} == (dict(strategy.predicted))
        assert float(row["measured_seconds"]) == strategy.measured.seconds


def test_plots_are_whole_and_the_same_each_time() -> None:
    pytest.importorskip("matplotlib")
    analysis = gradcost.study(chain(2), measure=False, strategies=["reverse", "forward_jacobian"])
    memory = [memory_figure(name, analysis.timeline(name)) for name in analysis.report.strategies]
    growth = growth_figures(chain(2), [Axis("batch", (1, 8))], PREDICT)
    files = dict(draw(memory, growth, "svg"))
    assert sorted(files) == [
        "growth-batch-multiplies.svg",
        "growth-batch-peak_bytes.svg",
        "memory-forward_jacobian.svg",
        "memory-reverse.svg",
    ]
    for content in files.values():
        assert ElementTree.fromstring(content).tag.endswith("svg")
    assert b"at the peak" in files["memory-reverse.svg"]
    assert files == dict(draw(memory, growth, "svg"))
    assert all(content.startswith(b"\x89PNG") for _, content in draw(memory, growth, "png"))


def colours_of(svg: bytes) -> set[str]:
    """Return the fills and strokes of a plot, but black, white and the grid's grey."""
    found = set(re.findall(rb"(?:fill|stroke): (#[0-9a-f]{6})", svg))
    return {colour.decode() for colour in found} - {"#000000", "#ffffff", "#b0b0b0"}


def test_a_kind_of_array_has_one_colour_and_memory_binary_marks() -> None:
    pytest.importorskip("matplotlib")
    analysis = gradcost.study(TWO_LAYER, measure=False)
    for name, strategy in analysis.report.all.items():
        figure = memory_figure(name, analysis.timeline(name))
        ((_, content),) = draw([figure], [], "svg")
        groups = {layer.group for layer in figure.layers()}
        assert colours_of(content) == {OF_GROUP[group].light for group in groups}
        assert all(GROUPS[group] in content.decode().replace("&apos;", "'") for group in groups)
        step = binary_step(strategy.predicted.peak_bytes)
        assert f">{format_bytes(step)}</text>" in content.decode()
        assert b">W[1]</text>" in content, "the largest arrays are named"


def test_what_never_changes_lies_at_the_bottom() -> None:
    analysis = gradcost.study(chain(400), measure=False)
    for name in analysis.report.all:
        figure = memory_figure(name, analysis.timeline(name))
        layers = figure.layers()
        constant = [len(set(layer.sizes)) == 1 for layer in layers]
        assert constant == sorted(constant, reverse=True)
        assert [sum(column) for column in zip(*(layer.sizes for layer in layers), strict=True)] == [
            instant.bytes for instant in figure.instants
        ]


def test_a_strategy_has_one_look_whichever_are_shown() -> None:
    pytest.importorskip("matplotlib")
    looks = [look(name) for name in STRATEGIES]
    assert len({each.colour.light for each in looks}) == len({each.mark.path for each in looks}) == len(looks)
    for shown in (["reverse", "optimal"], ["optimal"], ["forward_jvp", "optimal"]):
        settings = replace(PREDICT, strategies=tuple(shown))
        growth = growth_figures(chain(2), [Axis("batch", (1, 8))], settings)
        for _, content in draw([], growth, "svg"):
            assert colours_of(content) == {look(name).colour.light for name in shown}
        outline = Outline()
        outline.feed(to_html(gradcost.study(chain(2), measure=False, strategies=shown), growth))
        assert json.loads(outline.data)["looks"] == {
            name: [look(name).variable, look(name).mark.path] for name in shown
        }
