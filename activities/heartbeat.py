"""Heartbeats of activities, by which Temporal detects dead workers and delivers cancellations."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from holdfast.activities.failures import EXPECTED
from holdfast.errors import ErrorType

HEARTBEAT_INTERVAL = timedelta(seconds=0.8)  # a third of the shortest timeout; a cancel arrives with the next one


@asynccontextmanager
async def heartbeats(details: Callable[[], Any] | None = None) -> AsyncIterator[None]:
    """Heartbeats in the background while the body runs.

    Args:
        details: returns the details of each heartbeat, which Temporal's UI shows with the pending activity; `None`
            means none.
    """
    loop = asyncio.get_running_loop()
    interval = HEARTBEAT_INTERVAL.total_seconds()
    timer: asyncio.TimerHandle  # not a task: most calls end before their first heartbeat

    def beat() -> None:
        nonlocal timer
        timer = loop.call_later(interval, beat)
        told = details() if details else None
        activity.heartbeat(*([] if told is None else [told]))

    timer = loop.call_later(interval, beat)
    try:
        yield
    finally:
        timer.cancel()


@asynccontextmanager
async def repeated_if_lost() -> AsyncIterator[None]:
    """Heartbeats while the body runs, which is repeated if the worker is shut down meanwhile.

    Raises:
        ApplicationError: retryable, at a shutdown; otherwise the run would take that for a cancel of its own.
    """
    try:
        async with heartbeats():
            yield
    except asyncio.CancelledError:
        if stopped_by_user():
            raise
        raise ApplicationError("the worker was shut down", type=ErrorType.CALL_LOST, category=EXPECTED) from None


def stopped_by_user() -> bool:
    """Whether the run cancelled this activity, as opposed to a worker that shuts down."""
    cancellation = activity.cancellation_details()
    return cancellation is not None and cancellation.cancel_requested


def given_up() -> bool:
    """Whether Temporal no longer waits for this attempt: it has timed out there, or its run has ended."""
    cancellation = activity.cancellation_details()
    return cancellation is not None and (cancellation.not_found or cancellation.timed_out)
