"""Ctrl-C at any moment is one line and exit code 130, from the first module of ours that is imported."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest

import gradcost
import gradcost.cli
from gradcost.configs import read

if sys.platform == "win32":
    pytest.skip("signals are POSIX", allow_module_level=True)
WAYS = {
    "script": [str(Path(sysconfig.get_path("scripts")) / "gradcost")],
    "module": [sys.executable, "-m", "gradcost"],
}
ANALYZER, CLI = Path(gradcost.__file__).resolve().parent, Path(gradcost.cli.__file__).resolve().parent
BEFORE = {  # what Python imports on its way to the answer: as short as can be
    *(ANALYZER / name for name in ("__init__.py", "__main__.py", "version.py")),
    *(CLI / name for name in ("__init__.py", "start.py", "leaving.py", "codes.py")),
}


def ours(traceback: str) -> set[Path]:
    """Return the files of ours that a traceback passes through, but for those before the answer is in place."""
    files = {Path(name) for name in re.findall(r'File "([^"]+)"', traceback)}
    return {file for file in files if {ANALYZER, CLI} & {*file.parents}} - BEFORE


def interrupted(command: list[str], seconds: float) -> tuple[int, str]:
    """Start a process, interrupt it that much later, and return its exit code and what it says on stderr."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    return process.returncode, err


@pytest.mark.parametrize("way", WAYS)
def test_an_interrupt_in_the_first_moments(way: str, tmp_path: Path) -> None:
    """Python itself starts first, and answers with a traceback that has no line of ours, or dies by the signal."""
    (tmp_path / "net.yaml").write_text(read("deep_mlp"))
    command = [*WAYS[way], "analyze", str(tmp_path / "net.yaml"), "--measure"]
    answered = 0
    for milliseconds in range(0, 310, 10):
        code, err = interrupted(command, milliseconds / 1000)
        if code == 130:
            assert err.strip() == "gradcost: interrupted"
            answered += 1
        else:
            assert code in (-signal.SIGINT, 1), f"after {milliseconds} ms: {err}"
            assert not ours(err), f"after {milliseconds} ms: {err}"
    assert answered > 15


SIGNALLED = """
import signal, sys
class Watch:
    def find_spec(self, name, path, target=None):
        if name == {module!r}:
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Watch())
sys.argv = ["gradcost", "analyze", {spec!r}, *{options!r}]
from gradcost.cli.start import main
main()
"""


@pytest.mark.parametrize("module", ["gradcost.cli.main", "click", "yaml", "gradcost.report.analyze", "numpy"])
def test_an_interrupt_while_a_module_is_imported(module: str, tmp_path: Path) -> None:
    (tmp_path / "net.yaml").write_text(read("deep_mlp"))
    code = SIGNALLED.format(module=module, spec=str(tmp_path / "net.yaml"), options=["--measure"])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr.strip()) == (130, "", "gradcost: interrupted")


def test_a_process_that_is_told_to_ignore_interrupts_does(tmp_path: Path) -> None:
    (tmp_path / "net.yaml").write_text(read("two_layer"))
    command = [*WAYS["module"], "analyze", str(tmp_path / "net.yaml"), "--quiet"]
    ignoring = (
        "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"
    )
    code, err = interrupted([sys.executable, "-c", ignoring, *command], 0.1)
    assert (code, err) == (0, "")


def test_importing_the_commands_leaves_interrupts_as_they_are() -> None:
    code = (
        "import signal; before = signal.getsignal(signal.SIGINT); import gradcost.cli.main\n"
        "assert signal.getsignal(signal.SIGINT) is before"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
