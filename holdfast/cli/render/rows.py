"""Rows that a SurrealQL statement returned, as a table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from holdfast.cli.render.output import Output
from holdfast.cli.render.table import Column, natural_width, show_table
from holdfast.cli.render.text import one_line
from holdfast.cli.render.values import cell, is_id, is_number

VALUE = ""
"""Title of the only column of rows that are not objects."""


def show_result(out: Output, result: Any, statement: str, *, wide: bool) -> int:
    """Writes the result of one statement.

    Args:
        out: receives it.
        result: rows, or one value.
        statement: columns are shown in its order, as the database sorts them by name.
        wide: whether values stay whole, however long a line becomes.

    Returns:
        The number of rows.
    """
    rows = result if isinstance(result, list) else [result]
    columns = _columns(rows, statement)
    if not columns:  # objects without fields
        out.lines(["{}"] * len(rows))
    else:
        show_table(out, columns, width=natural_width(columns) if wide else out.full_width)
    return len(rows)


def _columns(rows: Sequence[Any], statement: str) -> list[Column]:
    objects = [row if isinstance(row, dict) else {VALUE: row} for row in rows]
    titles = sorted(
        dict.fromkeys(name for row in objects for name in row), key=lambda title: _place(title, statement)
    )  # a stable sort: columns that the statement does not name stay in the database's order
    return [
        Column(
            one_line(title),
            [cell(row.get(title)) for row in objects],
            is_number=all(is_number(row[title]) for row in objects if row.get(title) is not None),
            is_whole=any(is_id(row.get(title)) for row in objects),
        )
        for title in titles
    ]


def _place(title: str, statement: str) -> int:
    """Where a statement names a column: as `AS title`, else anywhere."""
    word = re.escape(title)
    found = re.search(rf"\bAS\s+`?{word}\b", statement, re.IGNORECASE) or re.search(rf"\b{word}\b", statement)
    if found:
        return found.start()
    return -1 if title == "id" else len(statement)
