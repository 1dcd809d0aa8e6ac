"""Columns of text as a table that fits the terminal, or as blocks of lines where it cannot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from holdfast.cli.render.output import Output
from holdfast.cli.render.text import cut, pairs

GAP = 2  # cells between two columns
NARROWEST = 8  # cells; most columns that are cut further are unreadable
TITLE_STYLE = "dim"


@dataclass(frozen=True)
class Column:
    """One column of a table; each cell is one line of text that is safe to print."""

    title: str
    cells: Sequence[str]
    style: str | Sequence[str] = ""
    """Of all cells, or of each."""
    is_number: bool = False
    """Numbers are aligned on the right."""
    is_whole: bool = False
    """Whether a cell must never be cut: an id that was cut cannot be pasted into the next command."""
    narrowest: int = NARROWEST
    """Cells below which it is unreadable."""

    @property
    def width(self) -> int:
        """Cells that it takes when nothing is cut."""
        return max(map(cell_len, [self.title, *self.cells]))

    @property
    def least_width(self) -> int:
        """Cells that it needs to be readable."""
        return self.width if self.is_whole else min(self.width, self.narrowest)

    def text(self, row: int) -> Text:
        """A cell with its style."""
        style = self.style if isinstance(self.style, str) else self.style[row]
        return Text(self.cells[row], style, no_wrap=True, overflow="ellipsis")


def natural_width(columns: Sequence[Column]) -> int:
    """Cells that the columns take side by side when nothing is cut."""
    return sum(column.width for column in columns) + GAP * (len(columns) - 1)


def fits(columns: Sequence[Column], width: int) -> bool:
    """Whether the columns stay readable side by side within `width` cells."""
    return sum(column.least_width for column in columns) + GAP * (len(columns) - 1) <= width


def show_table(out: Output, columns: Sequence[Column], *, width: int | None = None) -> None:
    """Writes one line for each row, below the titles.

    The widest columns are cut first, columns that must stay whole last. Where even that leaves too little of
    them, each row becomes a block with a line for each column that has a value.

    Args:
        out: receives the table.
        columns: all of the same length.
        width: cells that a line may take; None means what a line of text may take.
    """
    width = out.width if width is None else width
    if not fits(columns, width):
        columns = [replace(column, is_whole=False) for column in columns]
    if fits(columns, width):
        out.table(_table(columns), width)
    else:
        _show_blocks(out, columns, width)


def _table(columns: Sequence[Column]) -> Table:
    table = Table(
        box=None,
        show_header=any(column.title for column in columns),
        header_style=TITLE_STYLE,
        padding=(0, GAP, 0, 0),
        pad_edge=False,
    )
    for column in columns:
        table.add_column(
            Text(column.title, no_wrap=True, overflow="ellipsis"),
            justify="right" if column.is_number else "left",
            no_wrap=column.is_whole,
            min_width=column.least_width,
        )
    for row in range(len(columns[0].cells)):
        table.add_row(*(column.text(row) for column in columns))
    return table


def _show_blocks(out: Output, columns: Sequence[Column], width: int) -> None:
    titles = max(cell_len(column.title) for column in columns)
    room = max(width - titles - 2 * GAP, NARROWEST)
    for row in range(len(columns[0].cells)):
        if row:
            out.say()
        filled = [(column.title, cut(column.cells[row], room)) for column in columns if column.cells[row]]
        out.lines(pairs(filled))
