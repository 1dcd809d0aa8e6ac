"""The waits of a run, since when it waits, and the commands that end the wait."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from holdfast.cli.program import command
from holdfast.cli.render.text import ago, local_time, one_line
from holdfast.endings import endings
from holdfast.progress import Wait
from holdfast.types import RunId

SHOWN_WAITS = 10  # of one run; --json has them all


def wait_line(wait: Wait, now: datetime) -> str:
    """A wait on one line."""
    limit = f", until {local_time(wait.until)}" if wait.until else ""
    return f"{one_line(wait.what)}, since {local_time(wait.since)} ({ago(wait.since, now)}){limit}"


def wait_lines(run_id: RunId, waits: Sequence[Wait], now: datetime) -> list[str]:
    """Each wait, followed by its commands, which are indented."""
    lines: list[str] = []
    for wait in waits[:SHOWN_WAITS]:
        lines.append(wait_line(wait, now))
        lines += [f"  {line}" for line in commands(run_id, wait)]
    if len(waits) > SHOWN_WAITS:
        lines.append(f"and {len(waits) - SHOWN_WAITS} more")
    return lines


def commands(run_id: RunId, wait: Wait) -> list[str]:
    """The commands that end a wait, to be pasted into the shell."""
    return [command(*words) for words in endings(run_id, wait)]


def wait_documents(run_id: RunId, waits: Sequence[Wait]) -> list[dict[str, Any]]:
    """Waits as plain values, each with the words of the commands that end it."""
    return [wait.model_dump(mode="json") | {"ends_with": endings(run_id, wait)} for wait in waits]
