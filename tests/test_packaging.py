"""Wheel, sdist and editable installs, each in a fresh environment of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = ("analyzer", "cli", "configs", "pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the sources: a build writes beside them."""
    copy = tmp_path_factory.mktemp("source")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif (ROOT / name).exists():
            shutil.copy(ROOT / name, copy / name)
    return copy


@pytest.fixture(scope="module")
def built(source: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Build both distributions, the wheel from the sdist."""
    out = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(source)]
    subprocess.run(build, check=True, capture_output=True)
    return {"wheel": next(out.glob("*.whl")), "sdist": next(out.glob("*.tar.gz"))}


def test_nothing_but_gradcost_reaches_site_packages(built: dict[str, Path]) -> None:
    members = zipfile.ZipFile(built["wheel"]).namelist()
    assert {member.split("/")[0].partition("-")[0] for member in members} == {"gradcost"}
    for wanted in ("py.typed", "cli/main.py", "configs/two_layer.yaml", "export/page/page.js", "importing/axes.py"):
        assert f"gradcost/{wanted}" in members
    with tarfile.open(built["sdist"]) as packed:
        assert any(name.endswith("configs/two_layer.yaml") for name in packed.getnames())


@pytest.mark.parametrize("kind", ["wheel", "sdist", "editable"])
def test_install_in_a_fresh_environment(kind: str, source: Path, built: dict[str, Path], tmp_path: Path) -> None:
    environment = tmp_path / "venv"
    venv.create(environment, with_pip=True)
    scripts = environment / ("Scripts" if sys.platform == "win32" else "bin")
    what = ["--editable", str(source)] if kind == "editable" else [str(built[kind])]
    install = [str(scripts / "python"), "-m", "pip", "install", "--quiet", *what]
    subprocess.run(install, check=True, capture_output=True)
    (tmp_path / "net.yaml").write_text((ROOT / "configs" / "two_layer.yaml").read_text())
    for command in ([str(scripts / "gradcost")], [str(scripts / "python"), "-m", "gradcost"]):
        done = subprocess.run([*command, "analyze", "net.yaml"], cwd=tmp_path, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        assert "Verdict: reverse wins" in done.stdout
        listed = subprocess.run([*command, "configs"], cwd=tmp_path, capture_output=True, text=True)
        assert "two_layer" in listed.stdout
    stray = "import importlib.util as u, sys; sys.exit(any(map(u.find_spec, ('analyzer', 'cli', 'configs'))))"
    assert subprocess.run([str(scripts / "python"), "-c", stray], cwd=tmp_path).returncode == 0
