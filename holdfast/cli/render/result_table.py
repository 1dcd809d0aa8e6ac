"""Rows of a database as a table that fits the terminal, or as blocks where their columns do not."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len

from holdfast.cli.render.output import Output
from holdfast.cli.render.result_text import cell, is_id, is_number
from holdfast.cli.render.text import columns, cut, one_line

GAP = "  "
NARROWEST = 8  # cells; a column that is cut to less says nothing: then a row is a block of lines
VALUE = ""
"""Title of the only column of rows that are no objects."""


@dataclass(frozen=True)
class _Column:
    title: str
    cells: list[str]
    is_number: bool
    is_id: bool
    """An id that is cut is of no use."""

    @property
    def width(self) -> int:
        return max(map(cell_len, [self.title, *self.cells]))

    def line(self, text: str, width: int) -> str:
        shown = cut(text, width)
        blanks = " " * (width - cell_len(shown))
        return blanks + shown if self.is_number else shown + blanks


def show_result(out: Output, result: Any, statement: str, *, wide: bool) -> int:
    """Writes what one statement gave.

    Args:
        out: takes it.
        result: rows, or one value.
        statement: the columns are shown in its order; the database sorts them by name.
        wide: values are whole, however long a line becomes.

    Returns:
        The number of rows.
    """
    rows = result if isinstance(result, list) else [result]
    table = _columns(rows, statement)
    widths = [column.width for column in table] if wide else _fitted(table, out.full_width)
    if widths is None:
        _show_blocks(out, table, len(rows))
    else:
        _show_table(out, table, widths, len(rows))
    return len(rows)


def _columns(rows: Sequence[Any], statement: str) -> list[_Column]:
    objects = [row if isinstance(row, dict) else {VALUE: row} for row in rows]
    titles = sorted(
        dict.fromkeys(name for row in objects for name in row), key=lambda title: _place(title, statement)
    )  # a stable sort: columns that the statement does not name stay in the database's order
    return [
        _Column(
            one_line(title),
            [cell(row.get(title)) for row in objects],
            all(is_number(row[title]) for row in objects if row.get(title) is not None),
            any(is_id(row.get(title)) for row in objects),
        )
        for title in titles
    ]


def _place(title: str, statement: str) -> int:
    """Where a statement names a column: as `AS title`, else at all."""
    word = re.escape(title)
    found = re.search(rf"\bAS\s+`?{word}\b", statement, re.IGNORECASE) or re.search(rf"\b{word}\b", statement)
    if found:
        return found.start()
    return -1 if title == "id" else len(statement)


def _fitted(table: Sequence[_Column], room: int) -> list[int] | None:
    """Widths that fit, the widest columns cut first, ids last; None where that leaves too little of them."""
    room -= len(GAP) * (len(table) - 1)
    ids = sum(column.width for column in table if column.is_id)
    others = _shares([0 if column.is_id else column.width for column in table], room - ids)
    if others is not None:
        return [column.width if column.is_id else width for column, width in zip(table, others, strict=True)]
    return _shares([column.width for column in table], room)


def _shares(natural: Sequence[int], room: int) -> list[int] | None:
    limit = max(natural, default=0)
    while limit and sum(min(width, limit) for width in natural) > room:
        limit -= 1
    if limit < NARROWEST and limit < max(natural, default=0):
        return None
    return [min(width, limit) for width in natural]


def _show_table(out: Output, table: Sequence[_Column], widths: Sequence[int], rows: int) -> None:
    placed = list(zip(table, widths, strict=True))
    if any(column.title for column in table):
        out.say((GAP.join(column.line(column.title, width) for column, width in placed).rstrip(), "dim"))
    for row in range(rows):
        out.say(GAP.join(column.line(column.cells[row], width) for column, width in placed).rstrip())


def _show_blocks(out: Output, table: Sequence[_Column], rows: int) -> None:
    names = max(cell_len(column.title) for column in table)
    room = max(out.full_width - names - 2 * len(GAP), NARROWEST)
    for row in range(rows):
        if row:
            out.say()
        filled = [(column.title, cut(column.cells[row], room)) for column in table if column.cells[row]]
        out.lines(columns(filled))
