"""The README shows what its commands print."""

from __future__ import annotations

import pytest

from readme import README, alike, printed, sessions

TRACE = "gradcost trace configs/two_layer.yaml --digits 3"


@pytest.mark.parametrize(("command", "output"), list(sessions(README.read_text(encoding="utf-8"))))
def test_each_session_is_what_its_command_prints(command: str, output: str) -> None:
    assert alike(printed(command)) == alike(output)


def test_the_trace_is_an_excerpt_of_what_its_command_prints() -> None:
    """Between its dots stand lines as they are printed, in that order."""
    _, _, after = README.read_text(encoding="utf-8").partition(f"From `{TRACE}`:\n\n```\n")
    parts = after.partition("```")[0].split("...\n")
    assert len(parts) > 1
    left = "\n".join(alike(printed(TRACE)))
    for part in parts:
        _, found, left = left.partition("\n".join(alike(part)))
        assert found, part
