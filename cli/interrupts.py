"""Ctrl-C that is never lost: Python drops an exception that is raised while an object is being freed."""

from __future__ import annotations

import signal
import threading
from types import FrameType

LATER_SECONDS = 0.005
METER = (
    "gradcost.counting.meter"  # which counts buffers as they are made and freed: interrupted there, it would be wrong
)


def watch_interrupts() -> None:
    """Raise ``KeyboardInterrupt`` on SIGINT, but not within a finaliser or the meter: a moment later then."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not where the caller ignores it
        signal.signal(signal.SIGINT, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    here = frame
    while here is not None:
        if here.f_code.co_name == "__del__" or here.f_globals.get("__name__") == METER:
            again = threading.Timer(LATER_SECONDS, signal.raise_signal, [number])
            again.daemon = True
            again.start()
            return
        here = here.f_back
    raise KeyboardInterrupt
