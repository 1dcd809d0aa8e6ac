"""A list of runs: ids are never cut, the input is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from holdfast.cli.render.output import Output
from holdfast.cli.render.status import status_mark
from holdfast.cli.render.table import Column, fits, natural_width, show_table
from holdfast.cli.render.text import ago, duration, one_line
from holdfast.client.listed_run import ListedRun

LEAST_NEEDED = ("TOOK", "AGENT", "TURNS", "STAGE", "INPUT", "STARTED")
"""Columns that are left out where the terminal is too narrow, in this order."""

NARROWEST_INPUT = 12  # cells; some two words


def show_runs(out: Output, runs: Sequence[ListedRun], now: datetime) -> None:
    """Writes one line for each run, below the titles."""
    columns = _columns(runs, now)
    for title in LEAST_NEEDED:
        if fits(columns, out.width):
            break
        columns = [column for column in columns if column.title != title]
    show_table(out, columns, width=out.width if fits(columns, out.width) else natural_width(columns))


def _columns(runs: Sequence[ListedRun], now: datetime) -> list[Column]:
    marks = [status_mark(run.status) for run in runs]
    return [
        Column("ID", [one_line(run.run_id) for run in runs], "bold", is_whole=True),
        Column("STATUS", [mark for mark, _ in marks], [style for _, style in marks], is_whole=True),
        Column("AGENT", [one_line(run.agent) for run in runs], is_whole=True),
        Column("TURNS", [str(run.turn) for run in runs], is_number=True, is_whole=True),
        *(
            [Column("STAGE", [one_line(run.stage or "") for run in runs], is_whole=True)]
            if any(run.stage for run in runs)
            else []
        ),
        Column("STARTED", [ago(run.started_at, now) for run in runs], "dim", is_whole=True),
        Column("TOOK", [_took(run) for run in runs], "dim", is_number=True, is_whole=True),
        Column("INPUT", [one_line(run.input) for run in runs], narrowest=NARROWEST_INPUT),
    ]


def _took(run: ListedRun) -> str:
    return duration((run.finished_at - run.started_at).total_seconds()) if run.finished_at else ""
