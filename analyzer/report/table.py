"""A table as data: columns with a drop order, rows of text, and its forms for a terminal, Markdown and HTML.

A narrow terminal drops whole columns, the least important first; no cell is ever cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from html import escape
from itertools import groupby
from typing import NamedTuple

GAP = "  "
NAME_LENGTH = 36  # of a name in a cell; of a longer one, the ends are shown
_MARKDOWN = str.maketrans({mark: f"\\{mark}" for mark in "\\`*_[]<>|#"} | {"\n": " "})


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        label: its head.
        right: whether it is flush right, as numbers are.
        drop: the place in the order in which columns are dropped, the largest first; 0: never.
        group: what stands above it and its neighbours of the same group.
        close: whether it stands close to the column before it, as a factor does to its figure.
    """

    label: str
    right: bool = True
    drop: int = 0
    group: str = ""
    close: bool = False


class Line(NamedTuple):
    """A line of a table for a terminal; its style is ``head``, ``rule``, ``note``, that of its row, or empty."""

    text: str
    style: str


@dataclass(frozen=True)
class Table:
    """Columns and rows of cells.

    Attributes:
        columns: in order; the first is what rows are known by.
        title: above it; empty for none.
        rows: of as many cells as there are columns.
        styles: of the rows, by number: ``best``, ``dim`` or ``total``.
        notes: lines below it.
    """

    columns: tuple[Column, ...]
    title: str = ""
    rows: list[tuple[str, ...]] = field(default_factory=list)
    styles: dict[int, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, *cells: str, style: str = "") -> None:
        """Append a row."""
        assert len(cells) == len(self.columns)
        if style:
            self.styles[len(self.rows)] = style
        self.rows.append(cells)

    @property
    def width(self) -> int:
        """How many characters a line takes."""
        return sum(self._widths()) + sum(map(len, self._gaps()))

    def fitted(self, width: int) -> Table:
        """Return the table without the columns that a width has no room for, or that say nothing."""
        table = self._without({i for i in range(1, len(self.columns)) if self._empty(i)})
        while table.width > width:
            most = max(column.drop for column in table.columns)
            if most == 0:
                return table  # the terminal wraps what is left; nothing is cut
            table = table._without({i for i, column in enumerate(table.columns) if column.drop == most})
        return table

    def lines(self, width: int) -> Iterator[Line]:
        """Yield the lines for a terminal of a width."""
        table = self.fitted(width)
        widths = table._widths()
        if table.title:
            yield Line(table.title, "head")
        if any(column.group for column in table.columns):
            yield Line(table._groups(widths), "head")
        yield Line(table._line([column.label for column in table.columns], widths), "head")
        yield Line("─" * table.width, "rule")
        for number, row in enumerate(table.rows):
            yield Line(table._line(row, widths), table.styles.get(number, ""))
        for note in table.notes:
            yield Line(note, "note")

    def to_markdown(self) -> str:
        """Return the table in GitHub's Markdown; the best row is bold."""
        heads = [f"{column.group} {column.label}".strip() for column in self.columns]
        lines = [_markdown(heads), _markdown(["---:" if column.right else "---" for column in self.columns], raw=True)]
        for number, row in enumerate(self.rows):
            best = self.styles.get(number) == "best"
            first = f"**{escaped(row[0])}**" if best else escaped(row[0])
            lines.append(_markdown([first, *(escaped(cell) for cell in row[1:])], raw=True))
        return "\n".join(lines) + "\n"

    def to_html(self) -> str:
        """Return the table in HTML, without styles."""
        heads = "".join(f"<th>{escape(f'{column.group} {column.label}'.strip())}</th>" for column in self.columns)
        rows = ("".join(f"<td>{escape(cell)}</td>" for cell in row) for row in self.rows)
        return f"<table><tr>{heads}</tr>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>"

    def _widths(self) -> list[int]:
        cells = ([column.label for column in self.columns], *self.rows)
        widths = [max(len(row[i]) for row in cells) for i in range(len(self.columns))]
        for group, run in groupby(range(len(widths)), key=lambda i: self.columns[i].group):
            places = list(run)
            inside = sum(widths[i] for i in places) + sum(
                len(gap) for gap in self._gaps()[places[0] + 1 : places[-1] + 1]
            )
            widths[places[-1]] += max(len(group) - inside, 0)
        return widths

    def _gaps(self) -> list[str]:
        """Return what stands before each column."""
        return ["" if i == 0 else " " if column.close else GAP for i, column in enumerate(self.columns)]

    def _empty(self, index: int) -> bool:
        return bool(self.rows) and not any(row[index] for row in self.rows)

    def _without(self, dropped: set[int]) -> Table:
        def kept(cells: Sequence[str]) -> tuple[str, ...]:
            return tuple(cell for i, cell in enumerate(cells) if i not in dropped)

        columns = tuple(column for i, column in enumerate(self.columns) if i not in dropped)
        return replace(self, columns=columns, rows=[kept(row) for row in self.rows])

    def _line(self, cells: Sequence[str], widths: Sequence[int]) -> str:
        padded = (
            gap + (cell.rjust(width) if column.right else cell.ljust(width))
            for cell, width, column, gap in zip(cells, widths, self.columns, self._gaps(), strict=True)
        )
        return "".join(padded).rstrip()

    def _groups(self, widths: Sequence[int]) -> str:
        line, end = "", 0
        for column, width, gap in zip(self.columns, widths, self._gaps(), strict=True):
            end += len(gap)
            if not line.rstrip().endswith(column.group):
                line = line.ljust(end) + column.group
            end += width
        return line


def short(name: str) -> str:
    """Return a name, of a long one its ends."""
    if len(name) <= NAME_LENGTH:
        return name
    half = NAME_LENGTH // 2
    return f"{name[: half - 1]}…{name[-half:]}"


def escaped(text: str) -> str:
    """Return text for Markdown, in which none of its characters means anything."""
    return text.translate(_MARKDOWN)


def _markdown(cells: Iterable[str], *, raw: bool = False) -> str:
    return f"| {' | '.join(cell if raw else escaped(cell) for cell in cells)} |"
