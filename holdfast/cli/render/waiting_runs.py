"""The waits of the runs of a list, since when they wait, and the commands that end the waits."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from holdfast._util.concurrency import map_concurrently
from holdfast.cli.program import command
from holdfast.cli.render.text import cut, one_line
from holdfast.cli.render.waits import commands, wait_line
from holdfast.errors import HoldfastError, WorkerUnavailable

if TYPE_CHECKING:
    from holdfast.cli.session import Session
    from holdfast.client.listed_run import ListedRun
    from holdfast.progress import Wait

SHOWN_RUNS = 10  # runs whose waits are shown; each is asked for them


async def show_waiting_runs(session: Session, runs: Sequence[ListedRun]) -> None:
    """Writes what the newest runs wait for; if no worker answers, only its kind, which Temporal's index has."""
    waiting = [run for run in runs if run.waits_for and not run.status.is_final]
    if not waiting:
        return
    out, now = session.out, datetime.now(UTC)
    found = await _waits(session, waiting[:SHOWN_RUNS])
    out.say()
    for run in waiting[:SHOWN_RUNS]:
        waits = found.get(run.run_id) or []
        if not waits:
            out.say((one_line(run.run_id), "bold"), f" waits: {', '.join(run.waits_for)}")
            out.say((f"  {command('show', run.run_id)}", "dim"))
        for wait in waits:
            out.say((one_line(run.run_id), "bold"), cut(f" waits for {wait_line(wait, now)}", out.full_width))
            for line in commands(run.run_id, wait):
                out.say((f"  {line}", "dim"))
    if len(waiting) > SHOWN_RUNS:
        out.note(f"and {len(waiting) - SHOWN_RUNS:,} more that wait; see {command('list', '--status', 'waiting')}")


async def _waits(session: Session, runs: Sequence[ListedRun]) -> dict[str, list[Wait]]:
    """Returns what each run waits for, by its id, of those that answer."""
    try:
        await session.runs.check_worker()
    except WorkerUnavailable:
        return {}

    async def ask(run: ListedRun) -> tuple[str, list[Wait]]:
        try:
            progress = await session.recorded_run(run.run_id, has_worker=True).status()
        except HoldfastError:
            return run.run_id, []
        return run.run_id, progress.waits_for

    async def each() -> AsyncIterator[ListedRun]:
        for run in runs:
            yield run

    return dict([answer async for answer in map_concurrently(each(), ask)])
