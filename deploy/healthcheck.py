"""Health check of a worker container: whether Temporal has received a poll of the worker recently.

A running process alone may be stuck; a worker that polls will run the next task.
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

RECENT = timedelta(minutes=2)  # a poll lasts up to a minute, then the worker polls again


def last_poll(pollers: Iterable[PollerInfo], host: str) -> datetime | None:
    """Returns the time of the last poll by a worker on this host; `None` if Temporal has none."""
    times = [
        poller.last_access_time.ToDatetime(tzinfo=UTC) for poller in pollers if poller.identity.endswith(f"@{host}")
    ]
    return max(times, default=None)


async def check(settings: Settings) -> str | None:
    """Returns the problem of this host's worker; `None` if it is healthy.

    Raises:
        HoldfastError: Temporal is unavailable.
        RPCError: Temporal denies the request.
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
    """Runs the check and returns the exit code: 0 if the worker is healthy, else 1."""
    try:
        problem = asyncio.run(check(Settings.load()))
    except (HoldfastError, RPCError) as error:
        problem = str(error)
    print(problem or "ok", flush=True)
    return 1 if problem else 0


if __name__ == "__main__":
    os._exit(main())  # immediate exit: the SDK's native threads sometimes abort a normal shutdown of the interpreter
