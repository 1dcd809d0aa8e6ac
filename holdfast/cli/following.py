"""Follows a run until it ends, or until Ctrl-C ends the following."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from holdfast.cli.program import command
from holdfast.cli.render.narrator import Narrator
from holdfast.cli.session import Session
from holdfast.client.run_handle import RunHandle
from holdfast.errors import HoldfastError, Unavailable, WaitTimedOut
from holdfast.types import Entry, RunResult

ENDED_ANSWERS = 0.5  # seconds; the result of a run that has ended comes well before


async def follow(session: Session, run: RunHandle, *, entries: list[Entry] | None = None) -> RunResult:
    """Shows everything that happens until the run has ended, and gives its result.

    Args:
        session: whom to tell.
        run: the run to follow.
        entries: takes every entry of the run's log, if given.

    Raises:
        RunNotFound: no run has this id.
        Unavailable: Temporal or the worker went away.
    """
    narrator = Narrator(session.out)
    async with _leaving_well(session, run):
        await session.has_worker()
        try:
            async for event in run.events():
                narrator.show(event)
                if entries is not None and isinstance(event, Entry):
                    entries.append(event)
        finally:
            narrator.end()
        return (await run.result()).run


async def wait(session: Session, run: RunHandle, *, timeout: float | None = None) -> RunResult:
    """Waits until the run has ended and gives its result; says no more than why nothing happens.

    Args:
        session: whom to tell.
        run: the run to wait for.
        timeout: seconds to wait; None: as long as it takes.

    Raises:
        WaitTimedOut: the time passed; the run goes on.
        RunNotFound: no run has this id.
        Unavailable: Temporal went away.
    """
    telling = asyncio.create_task(_tell_why_nothing_happens(session, run))
    try:
        async with _leaving_well(session, run, timeout):
            return (await run.result()).run
    finally:
        telling.cancel()
        with suppress(asyncio.CancelledError):
            await telling


async def _tell_why_nothing_happens(session: Session, run: RunHandle) -> None:
    await asyncio.sleep(ENDED_ANSWERS)
    with suppress(HoldfastError):  # the one who waits for the result meets it too
        await session.has_worker()
        narrator = Narrator(session.out, notices_only=True)
        async for event in run.events():
            narrator.show(event)


@asynccontextmanager
async def _leaving_well(session: Session, run: RunHandle, timeout: float | None = None) -> AsyncIterator[None]:
    """Says what becomes of the run when the following ends before it does."""
    try:
        async with asyncio.timeout(timeout):
            yield
    except asyncio.CancelledError:
        _say_how_to_return(session, run, "\nthe run goes on without you")
        raise
    except TimeoutError:
        if timeout is None:
            raise
        raise WaitTimedOut(
            f"run {run.id!r} has not ended within {timeout:g} s; it goes on: `{command('watch', run.id)}`"
        ) from None
    except Unavailable:
        _say_how_to_return(session, run, "the run is kept; when what it needs is back:")
        raise


def _say_how_to_return(session: Session, run: RunHandle, fate: str) -> None:
    session.out.note(fate)
    session.out.note(f"  come back:  {command('watch', run.id)}")
    session.out.note(f"  stop it:    {command('cancel', run.id)}")
