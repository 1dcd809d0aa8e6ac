"""Tells Docker whether the worker of this container is alive: whether Temporal has seen it ask for work of late.

A process that merely exists proves little; one that polls will take the next task.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from temporalio.api.taskqueue.v1 import PollerInfo
from temporalio.service import RPCError

from holdfast.errors import HoldfastError
from holdfast.settings import Settings
from holdfast.temporal.connection import connect_temporal, pollers

RECENT = timedelta(minutes=2)  # a poll is held open for a minute, then asked anew


def last_poll(pollers: Iterable[PollerInfo], host: str) -> datetime | None:
    """When a worker on this host last asked for work; None: Temporal remembers no poll of it."""
    times = [
        poller.last_access_time.ToDatetime(tzinfo=UTC) for poller in pollers if poller.identity.endswith(f"@{host}")
    ]
    return max(times, default=None)


async def check(settings: Settings) -> str | None:
    """What is wrong with this host's worker; None: nothing.

    Raises:
        HoldfastError: Temporal does not answer.
        RPCError: Temporal refuses to answer.
    """
    if settings.temporal_address is None:
        return "TEMPORAL_ADDRESS is not set"
    client = await connect_temporal(settings.temporal_address, settings.temporal_namespace)
    polled = last_poll(await pollers(client, settings.temporal_task_queue), socket.gethostname())
    if polled is None:
        return f"no worker on this host polls task queue {settings.temporal_task_queue!r}"
    silence = datetime.now(UTC) - polled
    return None if silence < RECENT else f"the worker has not polled for {silence.total_seconds():.0f} s"


def main() -> int:
    """Entry point; gives the exit code: 0 healthy, 1 not."""
    try:
        problem = asyncio.run(check(Settings.load()))
    except (HoldfastError, RPCError) as error:
        problem = str(error)
    print(problem or "ok", flush=True)
    return 1 if problem else 0


if __name__ == "__main__":
    os._exit(main())  # at once: the SDK's native threads now and then abort an interpreter that takes itself apart
