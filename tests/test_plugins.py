"""A strategy and a layer from outside: the guide's, as an installed package would add them, in every command."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

GUIDE = (Path(__file__).parent.parent / "docs" / "extending.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
NET = """
input: {shape: [3]}
layers: [{type: dense, units: 4}, {type: cube}, {type: dense, units: 2}]
loss: mse
"""


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """Return a folder with an installed package that has the guide's strategy and layer."""
    (strategy,) = (block for block in BLOCKS if "\nSTRATEGY = " in block)
    (layer,) = (block for block in BLOCKS if "\nCUBE = " in block)
    (tmp_path / "outside_strategy.py").write_text(strategy)
    (tmp_path / "outside_layer.py").write_text(layer)
    info = tmp_path / "outside-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: outside\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[gradcost.strategies]\nstretched = outside_strategy:STRATEGY\n\n[gradcost.layers]\ncube = outside_layer:CUBE\n"
    )
    (tmp_path / "net.yaml").write_text(NET)
    return tmp_path


def run(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *(args if args[0] == "-c" else ("-m", "gradcost", *args))]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)


def test_it_is_analysed_with_its_option(outside: Path) -> None:
    done = run(outside, "analyze", "net.yaml", "--percent", "25", "--json", "-")
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    stretched, reverse = (report["strategies"][name] for name in ("stretched", "reverse"))
    assert stretched["exact"] is False
    assert stretched["schedule"] == "25 %"
    assert report["settings"]["percent"] == 25
    parameters = report["network"]["parameters"]
    assert stretched["predicted"]["multiplies"] == reverse["predicted"]["multiplies"] + parameters
    assert stretched["measured"]["multiplies"] == stretched["predicted"]["multiplies"]
    assert stretched["measured"]["gradient_max_relative_error"] == pytest.approx(0.25)
    table = run(outside, "analyze", "net.yaml", "--strategy", "too_much")
    assert re.search(r"\nstretched +\d+ .*= predicted", table.stdout)
    assert run(outside, "analyze", "net.yaml", "--percent", "-3").returncode == 2
    assert "stretched (too_much)" in " ".join(run(outside, "analyze", "--help").stdout.split())


def test_an_estimate_that_is_not_what_it_should_be_is_wrong(outside: Path) -> None:
    code = (outside / "outside_strategy.py").read_text()
    (outside / "outside_strategy.py").write_text(
        code.replace("np.multiply(gradient, self.factor", "np.multiply(gradient, 2.0")
    )
    done = run(outside, "analyze", "net.yaml")
    assert done.returncode == 1
    assert "gradcost: wrong: stretched: " in done.stderr
    assert "gradients differ by" in done.stderr


def test_it_is_swept_by_processes(outside: Path) -> None:
    done = run(outside, "sweep", "net.yaml", "--set", "batch=1:4", "--jobs", "2", "--percent", "30", "--jsonl", "rows")
    assert (done.returncode, done.stderr) == (0, "")
    rows = [json.loads(line) for line in (outside / "rows").read_text().splitlines()[1:]]
    assert sorted(row["set"]["batch"] for row in rows) == [1, 2, 3, 4]
    assert all("stretched" in row["strategies"] for row in rows)


def test_it_is_swept_by_a_dask_worker(outside: Path) -> None:
    code = """
from distributed import LocalCluster, Client
import gradcost
if __name__ == "__main__":
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        axes = [gradcost.Axis("batch", (1, 2))]
        rows = list(gradcost.sweep("net.yaml", axes, executor=client.get_executor(), percent=5))
    print(sorted(row.strategies["stretched"]["predicted"]["peak_bytes"] > 0 for row in rows))
"""
    (outside / "on_dask.py").write_text(code)
    environment = {**os.environ, "PYTHONPATH": str(outside)}
    done = subprocess.run([sys.executable, "on_dask.py"], cwd=outside, env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == "[True, True]", done.stderr


@pytest.mark.parametrize(
    ("value", "message"), [("nowhere:STRATEGY", "cannot be loaded"), ("json:dumps", "is no Strategy")]
)
def test_one_that_is_none_is_named(outside: Path, value: str, message: str) -> None:
    (outside / "outside-1.0.dist-info" / "entry_points.txt").write_text(f"[gradcost.strategies]\nbad = {value}\n")
    done = run(outside, "analyze", "net.yaml")
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
