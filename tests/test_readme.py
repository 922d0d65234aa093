"""The README shows what its commands print."""

from __future__ import annotations

import pytest

from readme import README, alike, printed, sessions


@pytest.mark.parametrize(("command", "output"), list(sessions(README.read_text(encoding="utf-8"))))
def test_each_session_is_what_its_command_prints(command: str, output: str) -> None:
    assert alike(printed(command)) == alike(output)
