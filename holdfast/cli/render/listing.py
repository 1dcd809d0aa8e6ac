"""A list of runs as lines that fit: ids are never cut, what the run was asked is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.cells import cell_len

from holdfast.cli.render.output import Output, status_mark
from holdfast.cli.render.text import ago, count, cut, duration, one_line
from holdfast.types import RunSummary

GAP = "  "
MIN_INPUT = 12  # cells; less of the input says nothing


@dataclass(frozen=True)
class _Column:
    title: str
    cells: list[str]
    styles: list[str]

    @property
    def width(self) -> int:
        return max(map(cell_len, [self.title, *self.cells]))


def show_runs(out: Output, runs: Sequence[RunSummary], now: datetime) -> None:
    """Writes one line a run, newest first, under a line of titles."""
    columns = _fitting(_columns(runs, now), out.width)
    out.say((GAP.join(_padded(column.title, column) for column in columns).rstrip(), "dim"))
    for row in range(len(runs)):
        parts: list[str | tuple[str, str]] = []
        for column in columns:
            last = column is columns[-1]
            parts.append((column.cells[row] if last else _padded(column.cells[row], column), column.styles[row]))
            parts.append("" if last else GAP)
        out.say(*parts)


def _columns(runs: Sequence[RunSummary], now: datetime) -> list[_Column]:
    marks = [status_mark(run.status) for run in runs]
    plain = ["" for _ in runs]
    return [
        _Column("ID", [run.run_id for run in runs], ["bold" for _ in runs]),
        _Column("STATUS", [mark for mark, _ in marks], [style for _, style in marks]),
        _Column("AGENT", [run.agent for run in runs], plain),
        _Column("TURNS", [str(run.turn) for run in runs], plain),
        _Column("STARTED", [ago(run.started_at, now) for run in runs], ["dim" for _ in runs]),
        _Column("TOOK", [_took(run) for run in runs], ["dim" for _ in runs]),
        _Column("INPUT", [one_line(run.input) for run in runs], plain),
    ]


def _fitting(columns: list[_Column], width: int) -> list[_Column]:
    """Gives the input what room there is; leaves out what is missed least where that is too little."""
    *fixed, text = columns
    for spared in ((), ("TOOK",), ("TOOK", "AGENT"), ("TOOK", "AGENT", "TURNS")):
        kept = [column for column in fixed if column.title not in spared]
        room = width - sum(column.width + len(GAP) for column in kept)
        if room >= MIN_INPUT:
            return [*kept, _Column(text.title, [cut(cell, room) for cell in text.cells], text.styles)]
    return [column for column in fixed if column.title in ("ID", "STATUS", "STARTED")]


def _padded(cell: str, column: _Column) -> str:
    blanks = " " * (column.width - cell_len(cell))
    return blanks + cell if column.title in ("TURNS", "TOOK") else cell + blanks


def _took(run: RunSummary) -> str:
    return duration((run.finished_at - run.started_at).total_seconds()) if run.finished_at else ""


def empty(filtered: bool) -> str:
    """What to say instead of an empty list."""
    return "no run matches" if filtered else "no runs yet"


def total(number: int, limit: int) -> str:
    """What to say below a list that may have been cut off."""
    return f"the newest {count(number, 'run')}; --limit shows more" if number == limit else ""
