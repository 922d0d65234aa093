"""Progress on stderr, for whatever takes over a second."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

PATIENCE_SECONDS = 1.0


class Progress:
    """Shows nothing for a second; then a bar on a terminal, a line for each stage elsewhere."""

    def __init__(self, *, enabled: bool = True) -> None:
        """Prepare; the clock starts on entry."""
        self._timer = threading.Timer(PATIENCE_SECONDS, self._show) if enabled else None
        self._lock = threading.Lock()
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self._lines = False
        self._state = ("reading the spec", 0, 0)

    def __enter__(self) -> Progress:
        """Start the clock."""
        if self._timer is not None:
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(self, *exception: object) -> None:
        """Remove the bar."""
        if self._timer is not None:
            self._timer.cancel()
        with self._lock:
            self._timer = None
            if self._bar is not None:
                self._bar.stop()

    def update(self, stage: str, done: int, total: int) -> None:
        """Tell how far a stage is."""
        with self._lock:
            changed = stage != self._state[0]
            self._state = (stage, done, total)
            if self._bar is not None and self._task is not None:
                self._bar.update(self._task, description=stage, completed=done, total=total or None)
            elif self._lines and changed:
                print(f"gradcost: {stage}", file=sys.stderr)

    def _show(self) -> None:
        with self._lock:
            if self._timer is None:
                return
            stage, done, total = self._state
            if not sys.stderr.isatty():
                self._lines = True
                print(f"gradcost: {stage}", file=sys.stderr)
                return
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as Bar

            columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
            self._bar = Bar(*columns, console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task(stage, completed=done, total=total or None)
            self._bar.start()
