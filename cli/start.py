"""The way in: Ctrl-C is answered before anything that takes time is imported.

What starts the program imports this module, and nothing else does: the answer is put in place by that. Earlier, while
Python itself starts, there is nothing that a program can do.
"""

from __future__ import annotations

import sys

from gradcost.cli.codes import USAGE
from gradcost.cli.leaving import leave_on_interrupt

leave_on_interrupt()


def main(args: list[str] | None = None, prog_name: str = "gradcost") -> None:
    """Run the command line and leave with its exit code."""
    from gradcost.errors import GradcostError

    try:
        from gradcost.cli.main import main as run
    except GradcostError as error:  # an installed package adds what cannot be used
        sys.stderr.write(f"gradcost: error: {error}\n")
        sys.exit(USAGE)
    run(args, prog_name)
