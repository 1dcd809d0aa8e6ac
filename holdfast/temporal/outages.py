"""Waits that outlast an unavailable Temporal server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import TypeVar

from holdfast._util.logger import get_logger
from holdfast.errors import TemporalUnavailable

log = get_logger(__name__)
T = TypeVar("T")

PATIENCE = 600.0  # seconds without an answer; a restart, an upgrade or a failover takes less
PAUSE = 1.0  # seconds between attempts, each of which takes some five until the SDK gives up
ANSWERED = 30.0  # seconds; an attempt that takes longer had reached the server, so another outage has begun


async def outlasting(wait: Callable[[], Awaitable[T]], what: str, patience: float = PATIENCE) -> T:
    """Waits for something at the server, and asks again while the server is unavailable.

    Args:
        wait: asks, and waits for the answer; it can be repeated safely.
        what: what is waited for, in words for the log.
        patience: seconds that one outage may last.

    Raises:
        TemporalUnavailable: the server has been unavailable for longer.
    """
    outage: float | None = None
    while True:
        asked = monotonic()
        try:
            return await wait()
        except TemporalUnavailable as error:
            now = monotonic()
            if outage is None or now - asked > ANSWERED:
                outage = now
                log.warning("Temporal is unavailable; still waiting", what=what, reason=str(error))
            if now - outage > patience:
                raise
        await asyncio.sleep(PAUSE)
