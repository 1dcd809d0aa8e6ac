"""Many runs that wait on one worker: the memory of each, and how soon one continues."""

from __future__ import annotations

import asyncio
import time

from benchmarks.figure import Figure
from benchmarks.rig import Rig
from benchmarks.script import Script
from holdfast.client.session import Session

STARTED_AT_ONCE = 20
MAX_WAKE_UP = 100.0  # ms


async def measure(rig: Rig, *, runs: int, wake_ups: int) -> list[Figure]:
    """Starts sessions that answer once and wait for the next message, then sends messages to some of them.

    Args:
        rig: runs them.
        runs: number of sessions.
        wake_ups: how many of them are sent a message, one after the other.
    """
    if not runs:
        return []
    rig.report(f"{runs} sessions that wait, and {wake_ups} messages")
    await rig.restart_worker()
    fresh = rig.worker_memory()
    limit = asyncio.Semaphore(STARTED_AT_ONCE)

    async def begin(number: int) -> Session:
        session = rig.holdfast.session(f"waiting-{time.time_ns()}-{number}", "bench")
        async with limit:
            await session.ask(str(Script(session.id, turns=1)))
        return session

    sessions = await asyncio.gather(*(begin(number) for number in range(runs)))
    memory = rig.worker_memory()
    woken = []
    for number in range(wake_ups):
        session = sessions[number * runs // wake_ups]
        sent = time.time()
        await session.send("Go on.")
        woken.append(1000 * (await rig.request(session.id, 2, after=sent) - sent))
    await asyncio.gather(*(_end(session, limit) for session in sessions))
    return [
        Figure(
            name="waiting.memory",
            title=f"memory of the worker for each of {runs:,} waiting runs",
            value=1024 * (memory - fresh) / runs,
            unit="KB",
        ),
        Figure.of_samples(
            woken,
            name="waiting.wake_up",
            title=f"from a message to a waiting run, one of {runs:,}, to its model request",
            unit="ms",
            limit=MAX_WAKE_UP,
        ),
    ]


async def _end(session: Session, limit: asyncio.Semaphore) -> None:
    async with limit:
        await session.run.cancel()
