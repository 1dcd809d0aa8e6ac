"""Live queries: what other processes change on a server is heard here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from surrealdb import Table

from holdfast.storage.database.dialer import is_task_cancelled
from holdfast.storage.database.endpoint import Endpoint
from holdfast.storage.database.errors import StatementFailed
from holdfast.storage.database.session import Session
from holdfast.storage.database.watches import ListeningWatches
from holdfast.storage.database.websocket_client import WebsocketClient

LIVE = "LIVE SELECT VALUE id FROM $table"  # the id alone: a row may be megabytes, and every watcher gets it
PAUSE = 1.0  # seconds before a lost connection is dialled again; watchers lose nothing, they re-read
HEARTBEAT = 10.0  # seconds between two proofs that the server is there: a dead one may leave the socket open


class LiveQueryWatches(ListeningWatches):
    """The watchers of tables on a server; each table has a connection of its own while someone watches it.

    A server forgets a live query with its connection, so there is nothing to clean up after a crash.

    Args:
        endpoint: where the server is.
    """

    def __init__(self, endpoint: Endpoint[WebsocketClient]) -> None:
        super().__init__()
        self._endpoint = endpoint

    async def _listen(self, table: str) -> None:
        while True:
            try:
                await self._listen_once(table)
            except (Exception, asyncio.CancelledError) as error:
                if is_task_cancelled(error):
                    raise
            await asyncio.sleep(PAUSE)

    async def _listen_once(self, table: str) -> None:
        async with asyncio.timeout(self._endpoint.dial_deadline):
            session = Session(await self._endpoint.dial())
        try:
            await self._listen_to(session, table)
        except StatementFailed:
            self.notify(table)  # no live query, for want of the table or of a right: look again after each pause
        finally:
            await self._endpoint.disconnect(session.client, failed=True)

    async def _listen_to(self, session: Session[WebsocketClient], table: str) -> None:
        async with asyncio.timeout(self._endpoint.statement_deadline):
            [query] = await session.execute(LIVE, table=Table(table))
            changes = await session.client.subscribe_live(query)
        self.notify(table)  # what happened before was not heard
        forwarding = asyncio.create_task(self._forward(table, changes))
        try:
            while not await session.client.is_lost(within=HEARTBEAT):
                async with asyncio.timeout(self._endpoint.statement_deadline):
                    await session.execute("RETURN 1")
        finally:
            forwarding.cancel()

    async def _forward(self, table: str, changes: AsyncIterator[object]) -> None:
        async for _ in changes:
            self.notify(table)
