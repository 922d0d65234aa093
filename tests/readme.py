"""The README's sessions: each block that begins with ``$ gradcost`` or ``$ python`` is what that prints, 99 columns
wide: at 100, one more column fits where the times happen to be short.

``python tests/readme.py`` runs them all and writes what they print into the README.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
BLOCK = re.compile(r"(?<=```\n)\$ (?:gradcost|python) .*?(?=```)", re.DOTALL)
SHELL = "$ "
TIMES = re.compile(r"\b[\d.]+ (?:us|ms|s)\b|\b\d\.\de[+-]\d\d\b|≈")  # times and rounding differ from run to run


def sessions(text: str) -> Iterator[tuple[str, str]]:
    """Yield each command of a text, and what it is said to print."""
    for block in BLOCK.findall(text):
        for part in re.split(rf"^{re.escape(SHELL)}", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            yield command, output


def printed(command: str) -> str:
    """Run a command and return what it prints."""
    program, *words = shlex.split(command)
    words = words if program == "python" else ["-m", program, *words]
    environment = {**os.environ, "COLUMNS": "99", "NO_COLOR": "1"}
    done = subprocess.run([sys.executable, *words], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode in (0, 3), done.stderr  # 3: what was named is over the budget, which is shown
    return "".join(f"{line.rstrip()}\n" for line in done.stdout.splitlines())


def alike(output: str) -> list[str]:
    """Return the lines of an output without what differs from run to run: times, rounding, and the room they take."""
    lines = (re.sub(r"─+", "─", re.sub(r" +", " ", TIMES.sub("#", line))).strip() for line in output.splitlines())
    return [line for line in lines if line]


def renewed(text: str) -> str:
    """Return a text with what its commands print now."""

    def block(match: re.Match[str]) -> str:
        return "".join(f"{SHELL}{command}\n{printed(command)}" for command, _ in sessions(f"```\n{match[0]}```"))

    return BLOCK.sub(block, text)


if __name__ == "__main__":
    README.write_text(renewed(README.read_text(encoding="utf-8")), encoding="utf-8")
