"""Ctrl-C while the program starts: nothing has been begun that would have to be ended, so it just leaves."""

from __future__ import annotations

import os
import sys

from gradcost.cli.codes import INTERRUPTED

TYPE_CHECKING = False  # as typing has it, which is not to be waited for here
if TYPE_CHECKING:
    from typing import NoReturn


def leave_on_interrupt() -> None:
    """Answer SIGINT at once; in a worker process, leave that to the process that hands out the work."""
    try:
        import signal  # which takes longer than all before it
    except KeyboardInterrupt:
        leave()
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not where the caller ignores it
        signal.signal(signal.SIGINT, signal.SIG_IGN if "multiprocessing.spawn" in sys.modules else leave)


def leave(number: int = 0, frame: object = None) -> NoReturn:
    """Say so in one line, and leave; it may be asked as a handler of signals."""
    os.write(2, b"gradcost: interrupted\n")
    os._exit(INTERRUPTED)
