"""Watches in a process that shares a database; changes by other processes arrive through the owner."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from holdfast.storage.database.watches import ListeningWatches

PAUSE = 0.5  # seconds before a new owner is looked for; watches lose nothing, because they read again

Listen = Callable[[str, Callable[[], None]], Awaitable[None]]
"""Calls back at first and when a table may have changed, until the route to the database is lost."""


class GatewayWatches(ListeningWatches):
    """Watches with one listener for each watched table.

    Args:
        listen: listens over the current route to the database.
    """

    def __init__(self, listen: Listen) -> None:
        super().__init__()
        self._listen_to = listen

    async def _listen(self, table: str) -> None:
        while True:
            with contextlib.suppress(Exception):
                await self._listen_to(table, lambda: self.notify(table))
            self.notify(table)  # changes until there is a new owner are not observed
            await asyncio.sleep(PAUSE)
