"""Watches by live queries, for changes that other processes make on a server."""

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

LIVE = "LIVE SELECT VALUE id FROM $table"  # ids only: a row may have megabytes, and each watch receives it
PAUSE = 1.0  # seconds before reconnecting; watches lose nothing, because they read again
HEARTBEAT = 10.0  # seconds between two pings: a dead server may leave the socket open


class LiveQueryWatches(ListeningWatches):
    """Watches of tables on a server; each watched table has its own connection.

    The server drops a live query together with its connection, so a crash leaves nothing behind.

    Args:
        endpoint: the server.
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
        session = Session(await self._endpoint.dial())
        try:
            await self._listen_to(session, table)
        except StatementFailed:
            self.notify(table)  # no live query, because the table or a permission is missing: poll instead
        finally:
            await self._endpoint.disconnect(session.client, failed=True)

    async def _listen_to(self, session: Session[WebsocketClient], table: str) -> None:
        async with asyncio.timeout(self._endpoint.statement_deadline):
            [query] = await session.execute(LIVE, table=Table(table))
            changes = await session.client.subscribe_live(query)
        self.notify(table)  # changes before the live query were not observed
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
