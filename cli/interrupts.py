"""Ctrl-C that is never lost, and ends in one line from the first moment to the last.

Python drops an exception that is raised while an object is being freed, and a module that is interrupted while it is
imported may be left half made: there, the answer comes a moment later.
"""

from __future__ import annotations

import signal
from threading import Timer
from types import FrameType

from gradcost.cli.leaving import leave

LATER_SECONDS = 0.005
UNINTERRUPTED = {
    "gradcost.counting.meter",  # which counts buffers as they are made and freed
    "importlib._bootstrap",
}


def watch_interrupts() -> None:
    """Raise ``KeyboardInterrupt`` on SIGINT, at once or, where that would do harm, a moment later."""
    if signal.getsignal(signal.SIGINT) in (signal.default_int_handler, leave):  # not where the caller ignores it
        signal.signal(signal.SIGINT, _interrupt)


def ignore_interrupts() -> None:
    """Let nothing come between the end of the work and that of the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _interrupt(number: int, frame: FrameType | None) -> None:
    here = frame
    while here is not None:
        if here.f_code.co_name == "__del__" or here.f_globals.get("__name__") in UNINTERRUPTED:
            again = Timer(LATER_SECONDS, signal.raise_signal, [number])
            again.daemon = True
            again.start()
            return
        here = here.f_back
    raise KeyboardInterrupt
