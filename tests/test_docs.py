"""The guide: its code runs, and proves itself like everything else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import gradcost
from gradcost.layers import LAYER_TYPES
from gradcost.strategies import OPTIONS, STRATEGIES

ROOT = Path(__file__).parent.parent
GUIDE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")


def code(name: str) -> Any:
    """Return what the guide's code of that name defines."""
    found: dict[str, Any] = {}
    (text,) = (text for text in re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL) if f"\n{name} = " in text)
    exec(text, found)
    return found[name]


@pytest.mark.parametrize("shape", [[4], [2, 3], [2, 3, 3]])
@pytest.mark.parametrize("kind", ["cube", "prelu"])
def test_the_guides_layers_are_right_in_every_strategy(
    kind: str, shape: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LAYER_TYPES, kind, code(kind.upper()))
    dense = {"type": "dense", "units": 3}
    spec = {"batch": 2, "input": {"shape": shape}, "layers": [dense, {"type": kind}, dense], "loss": "mse"}
    report = gradcost.analyze(spec, measure=True)
    assert not report.mismatches
    for strategy in report.strategies.values():
        assert strategy.measured is not None
        assert strategy.exact is False or strategy.measured.gradient_max_relative_error is not None
    assert report.strategies["reverse"].predicted.multiplies > 0


def test_the_guides_strategy_is_an_estimate_with_an_option(monkeypatch: pytest.MonkeyPatch) -> None:
    strategy = code("STRATEGY")
    monkeypatch.setitem(STRATEGIES, strategy.name, strategy)
    monkeypatch.setitem(OPTIONS, "percent", strategy.options[0])
    report = gradcost.analyze(ROOT / "configs" / "residual_mlp.yaml", measure=True, percent=50)
    assert not report.mismatches
    measured = report.strategies[strategy.name].measured
    assert measured is not None
    assert measured.gradient_max_relative_error == pytest.approx(0.5)
    with pytest.raises(gradcost.UsageError, match="percent must be at least 0"):
        gradcost.analyze("two_layer", percent=-1, measure=False)


@pytest.mark.parametrize(
    "page", [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md"], ids=lambda page: page.name
)
def test_paths_and_links_in_the_pages_are_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"`((?:analyzer|cli|configs|tests|docs)/[A-Za-z0-9_/.]+)`", text)
    linked = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    missing = [name for name in named if not (ROOT / name).exists()]
    missing += [link for link in linked if not (page.parent / link).exists()]
    assert not missing


def test_every_command_and_layer_type_is_in_the_readme() -> None:
    from gradcost.cli.main import commands

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [name for name in commands.commands if f"gradcost {name}" not in text] == []
    assert [name for name in LAYER_TYPES if f"`{name}`" not in text] == []


def test_a_pass_of_forward_jvp_takes_what_the_page_says() -> None:
    page = (ROOT / "docs" / "mathematics.md").read_text(encoding="utf-8")
    (said,) = re.findall(r"of ([\d.]+) primals on `deep_mlp`", page)
    report = gradcost.analyze("deep_mlp", strategies="forward_jvp", measure=False)
    macs = report.strategies["forward_jvp"].predicted.macs / report.network.trained
    assert f"{macs / report.primal.predicted.macs:.1f}" == said
