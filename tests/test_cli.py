"""The command line as a user or a script meets it: real processes, exit codes, streams, files."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import gradcost
from gradcost.configs import names, read
from gradcost.report.schema import REPORT_SCHEMA
from gradcost.strategies import STRATEGIES

GRADCOST = [sys.executable, "-m", "gradcost"]


def run(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **options.pop("env", {})}
    return subprocess.run([*GRADCOST, *arguments], capture_output=True, text=True, env=environment, **options)


@pytest.fixture
def net(tmp_path: Path) -> str:
    path = tmp_path / "net.yaml"
    path.write_text(read("two_layer"))
    return str(path)


@pytest.fixture
def slow(tmp_path: Path) -> str:
    path = tmp_path / "slow.yaml"
    path.write_text(read("mnist_mlp"))
    return str(path)


def test_tables_say_the_verdict_first_and_fit_eighty_columns(net: str) -> None:
    done = run("analyze", net, env={"COLUMNS": "80"})
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.index("Verdict: reverse wins") < done.stdout.index("strategy ")
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "\x1b" not in done.stdout, "no colour in a pipe"
    for name in ("reverse", "forward_jacobian", "forward_factored", "forward_jvp"):
        assert re.search(rf"\n{name} +\d.*(= predicted)", done.stdout)
    tensors = run("analyze", net, "--tensors").stdout
    assert all(f"\n{name}: {STRATEGIES[name].carries}\n" in tensors for name in ("reverse", "forward_jvp"))
    assert "da[2]/dW[1]" in tensors
    assert "birth: dz/dW where a parameter enters" in " ".join(tensors.split())


@pytest.mark.parametrize("name", names())
def test_no_table_cuts_a_figure_at_eighty_columns(name: str, tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(read(name))
    done = run("analyze", str(path), "--no-measure", env={"COLUMNS": "80"})
    assert done.returncode == 0
    assert "…" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_no_color_is_honoured_even_where_color_is_forced(net: str) -> None:
    coloured = run("analyze", net, env={"FORCE_COLOR": "1", "TERM": "xterm-256color"})
    assert "\x1b[" in coloured.stdout
    plain = run("analyze", net, env={"FORCE_COLOR": "1", "NO_COLOR": "1", "TERM": "xterm-256color"})
    assert not re.search(r"\x1b\[[\d;]*3\dm", plain.stdout)


def test_json_to_stdout_is_json_alone(net: str) -> None:
    done = run("analyze", net, "--json", "-")
    assert (done.returncode, done.stderr) == (0, "")
    jsonschema.validate(json.loads(done.stdout), REPORT_SCHEMA)


def test_json_file_beside_tables(net: str, tmp_path: Path) -> None:
    target = tmp_path / "out.json"
    done = run("analyze", net, "--json", str(target))
    assert done.returncode == 0
    assert "Verdict" in done.stdout
    jsonschema.validate(json.loads(target.read_text()), REPORT_SCHEMA)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["net.yaml", "out.json"]


def test_quiet_prints_nothing(net: str) -> None:
    done = run("analyze", net, "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_explain_shows_closed_forms(net: str) -> None:
    done = run("analyze", net, "--no-measure", "--explain")
    assert "B*n2*n1*n0" in done.stdout
    assert "B*n1*n0 = 1*4*3 = 12" in done.stdout


def test_options_reach_the_analysis(net: str) -> None:
    done = run(
        "analyze", net, "--strategy", "forward_jvp", "--batch", "5", "--dtype", "float32", "--chunk", "4", "--json", "-"
    )
    data = json.loads(done.stdout)
    assert list(data["strategies"]) == ["forward_jvp"]
    assert (data["network"]["batch"], data["network"]["dtype"]) == (5, "float32")
    assert data["strategies"]["forward_jvp"]["predicted"]["macs"] == 6 * 5 * 16 + 21 * 5 * (32 - 12) + 21 * 5


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["analyze", "none.yaml"], "no such file"),
        (["analyze", "."], "is a directory"),
        (["analyze", "NET", "--strategy", "revers"], "did you mean 'reverse'?"),
        (["analyze", "NET", "--batch", "0"], "batch must be from 1"),
        (["analyze", "NET", "--batch", "x"], "not a valid integer"),
        (["analyze", "NET", "--dtype", "half"], "float32, float64"),
        (["analyze", "NET", "--budget", "lots"], "not a memory size"),
        (["analyze", "NET", "--budget", "0"], "positive memory size"),
        (["analyze", "NET", "--chunk", "0"], "chunk must be"),
        (["analyze", "NET", "--json", "no/such/dir.json"], "there is no directory"),
        (["analyze", "NET", "--json", "/"], "is a directory"),
        (["analyze", "NET", "--html", "-q"], "--html needs a file, and '-q' is no file name"),
        (["analyze", "NET", "--html", "-"], "--html needs a file, and '-' is no file name"),
        (["analyze", "NET", "--svg", "-q"], "--svg needs a file, and '-q' is no file name"),
        (["trace", "NET", "--json", "--digits"], "--json needs a file, and '--digits' is no file name"),
        (["analyze"], "Missing argument"),
        (["analyse"], "No such command"),
        (["configs", "two_lair"], "did you mean 'two_layer'?"),
    ],
)
def test_bad_usage_exits_2_without_a_traceback(arguments: list[str], words: str, net: str) -> None:
    done = run(*(net if argument == "NET" else argument for argument in arguments))
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_bad_spec_exits_2_and_names_its_place(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("input: {shape: [3]}\nlayers:\n  - {type: dens, units: 4}\n")
    done = run("analyze", str(path), "--json", str(tmp_path / "out.json"))
    assert done.returncode == 2
    assert f"{path}:3:12" in done.stderr
    assert not (tmp_path / "out.json").exists()


def test_over_budget_exits_3_where_it_was_asked_for_by_name(slow: str) -> None:
    for measuring in ([], ["--no-measure"]):
        done = run("analyze", slow, "--strategy", "forward_jacobian", "--budget", "1GiB", *measuring)
        assert done.returncode == 3
        assert "over budget: forward_jacobian needs 202.8 GiB" in done.stderr
        assert "Traceback" not in done.stderr
    assert run("analyze", slow, "--budget", "1GiB", "--no-measure").returncode == 0


def test_a_wrong_figure_exits_1(net: str) -> None:
    code = (
        "from gradcost.graph.rule import Rule; from gradcost.formula import Cost\n"
        "from gradcost.layers.dense import Dense\n"
        "Dense.primal.__dict__['rule'] = Rule(('x', 'W', 'b'), Cost(macs='B*S*n*m + 1', additions='B*S*n*m'))\n"
        "from gradcost.cli.main import main; import sys; main(sys.argv[1:])"
    )
    done = subprocess.run([sys.executable, "-c", code, "analyze", net], capture_output=True, text=True)
    assert done.returncode == 1
    assert "reverse: hidden, primal: macs predicted 13, measured 12" in done.stderr
    assert "NOT as predicted" in done.stdout


def test_interrupted_exits_130_and_leaves_no_file(slow: str, tmp_path: Path) -> None:
    target = tmp_path / "out.json"
    process = subprocess.Popen(
        [*GRADCOST, "analyze", slow, "--measure", "--strategy", "forward_jvp", "--json", str(target)],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    progress = iter(process.stderr.readline, "")
    assert any("measuring forward_jvp" in line for line in progress), "progress is said after a second"
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "interrupted" in err
    assert "Traceback" not in err
    assert out == ""
    assert sorted(p.name for p in tmp_path.iterdir()) == ["slow.yaml"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_an_error_in_one_line(net: str) -> None:
    done = run("analyze", net, "--quiet", "--json", "/dev/full")
    assert done.returncode == 2
    assert "cannot be written: No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_reader_that_leaves_early_is_no_error(net: str) -> None:
    done = subprocess.run(
        f"{sys.executable} -m gradcost analyze {net} --no-measure --explain | head -1; exit ${{PIPESTATUS[0]}}",
        shell=True,
        executable="/bin/bash",
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_an_existing_file_keeps_its_mode_and_is_replaced_whole(net: str, tmp_path: Path) -> None:
    target = tmp_path / "out.json"
    target.write_text("old")
    target.chmod(0o640)
    assert run("analyze", net, "-q", "--json", str(target)).returncode == 0
    assert target.stat().st_mode & 0o777 == 0o640
    assert json.loads(target.read_text())["schema_version"] == "2.0"


def test_configs_and_schema_and_version() -> None:
    listed = run("configs")
    assert listed.returncode == 0
    for name in ("two_layer", "deep_mlp", "mnist_mlp", "residual_mlp", "two_inputs", "bottleneck"):
        assert name in listed.stdout
    assert run("configs", "two_layer").stdout == read("two_layer")
    assert json.loads(run("schema").stdout) == REPORT_SCHEMA
    assert run("--version").stdout == f"gradcost {gradcost.__version__}\n"


def test_prediction_needs_no_numpy(net: str) -> None:
    code = (
        "import sys, gradcost; gradcost.analyze(sys.argv[1], measure=False).to_json(); "
        "sys.exit(any(name in sys.modules for name in ('numpy', 'rich')))"
    )
    assert subprocess.run([sys.executable, "-c", code, net]).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["trace", "two_layer", "--seed", "-1"], "seed must be a whole number of at least 0, not -1"),
        (["crossover", "two_layer", "--along", "zork=1,2"], "no value along zork makes a network: zork: unknown key"),
        (["analyze", "two_layer", "--no-measure", "--html", "FILE", "--along", "zork=1,2"], "--along zork: fewer than"),
        (["analyze", "two_layer", "--no-measure", "--html", "FILE", "--along", "batch=2"], "--along batch: fewer than"),
    ],
)
def test_what_is_not_there_is_not_passed_over(arguments: list[str], words: str, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    done = run(*(str(file) if word == "FILE" else word for word in arguments))
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not file.exists()


def test_a_page_of_a_network_with_a_variable_of_nothing(tmp_path: Path) -> None:
    spec = tmp_path / "net.yaml"
    spec.write_text(
        "vars: {pad: 0}\nbatch: 2\ninput: {shape: [1, 6, 6]}\n"
        "layers: [{type: conv2d, filters: 2, kernel: 3, padding: =pad}]\n",
        encoding="utf-8",
    )
    done = run("analyze", str(spec), "--no-measure", "-q", "--html", str(tmp_path / "page.html"))
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)
