"""The watchers of one process of those that share a database; what the others change is heard through the holder."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from holdfast.storage.database.watches import ListeningWatches

PAUSE = 0.5  # seconds before a lost holder is looked for again; watchers lose nothing, they re-read

Listen = Callable[[str, Callable[[], None]], Awaitable[None]]
"""Listens to a table until the way to it is lost, and calls back when it may have changed; at first, too."""


class GatewayWatches(ListeningWatches):
    """Watchers, with one listener for each table that is watched.

    Args:
        hear: listens where the database is now.
    """

    def __init__(self, hear: Listen) -> None:
        super().__init__()
        self._listen_to = hear

    async def _listen(self, table: str) -> None:
        while True:
            with contextlib.suppress(Exception):
                await self._listen_to(table, lambda: self.notify(table))
            self.notify(table)  # what happens until there is a holder again is not heard
            await asyncio.sleep(PAUSE)
