"""compare and diff: two networks, two reports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import gradcost
from gradcost.report.diff import Saved, diff, saved
from test_cli import run


def spec(units: int) -> dict[str, Any]:
    return {
        "name": f"net{units}",
        "input": {"shape": [4]},
        "layers": [{"type": "dense", "units": units}],
        "loss": "mse",
    }


def report(units: int, **options: Any) -> Saved:
    return saved(gradcost.analyze(spec(units), measure=False, **options).to_dict())


def test_a_report_does_not_differ_from_itself() -> None:
    assert diff(report(3), report(3)) == []


def test_changes_beyond_the_threshold_are_found() -> None:
    old, new = report(100), report(101)
    every = {(change.strategy, change.figure): change for change in diff(old, new)}
    reverse = every["reverse", "macs"]
    assert (reverse.old, reverse.new) == (800, 808)
    assert reverse.growth == pytest.approx(0.01)
    assert diff(old, new, threshold=0.05) == [c for c in every.values() if c.growth > 0.05]
    assert ("reverse", "macs") not in {(c.strategy, c.figure) for c in diff(old, new, threshold=0.011)}


def test_strategies_that_come_and_go() -> None:
    one, two = report(3, strategies=["reverse"]), report(3, strategies=["forward_jvp"])
    gone, added = diff(one, two)
    assert (gone.strategy, gone.new, gone.growth) == ("reverse", None, float("inf"))
    assert (added.strategy, added.old, added.growth) == ("forward_jvp", None, 0.0)


@pytest.fixture
def files(tmp_path: Path) -> dict[int, str]:
    found = {}
    for units in (3, 4):
        path = tmp_path / f"{units}.json"
        path.write_text(gradcost.analyze(spec(units), measure=False).to_json())
        found[units] = str(path)
    return found


def test_diff_command_fails_where_a_cost_grew(files: dict[int, str]) -> None:
    grown = run("diff", files[3], files[4])
    assert grown.returncode == 1
    assert "+33.33%" in grown.stdout
    assert "the name differs: net3 and net4" in grown.stderr
    assert run("diff", files[4], files[3]).returncode == 0, "costs that fell are fine"
    assert run("diff", files[3], files[3]).stdout.strip() == "Nothing changed."
    assert run("diff", files[3], files[4], "--threshold", "500%").returncode == 0
    assert run("diff", files[3], files[4], "--threshold", "x").returncode == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("not json", "is not JSON"),
        ("[]", "is no report of schema version"),
        ('{"schema_version": "1.0"}', "lacks predicted figures"),
        ('{"schema_version": "1.0", "strategies": {"reverse": {"predicted": {"macs": "x"}}}}', "lacks predicted"),
        (None, "cannot be read"),
    ],
)
def test_a_file_that_is_no_report_is_refused(
    text: str | None, message: str, files: dict[int, str], tmp_path: Path
) -> None:
    path = tmp_path / "bad.json"
    if text is not None:
        path.write_text(text)
    done = run("diff", str(path), files[3])
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_reports_of_different_things_are_refused_unless_anyway(tmp_path: Path) -> None:
    paths = []
    for batch in (1, 2):
        paths.append(str(tmp_path / f"{batch}.json"))
        Path(paths[-1]).write_text(gradcost.analyze(spec(3), measure=False, batch=batch).to_json())
    refused = run("diff", *paths)
    assert (refused.returncode, "the batch differs: 1 and 2" in refused.stderr) == (2, True)
    assert run("diff", *paths, "--anyway").returncode == 1
    old = json.loads(Path(paths[0]).read_text())
    old["schema_version"] = "1.0"
    del old["target"]
    Path(paths[1]).write_text(json.dumps(old))
    unknown = run("diff", paths[1], paths[0])
    assert (unknown.returncode, unknown.stdout.strip()) == (0, "Nothing changed.")
    assert "whether the outputs are the same is not known" in unknown.stderr


def test_a_threshold_of_5_asks_for_a_percent_sign(files: dict[int, str]) -> None:
    done = run("diff", files[3], files[4], "--threshold", "5")
    assert (done.returncode, "write 5%" in done.stderr) == (2, True)


def test_compare_command(tmp_path: Path) -> None:
    paths = []
    for units in (3, 6):
        paths.append(tmp_path / f"{units}.yaml")
        paths[-1].write_text(json.dumps(spec(units)))
    done = run("compare", *map(str, paths), "--strategy", "reverse", "--batch", "2")
    assert done.returncode == 0, done.stderr
    assert "net3, batch 2" in done.stdout
    (macs,) = [line.split() for line in done.stdout.splitlines() if line.startswith("reverse MACs")]
    assert macs == ["reverse", "MACs", "48", "96", "2x"]
