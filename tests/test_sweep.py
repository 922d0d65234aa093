"""The grid, its rows wherever they are made, what a file keeps of them, growth, and the batch that fits."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

import gradcost
from gradcost.grids import Axis, fit, growth, parse_axis, sweep
from gradcost.grids.grid import at, points
from gradcost.grids.run import Settings

SPEC: dict[str, Any] = {
    "name": "net",
    "input": {"shape": [4]},
    "layers": [
        {"name": "hidden", "type": "dense", "units": 3, "activation": "tanh"},
        {"name": "out", "type": "dense", "units": 2},
    ],
    "loss": "mse",
}
AXES = [Axis("layers.hidden.units", (2, 8)), Axis("batch", (1, 4, 16))]


@pytest.mark.parametrize(
    ("text", "path", "values"),
    [
        ("batch=1,2,8", "batch", (1, 2, 8)),
        ("batch=1:128:x2", "batch", (1, 2, 4, 8, 16, 32, 64, 128)),
        ("batch=1:9:2", "batch", (1, 3, 5, 7, 9)),
        ("batch=3:5", "batch", (3, 4, 5)),
        ("batch=1:100:x10,7", "batch", (1, 10, 100, 7)),
        ("dtype=float32,float64", "dtype", ("float32", "float64")),
        ("layers.1.rate=0.1,0.5", "layers.1.rate", (0.1, 0.5)),
        ("layers.a.bias=true,false", "layers.a.bias", (True, False)),
    ],
)
def test_axis(text: str, path: str, values: tuple[Any, ...]) -> None:
    assert parse_axis(text) == Axis(path, values)


@pytest.mark.parametrize(
    "text", ["batch", "batch=", "=3", "b=9:1", "b=1:9:0", "b=1:9:x1", "b=0:9:x2", "b=a:b", "b=1,1"]
)
def test_an_axis_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(gradcost.UsageError, match=r"names no values|no range|must rise|names a value twice"):
        parse_axis(text)


def test_points_are_put_in_their_places() -> None:
    assert [tuple(point.values()) for point in points(AXES)] == [(u, b) for u in (2, 8) for b in (1, 4, 16)]
    changed = at(SPEC, {"layers.hidden.units": 8, "layers.2.units": 5, "input.shape.1": 7, "batch": 3})
    assert [layer["units"] for layer in changed["layers"]] == [8, 5]
    assert (changed["input"], changed["batch"]) == ({"shape": [7]}, 3)
    assert "batch" not in SPEC
    for path, message in (("layers.hiden.units", "did you mean 'hidden'"), ("name.x", "has no parts"), ("x.y", "'x'")):
        with pytest.raises(gradcost.UsageError, match=message):
            at(SPEC, {path: 1})


@pytest.mark.parametrize("measure", [False, True])
def test_rows_are_what_analyze_says(measure: bool) -> None:
    rows = list(sweep(SPEC, AXES, Settings(measure=measure)))
    assert [row.index for row in rows] == list(range(6))
    for row in rows:
        report = gradcost.analyze(at(SPEC, row.set), measure=None if measure else False)
        assert row.network["parameters"] == report.network.parameters
        assert row.recommended == report.comparison.recommended
        assert row.error is None
        for name, strategy in report.strategies.items():
            assert row.strategies[name]["predicted"] == dict(strategy.predicted)
            assert (row.strategies[name]["measured"] is not None) == measure


def test_a_value_that_the_spec_refuses_is_a_row_with_an_error() -> None:
    rows = list(sweep(SPEC, [Axis("layers.hidden.units", (2, 0, 3))]))
    assert [row.error is None for row in rows] == [True, False, True]
    assert "units must be from 1" in str(rows[1].error)
    with pytest.raises(gradcost.UsageError, match="unknown strategy"):
        list(sweep(SPEC, AXES, Settings(strategies=("backwards",))))


def test_every_executor_gives_the_same_rows() -> None:
    axes = [Axis("batch", tuple(range(1, 100)))]
    here = [row.to_dict() for row in sweep(SPEC, axes)]
    with ThreadPoolExecutor(2) as threads, ProcessPoolExecutor(2, get_context("spawn")) as processes:
        for executor in (threads, processes):
            there = sorted((row.to_dict() for row in sweep(SPEC, axes, executor=executor)), key=lambda r: r["index"])
            assert there == here
            assert [row.index for row in sweep(SPEC, axes, executor=executor, skip=range(98))] == [98]


class Dying(Executor):
    """Loses each task a number of times, as workers that are killed do."""

    def __init__(self, losses: int) -> None:
        self.losses: dict[str, int] = {}
        self.allowed = losses

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        key = json.dumps(args[1])
        self.losses[key] = self.losses.get(key, 0) + 1
        if self.losses[key] <= self.allowed:
            future.set_exception(RuntimeError("a worker died"))
        else:
            future.set_result(fn(*args, **kwargs))
        return future


def test_lost_tasks_are_handed_out_again_but_not_for_ever() -> None:
    assert len(list(sweep(SPEC, AXES, executor=Dying(2)))) == 6
    with pytest.raises(gradcost.GradcostError, match="workers died 3 times from point 0"):
        list(sweep(SPEC, AXES, executor=Dying(3)))


def test_a_pool_that_loses_a_process_is_said_to_be_broken() -> None:
    axes = [Axis("batch", tuple(range(1, 4001)))]
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        rows = sweep(SPEC, axes, executor=pool)
        next(rows)
        victim = pool.submit(os.getpid)
        for _ in rows:
            if victim.done():
                os.kill(victim.result(), signal.SIGKILL)
                break
        with pytest.raises(gradcost.GradcostError, match="the pool of workers broke"):
            list(rows)


@pytest.mark.filterwarnings("default")
def test_a_dask_cluster_loses_a_worker_and_no_row(net: Path, tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    axes = [Axis("batch", tuple(range(1, 4001)))]
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        rows = sweep(SPEC, axes, Settings(strategies=("reverse", "forward_jacobian")), executor=client.get_executor())
        found = [next(rows)]
        victim = next(iter(client.run(os.getpid).values()))
        os.kill(victim, signal.SIGKILL)
        found += rows
        assert victim not in client.run(os.getpid).values()
        lines, address = tmp_path / "rows.jsonl", cluster.scheduler_address
        done = run("sweep", str(net), "--set", "batch=1:100", "--scheduler", address, "--jsonl", str(lines), "-q")
        assert done.returncode == 0, done.stderr
        assert lines.read_text().count("\n") == 101
    assert sorted(row.index for row in found) == list(range(4000))
    expected = {row.index: row for row in sweep(SPEC, [Axis("batch", (1, 4000))], Settings(("reverse",)))}
    last = next(row for row in found if row.index == 3999)
    assert last.strategies["reverse"] == expected[1].strategies["reverse"]


def run(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "gradcost", *args], capture_output=True, text=True, check=False)


def test_a_scheduler_that_is_not_there_is_said_so(net: Path) -> None:
    done = run("sweep", str(net), "--set", "batch=1:3", "--scheduler", "nowhere", "-q")
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert "--scheduler 'nowhere' cannot be reached" in done.stderr


@pytest.fixture
def net(tmp_path: Path) -> Path:
    path = tmp_path / "net.yaml"
    path.write_text(json.dumps(SPEC))
    return path


def test_command_line_writes_lines_csv_and_tables(net: Path, tmp_path: Path) -> None:
    lines, table = tmp_path / "rows.jsonl", tmp_path / "rows.csv"
    sets = ("--set", "layers.hidden.units=2,8", "--set", "batch=1:16:x4")
    done = run("sweep", str(net), *sets, "--jsonl", str(lines), "--csv", str(table), "--jobs", "2")
    assert done.returncode == 0, done.stderr
    assert "Growth" in done.stdout
    mark, *rows = map(json.loads, lines.read_text().splitlines())
    assert mark["axes"] == [["layers.hidden.units", [2, 8]], ["batch", [1, 4, 16]]]
    assert sorted(row["index"] for row in rows) == list(range(6))
    with table.open(newline="") as stream:
        records = list(csv.DictReader(stream))
    assert len(records) == 6 * len(rows[0]["strategies"])
    reverse = gradcost.analyze({**SPEC, "batch": 16}, measure=False).strategies["reverse"].predicted
    (last,) = [r for r in records if (r["strategy"], r["batch"]) == ("reverse", "16")][1:]
    small = gradcost.analyze(at(SPEC, {"layers.hidden.units": 8, "batch": 16}), measure=False)
    assert int(last["predicted_multiplies"]) == small.strategies["reverse"].predicted.multiplies > reverse.multiplies


def test_a_file_is_resumed_where_it_was_cut_off_and_never_overwritten(net: Path, tmp_path: Path) -> None:
    lines = tmp_path / "rows.jsonl"
    command = ("sweep", str(net), "--set", "batch=1:8", "--jsonl", str(lines), "-q")
    assert run(*command).returncode == 0
    whole = lines.read_text()
    again = run(*command)
    assert again.returncode == 2
    assert "is there already; --resume goes on with it" in again.stderr
    kept = whole.splitlines(keepends=True)[:4]
    lines.write_text("".join(kept) + '{"index": 3, "se')
    assert run(*command, "--resume").returncode == 0
    assert lines.read_text() == whole
    assert run(*command, "--resume").returncode == 0
    assert lines.read_text() == whole
    other = run(*command, "--resume", "--chunk", "2")
    assert (other.returncode, "of another network, grid, version or options" in other.stderr) == (2, True)
    lines.write_text("[1, 2]\n{}\n")
    strange = run(*command, "--resume")
    assert strange.returncode == 2
    assert "Traceback" not in strange.stderr
    assert lines.read_text() == "[1, 2]\n{}\n"


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_an_interrupt_keeps_the_rows_that_are_done(net: Path, tmp_path: Path, jobs: str) -> None:
    lines, table = tmp_path / "rows.jsonl", tmp_path / "rows.csv"
    command = ["sweep", str(net), "--set", "batch=1:90000", "--jsonl", str(lines), "--csv", str(table), "--jobs", jobs]
    process = subprocess.Popen([sys.executable, "-m", "gradcost", *command], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not (lines.exists() and lines.read_text().count("\n") > 40):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in error
    rows = [json.loads(line) for line in lines.read_text().splitlines()[1:]]
    assert 40 <= len(rows) < 90_000
    with table.open(newline="") as stream:
        assert {int(record["batch"]) for record in csv.DictReader(stream)} == {row["set"]["batch"] for row in rows}


def test_growth_finds_the_order_of_the_closed_form() -> None:
    axes = [Axis("layers.hidden.units", (64, 128, 256)), Axis("batch", (16, 32, 64))]
    options = Settings(("reverse", "forward_jacobian"))
    middle = {"name": "middle", "type": "dense", "units": 9}
    spec = {**SPEC, "layers": [SPEC["layers"][0], middle, SPEC["layers"][1]]}
    found = growth(spec, axes, list(sweep(spec, axes, options)), options)
    by = {(g.strategy, g.figure, g.path): g for g in found}
    assert len(by) == 8
    for strategy in ("reverse", "forward_jacobian"):
        batch = by[strategy, "multiplies", "batch"]
        assert batch.order == 1
        assert batch.exponent == pytest.approx(1, abs=0.05)
        assert by[strategy, "multiplies", "layers.hidden.units"].order == 1


def test_growth_of_a_width_that_is_squared() -> None:
    block = {"repeat": 4, "layers": [{"type": "dense", "units": "=w"}]}
    spec = {"input": {"shape": [8]}, "vars": {"w": 8}, "layers": [block]}
    axes = [Axis("vars.w", (256, 512, 1024))]
    options = Settings(("reverse", "forward_jacobian", "forward_factored"))
    found = {(g.strategy, g.figure): g for g in growth(spec, axes, list(sweep(spec, axes, options)), options)}
    assert found["reverse", "multiplies"].order == 2
    assert found["forward_factored", "multiplies"].order == 3
    assert found["forward_jacobian", "multiplies"].order == 4
    assert found["forward_jacobian", "peak_bytes"].order == 3
    assert found["reverse", "peak_bytes"].order == 2


def test_growth_where_the_graph_changes_is_of_the_order_of_an_exact_polynomial_or_none() -> None:
    spec = {"input": {"shape": [4, 2]}, "layers": [{"type": "rnn", "units": 3}]}
    axes = [Axis("input.shape.1", (8, 16, 32))]
    options = Settings(("reverse", "reverse_checkpointed", "forward_jacobian"))
    found = growth(spec, axes, list(sweep(spec, axes, options)), options)
    orders = {strategy: {g.order for g in found if g.strategy == strategy} for strategy in options.strategies or ()}
    assert orders == {"reverse": {1}, "reverse_checkpointed": {None}, "forward_jacobian": {1}}
    peaks = {g.strategy: g.exponent for g in found if g.figure == "peak_bytes"}
    assert peaks["forward_jacobian"] < peaks["reverse"]


def test_growth_of_a_depth_is_quadratic_for_tangents_of_every_parameter() -> None:
    block = {"name": "b", "repeat": 2, "layers": [{"type": "dense", "units": 4}]}
    spec = {"input": {"shape": [3]}, "layers": [block], "loss": "mse"}
    axes, options = [Axis("layers.b.repeat", (2, 64)), Axis("batch", (2, 4))], Settings(("reverse", "forward_jvp"))
    found = growth(spec, axes, list(sweep(spec, axes, options)), options)
    orders = {g.strategy: g.order for g in found if (g.figure, g.path) == ("multiplies", "layers.b.repeat")}
    assert orders == {"reverse": 1, "forward_jvp": 2}


def test_growth_of_what_takes_no_multiply() -> None:
    spec = {"input": {"shape": [3]}, "layers": [{"type": "positional"}], "loss": "none"}
    axes, options = [Axis("batch", (1, 4)), Axis("input.shape.1", (1, 8))], Settings(("reverse", "forward_jacobian"))
    found = growth(spec, axes, list(sweep(spec, axes, options)), options)
    none = [g for g in found if (g.strategy, g.figure) == ("reverse", "multiplies")]
    assert [g.exponent for g in none] == pytest.approx([0, 0], abs=1e-9)
    assert [g.order for g in none] == [0, 0]
    peaks = {g.order for g in found if (g.strategy, g.figure) == ("forward_jacobian", "peak_bytes")}
    assert peaks == {1}


@pytest.mark.parametrize("memory", [2_000, 50_000, 10**7])
def test_the_batch_that_fits_is_the_largest(memory: int) -> None:
    for found in fit(SPEC, memory):

        def peak(batch: int, name: str = found.strategy) -> int:
            report = gradcost.analyze(SPEC, batch=batch, strategies=[name], budget=memory, measure=False)
            peak: int = report.strategies[name].predicted.peak_bytes
            return peak

        assert found.batch == 0 or peak(found.batch) == found.peak_bytes <= memory
        assert found.next_bytes == peak(found.batch + 1) > memory


def test_fit_command(net: Path) -> None:
    done = run("fit", str(net), "--memory", "1MiB", "--strategy", "reverse", "--strategy", "forward_jacobian")
    assert done.returncode == 0
    batch = {found.strategy: found.batch for found in fit(SPEC, 2**20)}
    assert f"{batch['reverse']:,}" in done.stdout
    assert run("fit", str(net), "--memory", "100", "--strategy", "reverse").stdout.count("none") == 1
    assert run("fit", str(net), "--memory", "1MiB", "--strategy", "x").returncode == 2
