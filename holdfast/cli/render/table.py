"""Rows of text below titles."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len

from holdfast.cli.render.output import Output
from holdfast.cli.render.text import cut

GAP = "  "
WIDEST = 32  # cells of a column that is not the last; a name may have a thousand


def show_table(out: Output, titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Writes a line a row; the first column is set off, the last one gets the room that is left.

    Args:
        out: takes the lines.
        titles: of the columns.
        rows: a cell for each title, of one line each.
    """
    cells = [[*(cut(cell, WIDEST) for cell in row[:-1]), row[-1]] for row in rows]
    widths = [max(cell_len(line[place]) for line in (titles, *cells)) for place in range(len(titles) - 1)]
    room = max(out.width - sum(widths) - len(GAP) * len(widths), 1)
    out.say((_line(titles, widths, room), "dim"))
    for row in cells:
        first, rest = row[0], _line(row, widths, room)
        out.say((first, "bold"), rest[len(first) :])


def _line(cells: Sequence[str], widths: Sequence[int], room: int) -> str:
    padded = [cell + " " * (width - cell_len(cell)) for cell, width in zip(cells, widths, strict=False)]
    return GAP.join([*padded, cut(cells[-1], room)]).rstrip()
