"""The answer on one screen: its tables add up, its columns drop whole, and its verdict is true of the network."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import gradcost
from gradcost.configs import names
from gradcost.report.facing import folded
from gradcost.report.figures import BY_KEY
from gradcost.report.model import LayerRow, Report, Side
from gradcost.report.table import Column, Table
from gradcost.report.tables import facing_table, strategies_table
from gradcost.strategies import STRATEGIES
from networks import networks
from test_cli import run

LSTM = {
    "input": {"shape": [4, 3]},
    "layers": [{"type": "lstm", "units": 3}, {"type": "dense", "units": 2}],
    "loss": "mse",
}
SHARED = {
    "inputs": {"ids": {"shape": [3], "vocabulary": 5}},
    "layers": [
        {"name": "e", "type": "embedding", "units": 4},
        {"type": "dense", "units": 5, "share": "e", "bias": False},
    ],
    "loss": "softmax_ce",
}
BRANCHES = {
    "batch": 2,
    "input": {"shape": [3]},
    "layers": [
        {"name": "a", "type": "dense", "units": 4, "activation": "tanh"},
        {"name": "b", "type": "dense", "units": 4, "from": "input"},
        {"name": "c", "type": "add", "from": ["a", "b"]},
        {"name": "loss", "type": "dense", "units": 1},
    ],
    "loss": "mse",
}


def adds_up(report: Report) -> None:
    """Columns, the primal and the loss are what the strategies take."""
    for number, name in enumerate(report.facing.strategies):
        strategy = report.strategies[name]
        shared = sum(strategy.phase(phase).multiplies for phase in ("primal", "loss"))
        column = sum(row.sides[number].multiplies for row in report.facing.rows)
        assert column + shared == strategy.predicted.multiplies, name
    assert sum(row.macs for row in report.facing.rows) == report.primal.predicted.macs
    assert sum(row.parameters for row in report.facing.rows) == report.network.parameters
    few = folded(report.facing.rows)
    for number, _ in enumerate(report.facing.strategies):
        every, some = (sum(row.sides[number].multiplies for row in rows) for rows in (report.facing.rows, few))
        assert every == some
    assert len(few) <= 20


@given(networks())
def test_the_facing_table_of_random_networks_adds_up(spec: dict[str, Any]) -> None:
    adds_up(gradcost.analyze(spec, measure=False))


@pytest.mark.parametrize("spec", [LSTM, SHARED, BRANCHES, *names()])
def test_the_facing_table_adds_up(spec: Any) -> None:
    report = gradcost.analyze(spec, measure=False)
    assert report.facing.strategies == ("reverse", "forward_jacobian")
    adds_up(report)


def test_any_two_strategies_face_each_other() -> None:
    for first in STRATEGIES:
        pair = (first, "reverse" if first != "reverse" else "optimal")
        report = gradcost.analyze(LSTM, strategies=pair, measure=False)
        assert set(report.facing.strategies) == set(pair)
        adds_up(report)
    jacobian = gradcost.analyze("bottleneck", outputs="out", wrt="inputs", measure=False)
    assert jacobian.facing.strategies == ("reverse", "forward_jvp")
    adds_up(jacobian)


def test_what_is_carried_is_delta_and_da_by_dw() -> None:
    """The question's own net: delta is n_l numbers, da[l]/dW[1..l] all of its parameters' columns for each unit."""
    report = gradcost.analyze("two_layer", measure=False)
    hidden, out, loss = report.facing.rows
    assert [side.carried for side in hidden.sides] == [4, 4 * 3 + 4]
    assert [side.carried for side in out.sides] == [1, 1 * (4 * 3 + 4) + 4 + 1]
    assert [side.carried for side in loss.sides] == [0, 0]
    chain = gradcost.analyze("deep_mlp", measure=False)
    n, batch = 16, chain.network.batch
    for depth, row in enumerate(chain.facing.rows[:8], start=1):
        born = n * (n + 1)
        assert row.sides[0].carried == batch * n
        assert row.sides[1].carried == batch * (n * born * (depth - 1) + born)


@pytest.mark.parametrize(("name", "lines"), [("two_layer", 40), ("deep_mlp", 50), ("zoo/gpt2_small", 50)])
def test_a_screen_is_enough(name: str, lines: int) -> None:
    done = run("analyze", name, env={"COLUMNS": "80"})
    shown = done.stdout.splitlines()
    assert done.returncode == 0
    assert len(shown) <= lines
    assert max(map(len, shown)) <= 80
    assert "--layers shows every layer" in done.stdout
    every = run("analyze", name, "--no-measure", "--layers", env={"COLUMNS": "80"}).stdout
    report = gradcost.analyze(name, measure=False)
    assert all(f"\n{row.name}" in every for row in report.facing.rows)


MEASURED = gradcost.analyze("two_layer", measure=True)


@given(st.integers(20, 200))
def test_narrow_tables_drop_whole_columns(width: int) -> None:
    for table in (strategies_table(MEASURED), facing_table(MEASURED)):
        kept = table.fitted(width)
        order = [column.drop for column in table.columns]
        left = {column.drop for column in kept.columns}
        assert kept.width <= width or left == {0}
        assert all(drop in left for drop in order if 0 < drop < max(left)), "the least important go first"
        cells = {cell for row in table.rows for cell in row}
        assert all(cell in cells for row in kept.rows for cell in row), "no cell is cut"
        assert len({len(row) for row in kept.rows} | {len(kept.columns)}) == 1


def test_columns_are_as_wide_as_their_heads_and_groups() -> None:
    table = Table((Column("n", right=False), Column("a", group="a long group"), Column("b", group="a long group")))
    table.add("x", "1", "2")
    assert [line.text for line in table.lines(80)] == [
        "   a long group",
        "n  a          b",
        "─" * 15,
        "x  1          2",
    ]


def test_a_network_without_blocks_shows_its_largest_layers() -> None:
    rows = [LayerRow(f"l{i}", "dense", (1,), 2, 3, (Side(i, 10 * i), Side(0, 0))) for i in range(50)]
    shown = folded(rows)
    assert [row.name for row in shown] == [*(f"l{i}" for i in range(41, 50)), "and 41 more"]
    assert shown[-1].sides[0].multiplies == sum(10 * i for i in range(41))
    assert shown[-1].parameters == 82


def test_numbers_read_alike_in_verdict_and_table() -> None:
    report = gradcost.analyze("gpt2_small", measure=False)
    reverse = report.strategies["reverse"].predicted
    shown = BY_KEY["multiplies"].show(reverse.multiplies)
    assert shown == "438.3 G"
    assert f"reverse wins with {shown} multiplies" in report.verdict
    assert any(shown in row for row in strategies_table(report).rows)


def test_the_verdict_is_true_of_the_network() -> None:
    specs: list[Any] = ["deep_mlp", LSTM, SHARED, BRANCHES]
    for spec in specs:
        report = gradcost.analyze(spec, measure=False)
        assert report.facing.strategies == ("reverse", "forward_jacobian")
        widest = max(report.facing.rows, key=lambda row: row.sides[1].carried)
        reverse, forward = (side.carried for side in widest.sides)
        carried = f"it carries {forward:,} numbers of da[l]/dW[1..l], reverse {reverse:,} of delta."
        assert report.verdict.endswith(f"At `{widest.name}` {carried}")
    checkpointed: dict[str, Any] = {"strategies": ("reverse", "reverse_checkpointed"), "measure": False}
    nothing_again = gradcost.analyze("two_layer", **checkpointed)
    assert "tie" in nothing_again.verdict
    assert "second time" not in nothing_again.verdict
    assert "of its multiplies for a second time" in gradcost.analyze("deep_mlp", **checkpointed).verdict
    jvp = gradcost.analyze("two_layer", strategies=("reverse", "forward_jvp"), measure=False)
    assert "runs the network again for every chunk of parameters" in jvp.verdict


def test_optimal_is_a_line_where_it_is_reverse() -> None:
    table = strategies_table(gradcost.analyze("two_layer", measure=False))
    assert "optimal" not in {row[0] for row in table.rows}
    assert table.notes == ["optimal is reverse here."]
    mixed = strategies_table(gradcost.analyze("bottleneck", outputs="out", wrt="inputs", batch=1, measure=False))
    assert "optimal" in {row[0] for row in mixed.rows}


def test_help_lists_the_strategies_and_their_other_names() -> None:
    shown = " ".join(run("analyze", "--help").stdout.split())
    for name, strategy in STRATEGIES.items():
        assert f"{name} ({', '.join(strategy.aliases)})" in shown if strategy.aliases else name in shown


def test_what_carries_nothing_of_the_biases_is_not_said_to() -> None:
    (jacobian,) = gradcost.analyze("two_layer", strategies="forward_jacobian", measure=False).notes
    (reverse,) = gradcost.analyze("two_layer", strategies="reverse", measure=False).notes
    assert "carried too" in jacobian
    assert reverse == "Biases are 5 of the 21 trained parameters (23.8 %)."


def test_a_verdict_about_inputs_names_inputs() -> None:
    assert "12 numbers of da[l]/dX, " in gradcost.analyze("two_layer", wrt="inputs", measure=False).verdict
    assert "numbers of da[l]/dW[1..l], " in gradcost.analyze("two_layer", wrt="hidden", measure=False).verdict


def test_a_verdict_has_no_factor_of_nothing() -> None:
    part = {"type": "slice", "axis": 0, "start": 0, "stop": 1}
    sums = {"input": {"shape": [4, 2]}, "layers": [{"type": "positional"}, part]}
    report = gradcost.analyze(sums, measure=False)
    assert report.strategies["reverse"].predicted.multiplies == 0
    assert "forward_jacobian takes 16 multiplies and 3.09x the memory." in report.verdict


def test_a_tie_says_who_carries_more() -> None:
    layers = [{"type": "dense", "units": 9, "trainable": False}, {"type": "dense", "units": 1, "bias": False}]
    report = gradcost.analyze({"batch": 90, "input": {"shape": [99]}, "layers": layers}, measure=False)
    assert "reverse and forward_jacobian tie" in report.verdict
    assert "` forward_jacobian carries 810 numbers of da[l]/dW[1..l], reverse 90 of delta." in report.verdict


def test_what_takes_several_forward_passes_says_what_they_take() -> None:
    report = gradcost.analyze("two_layer", strategies=("reverse", "forward_jvp"), measure=False)
    table = facing_table(report)
    assert [row[-1] for row in table.rows if row[0] == "total"] == ["672"]
    assert table.notes == [f"forward_jvp takes {1050 - 672} besides: its forward passes are several."]
    assert facing_table(gradcost.analyze("bottleneck", outputs="out", wrt="inputs", measure=False)).notes == []


def test_blocks_of_one_layer_fold_into_the_blocks_around_them() -> None:
    spec: Any = {"type": "dense", "units": 3, "name": "d"}
    for name, times in (("i", 2), ("m", 3), ("o", 3)):
        spec = {"name": name, "repeat": times, "layers": [spec]}
    report = gradcost.analyze({"input": {"shape": [3]}, "layers": [spec]}, measure=False)
    shown = folded(report.facing.rows)
    assert [row.name for row in shown] == [f"o.{o}.m.{m}.i" for o in (1, 2, 3) for m in (1, 2, 3)]
    adds_up(report)


def test_tensors_name_a_dtype_that_is_not_the_networks(tmp_path: Path) -> None:
    file = tmp_path / "net.yaml"
    file.write_text("input: {shape: [1, 4, 4]}\nlayers: [{type: positional}, {type: max_pool, kernel: 2}]\n")
    shown = run("analyze", str(file), "--strategy", "reverse", "--tensors", "--no-measure").stdout
    lines = [line for line in shown.splitlines() if "index[2]" in line]
    assert len(lines) == 2, "of the primal, and of reverse"
    assert all(re.search(r"index\[2\] +1x1x2x2 int64 +4 +32 B$", line) for line in lines)
    assert not re.search("int64|float64", "".join(line for line in shown.splitlines() if "a[" in line))
    assert '"index[2]","1x1x2x2 int64",32,"primal"' in gradcost.to_html(gradcost.study(file, measure=False))
