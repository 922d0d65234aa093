"""Where the rows of a sweep go: JSON Lines as they come, CSV, and tables."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from gradcost.cli.output import check_writable, write_whole
from gradcost.cli.render import console, show
from gradcost.errors import UsageError
from gradcost.export.text import csv_text
from gradcost.grids import Axis, Row, growth
from gradcost.grids.run import Settings
from gradcost.report.figures import RANKING
from gradcost.report.table import Column, Table

SHOWN_ROWS = 60


class RowFile:
    """The rows of a sweep, each a line of a JSON Lines file, if there is one, from the moment that it is done."""

    def __init__(self, target: str | None, fingerprint: str, axes: Sequence[Axis], *, resume: bool) -> None:
        """Take over the rows of an earlier run, if told to. Raises ``UsageError`` for a file that cannot be used."""
        self.done: dict[int, Row] = {}
        self._target = target
        self._mark = {"sweep": fingerprint, "axes": [[axis.path, list(axis.values)] for axis in axes]}
        self._stream: TextIO | None = None
        self._unwritten: list[Row] = []
        check_output(target, "--jsonl")
        if target is None:
            return
        path = Path(target)
        if path.exists() and path.stat().st_size and not resume:
            raise UsageError(f"--jsonl {target!r} is there already; --resume goes on with it, or name another file")
        try:
            kept = self._read(path) if path.exists() else ""
            self._stream = path.open("r+" if path.exists() else "w", encoding="utf-8")
            self._stream.seek(len(kept.encode()))
            self._stream.truncate()  # a last line that was cut off in the middle
        except OSError as error:
            raise UsageError(f"--jsonl {target!r} cannot be written: {error.strerror}") from None
        if not kept:
            self._write(self._mark)

    def _read(self, path: Path) -> str:
        """Take over the rows of a file, and return its whole lines."""
        text = path.read_text(encoding="utf-8")
        whole = text[: text.rfind("\n") + 1]
        lines = whole.splitlines()
        try:
            if lines and json.loads(lines[0]) != self._mark:
                raise UsageError(
                    f"--jsonl {self._target!r} is of another network, grid, version or options; name another file"
                )
            for line in lines[1:]:
                row = Row(**json.loads(line))
                self.done[row.index] = row
        except (ValueError, TypeError, AttributeError):
            raise UsageError(f"--jsonl {self._target!r} holds something else than a sweep; name another file") from None
        return whole

    def __enter__(self) -> RowFile:
        """Return itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Write the row that an interrupt may have come before, and close the file."""
        if self._stream is not None:
            with self._stream:
                self._write_rows()

    def add(self, row: Row) -> None:
        """Keep a row, and write its line at once."""
        self.done[row.index] = row
        self._unwritten.append(row)
        self._write_rows()

    def _write_rows(self) -> None:
        """Write what is not written yet; an interrupt may leave a line twice, but none out."""
        while self._unwritten:
            self._write(self._unwritten[0].to_dict())
            del self._unwritten[0]

    def _write(self, record: Mapping[str, Any]) -> None:
        if self._stream is None:
            return
        try:
            self._stream.write(json.dumps(record) + "\n")
            self._stream.flush()
        except OSError as error:
            self._unwritten.clear()
            stream, self._stream = self._stream, None
            with suppress(OSError):  # said below; what it still holds cannot be written now either
                stream.close()
            done = f"{len(self.done):,} rows are done"
            raise UsageError(f"--jsonl {self._target!r} cannot be written: {error.strerror}; {done}") from None

    def sorted(self) -> list[Row]:
        """Return all rows in the order of the grid."""
        return [self.done[index] for index in sorted(self.done)]


def check_output(target: str | None, option: str) -> None:
    """Refuse, before any work is done, a file that could not be written. Raises ``UsageError``."""
    if target is not None:
        check_writable(target, option)


def write_csv(target: str, axes: Sequence[Axis], rows: Sequence[Row]) -> None:
    """Write a line for each row and strategy; a row with an error has one line, without figures."""
    write_whole(target, csv_text(list(_records(axes, rows))), "--csv")


def _records(axes: Sequence[Axis], rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    for row in rows:
        common: dict[str, Any] = {axis.path: row.set[axis.path] for axis in axes}
        common |= {"parameters": row.network.get("parameters", ""), "error": row.error or ""}
        if not row.strategies:
            yield common
        for name, figures in row.strategies.items():
            predicted = {f"predicted_{key}": value for key, value in figures["predicted"].items()}
            measured = {f"measured_{key}": value for key, value in (figures["measured"] or {}).items()}
            yield {**common, "strategy": name, **predicted, **measured}


def render_rows(tree: Mapping[str, Any], axes: Sequence[Axis], rows: Sequence[Row], settings: Settings) -> None:
    """Print the grid, and how the figures grow along each axis."""
    to = console()
    heads = [Column(axis.path) for axis in axes]
    figures = [Column(figure.label) for figure in RANKING]
    grid = Table((*heads, Column("strategy", right=False), *figures, Column("", right=False, drop=1)))
    for row in rows:
        values = [str(row.set[axis.path]) for axis in axes]
        for position, (name, shown) in enumerate(row.strategies.items()):
            measured = shown["measured"]
            state = "" if not settings.measure else "not run" if measured is None else "= measured"
            state = "NOT as measured" if row.error and measured else state
            place = values if position == 0 else [""] * len(axes)
            grid.add(*place, name, *(figure.show(shown["predicted"][figure.key]) for figure in RANKING), state)
        if not row.strategies:
            grid.add(*values, "-", *("-" for _ in RANKING), "error" if row.error else "nothing is trainable")
        if len(grid.rows) >= SHOWN_ROWS:
            grid.notes.append(f"... of {len(rows):,} points; --jsonl and --csv have them all.")
            break
    show(to, grid)
    found = growth(tree, axes, rows, settings)
    if not found:
        return
    to.print()
    columns = [Column("strategy", right=False), Column("along", right=False)]
    for figure in RANKING:
        columns += [Column(figure.label), Column("order", drop=1)]
    growing = Table(tuple(columns), "Growth: figure ~ value^exponent")
    lines: dict[tuple[str, str], list[str]] = {}
    for item in found:
        order = "-" if item.order is None else str(item.order)
        lines.setdefault((item.strategy, item.path), []).extend([f"{item.exponent:.2f}", order])
    for (strategy, path), cells in lines.items():
        growing.add(strategy, path, *cells)
    growing.notes.append(
        "Exponents are fitted to the grid; orders are the degrees of the closed forms, where there is one."
    )
    show(to, growing)
