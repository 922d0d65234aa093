"""Ctrl-C while the program starts: nothing has been begun that would have to be ended, so it just leaves."""

from __future__ import annotations

import os
import signal
import sys

from gradcost.cli.codes import INTERRUPTED


def leave_on_interrupt() -> None:
    """Answer SIGINT at once; in a worker process, leave that to the process that hands out the work."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not where the caller ignores it
        signal.signal(signal.SIGINT, signal.SIG_IGN if "multiprocessing.spawn" in sys.modules else leave)


def leave(number: int, frame: object) -> None:
    """Say so in one line, and leave."""
    os.write(2, b"gradcost: interrupted\n")
    os._exit(INTERRUPTED)
