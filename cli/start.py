"""The way in: Ctrl-C is answered before anything that takes time is imported.

What starts the program imports this module, and nothing else does: the answer is put in place by that. Earlier, while
Python itself starts, there is nothing that a program can do.
"""

from __future__ import annotations

from gradcost.cli.leaving import leave_on_interrupt

leave_on_interrupt()


def main(args: list[str] | None = None, prog_name: str = "gradcost") -> None:
    """Run the command line and leave with its exit code."""
    from gradcost.cli.main import main as run

    run(args, prog_name)
