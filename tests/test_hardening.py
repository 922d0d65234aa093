"""What happens to users: little memory, full and read-only disks, Ctrl-C at any moment, runs by the thousand."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

import gradcost

resource = pytest.importorskip("resource", reason="limits of a process are POSIX")
CONFIGS = Path(__file__).parent.parent / "configs"
EXACT = ("reverse", "reverse_checkpointed", "forward_jacobian", "forward_factored", "optimal")
COMMAND = [sys.executable, "-m", "gradcost"]
WIDE = "name: wide\ninput: {shape: [64]}\nlayers: [{type: dense, units: 96}, {type: dense, units: 600}]\nloss: mse\n"
DEEP = """
name: deep
batch: 8
input: {shape: [48]}
layers:
  - {repeat: 24, layers: [{type: dense, units: 48, activation: tanh}]}
loss: mse
"""


def run(*arguments: str, limit: Callable[[], None] | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, preexec_fn=limit, env=environment, timeout=120
    )


def address_space(limit: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def file_size(limit: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))


@pytest.fixture
def wide(tmp_path: Path) -> str:
    """Return a network whose forward_jacobian carries 600 x 96 x 64 numbers for each of 64 samples: 1.8 GB."""
    (tmp_path / "wide.yaml").write_text(WIDE)
    return str(tmp_path / "wide.yaml")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not hold a process to its address space")
def test_under_a_real_memory_limit_what_would_not_fit_is_not_run(wide: str) -> None:
    done = run("analyze", wide, "--batch", "64", "--quiet", "--json", "-", limit=address_space(2 * 2**30))
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)["strategies"]
    assert found["forward_jacobian"]["predicted"]["peak_bytes"] > 600 * 96 * 64 * 64 * 8
    assert "over the budget of" in found["forward_jacobian"]["skipped"]
    assert found["reverse"]["measured"]["peak_bytes"] == found["reverse"]["predicted"]["peak_bytes"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not hold a process to its address space")
def test_a_budget_that_is_not_there_ends_in_one_line(wide: str, tmp_path: Path) -> None:
    target = tmp_path / "out.json"
    options = ["--strategy", "forward_jacobian", "--budget", "64GiB", "--measure", "--json", str(target)]
    done = run("analyze", wide, "--batch", "64", *options, limit=address_space(1536 * 2**20))
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.splitlines()[-1].startswith("gradcost: out of memory in spite of the budget")
    assert "Traceback" not in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["wide.yaml"]


@pytest.mark.parametrize("option", ["--json", "--html", "--csv", "--markdown", "--svg"])
def test_a_disk_that_is_full_leaves_the_old_file(option: str, tmp_path: Path) -> None:
    if option == "--svg":
        pytest.importorskip("matplotlib")
    target = tmp_path / "old"
    if option == "--svg":
        target.mkdir()
    else:
        target.write_text("before")
    spec = str(CONFIGS / "two_layer.yaml")
    done = run("analyze", spec, "--no-measure", "--quiet", option, str(target), limit=file_size(300))
    assert done.returncode == 2
    assert done.stderr.startswith(f"gradcost: error: {option} ")
    assert done.stderr.endswith("cannot be written: File too large\n")
    assert len(done.stderr.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["old"], "no half of a new one beside it"
    assert list(target.iterdir()) == [] if target.is_dir() else target.read_text() == "before"


def test_a_full_disk_ends_a_sweep_in_one_line(tmp_path: Path) -> None:
    target = tmp_path / "rows.jsonl"
    done = run(
        "sweep", str(CONFIGS / "two_layer.yaml"), "--set", "batch=1:9", "--jsonl", str(target), limit=file_size(9_000)
    )
    assert done.returncode == 2
    assert "cannot be written: File too large" in done.stderr.splitlines()[-1]
    assert "rows are done" in done.stderr.splitlines()[-1]
    whole = target.read_text().splitlines()[:-1]
    assert all(json.loads(line) for line in whole)
    again = run("sweep", str(CONFIGS / "two_layer.yaml"), "--set", "batch=1:9", "--jsonl", str(target), "--resume")
    assert again.returncode == 0
    assert len(target.read_text().splitlines()) == 10


@pytest.mark.parametrize("folder", ["/proc", "/sys"])
@pytest.mark.parametrize("option", ["--json", "--html", "--svg"])
def test_a_disk_that_cannot_be_written_to_is_one_error(folder: str, option: str) -> None:
    if not Path(folder).is_dir():
        pytest.skip(f"there is no {folder}")
    if option == "--svg":
        pytest.importorskip("matplotlib")
    done = run("analyze", str(CONFIGS / "two_layer.yaml"), "--no-measure", "-q", option, f"{folder}/gradcost_report")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"gradcost: error: {option} '{folder}/gradcost_report'")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("step", range(8))
@pytest.mark.parametrize("option", ["--json", "--html"])
def test_an_interrupt_at_any_moment(option: str, step: int, tmp_path: Path) -> None:
    (tmp_path / "deep.yaml").write_text(DEEP)
    target = tmp_path / "report"
    arguments = ["analyze", str(tmp_path / "deep.yaml"), "--measure", "--strategy", "forward_jacobian", "--quiet"]
    process = subprocess.Popen([*COMMAND, *arguments, option, str(target)], stderr=subprocess.PIPE, text=True)
    try:
        process.wait(0.3 + 0.15 * step)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    left = sorted(path.name for path in tmp_path.iterdir())
    if process.returncode == 0:
        assert left == ["deep.yaml", "report"]
    else:
        assert (process.returncode, err.strip()) == (130, "gradcost: interrupted")
        assert left == ["deep.yaml"]


@pytest.mark.parametrize("method", ["__init__", "__del__"])
def test_an_interrupt_while_a_buffer_is_counted_is_not_lost(method: str) -> None:
    """Python drops what is raised while an object is freed, and the meter would then be wrong."""
    code = f"""
import signal
from gradcost.cli.main import main
from gradcost.counting.meter import Buffer
inside = dict(__name__="gradcost.counting.meter", signal=signal, plain=Buffer.{method}, calls=[])
exec('''
def {method}(self, *given):
    calls.append(1)
    if len(calls) == 30:
        signal.raise_signal(signal.SIGINT)
    plain(self, *given)
''', inside)
Buffer.{method} = inside[{method!r}]
main(["analyze", {str(CONFIGS / "deep_mlp.yaml")!r}, "--measure", "--quiet"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr.strip()) == (130, "", "gradcost: interrupted")


def test_hundreds_of_runs_leave_nothing_behind() -> None:
    network = gradcost.load(CONFIGS / "two_layer.yaml")

    def some(count: int) -> int:
        for _ in range(count):
            assert not gradcost.analyze(network, strategies=EXACT, measure=True).mismatches
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        some(20)
        before = some(20)
        after = some(200)
    finally:
        tracemalloc.stop()
    assert after - before < 16 * 1024
