"""Following of a run until it ends, or until Ctrl-C."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from holdfast._util.concurrency import beside
from holdfast.cli.program import command
from holdfast.cli.render.narrator import Narrator
from holdfast.cli.session import Session
from holdfast.cli.stack_watch import StackWatch
from holdfast.errors import HoldfastError, Unavailable, WaitTimedOut
from holdfast.events import Notice
from holdfast.types import Entry, RunResult

if TYPE_CHECKING:
    from holdfast.client.run_handle import RunHandle

WAITING_INTERVAL = 1.0  # seconds between two updates of what a run is waiting for
RESULT_DELAY = 0.5  # seconds; the result of a run that has ended arrives well before


async def follow(session: Session, run: RunHandle, *, entries: list[Entry] | None = None) -> RunResult:
    """Shows everything that happens until the run ends, and returns its result.

    Args:
        session: an open connection.
        run: the run to follow.
        entries: if given, every entry of the run's log is added to it.

    Raises:
        RunNotFound: no run has this id.
        Unavailable: Temporal or the worker is unavailable.
    """
    narrator = Narrator(session.out, run_id=run.id)
    async with _advised(session, run), _watched_stack(session, narrator):
        await session.has_worker()
        async with waiting_shown(narrator):
            async for event in run.events():
                narrator.show(event)
                if entries is not None and isinstance(event, Entry):
                    entries.append(event)
        return (await run.result()).run


async def wait(session: Session, run: RunHandle, *, timeout: float | None = None) -> RunResult:
    """Waits until the run ends, and returns its result; shows only the reasons for which nothing happens.

    Args:
        session: an open connection.
        run: the run to wait for.
        timeout: seconds to wait; `None` means as long as it takes.

    Raises:
        WaitTimedOut: the time passed; the run continues.
        RunNotFound: no run has this id.
        Unavailable: Temporal is unavailable.
    """
    narrator = Narrator(session.out, run_id=run.id, notices_only=True)
    async with (
        _advised(session, run, timeout),
        _watched_stack(session, narrator),
        beside(_show_notices(session, run, narrator)),
    ):
        return (await run.result()).run


async def _show_notices(session: Session, run: RunHandle, narrator: Narrator) -> None:
    await asyncio.sleep(RESULT_DELAY)
    with suppress(HoldfastError):  # waiting for the result raises it too
        await session.has_worker()
        async with waiting_shown(narrator):
            async for event in run.events():
                narrator.show(event)


@asynccontextmanager
async def waiting_shown(narrator: Narrator) -> AsyncIterator[None]:
    """Shows what the run is waiting for while the block runs, and ends the narrator's line after it."""

    async def show() -> None:
        while True:
            await asyncio.sleep(WAITING_INTERVAL)
            narrator.show_waiting()

    try:
        async with beside(show()):
            yield
    finally:
        narrator.end()


@asynccontextmanager
async def _watched_stack(session: Session, narrator: Narrator) -> AsyncIterator[None]:
    """Shows during the block which parts of the local stack have ended, and which run again."""
    if not session.is_local:
        yield
        return

    async def show() -> None:
        async for text in StackWatch(session.settings.holdfast_home.absolute()).notices():
            narrator.show(Notice(text=text))

    async with beside(show()):
        yield


@asynccontextmanager
async def _advised(session: Session, run: RunHandle, timeout: float | None = None) -> AsyncIterator[None]:
    """Reports what happens to the run if the block ends before it does."""
    try:
        async with asyncio.timeout(timeout):
            yield
    except asyncio.CancelledError:
        _note_commands(session, run, "\nthe run continues without you")
        raise
    except TimeoutError:
        if timeout is None:
            raise
        raise WaitTimedOut(
            f"run {run.id!r} has not ended within {timeout:g} s; it continues: `{command('watch', run.id)}`"
        ) from None
    except Unavailable:
        _note_commands(session, run, "the run is kept; when the service is available again:")
        raise


def _note_commands(session: Session, run: RunHandle, state: str) -> None:
    session.out.note(state)
    session.out.note(f"  follow it:  {command('watch', run.id)}")
    session.out.note(f"  stop it:    {command('cancel', run.id)}")
