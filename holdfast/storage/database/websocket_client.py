"""A client over a websocket that detects a lost connection and closes in bounded time."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any
from uuid import UUID

from surrealdb import AsyncWsSurrealConnection

from holdfast.storage.database.query_message import QueryMessage

DISCONNECT_DEADLINE = 1.0  # seconds for closing a connection that may already be dead


class WebsocketClient(AsyncWsSurrealConnection):
    """A connection of one session to a server.

    Args:
        url: `ws://` or `wss://`, with the path.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.raw_url = url  # the package's own URL building mangles hosts that begin with "rpc"

    async def query_raw(
        self,
        query: str,
        params: dict[str, Any] | None = None,
        session_id: UUID | None = None,
        txn_id: UUID | None = None,
    ) -> dict[str, Any]:
        """Runs a statement."""
        return await self._send(QueryMessage(query, params, session_id, txn_id), "query", bypass=True)

    async def is_lost(self, within: float) -> bool:
        """Waits up to `within` seconds for the connection to end; returns whether it has."""
        if self.recv_task is None:
            return True
        done, _ = await asyncio.wait([self.recv_task], timeout=within)
        return bool(done)

    async def disconnect(self) -> None:
        """Aborts the connection: nothing is in flight, and the server may never answer a closing handshake."""
        if self.socket is not None:
            self.socket.transport.abort()
        with contextlib.suppress(Exception):
            async with asyncio.timeout(DISCONNECT_DEADLINE):
                await self.close()


class ReadOnlyWebsocketClient(WebsocketClient):
    """A connection that keeps no changes: each request runs in a transaction that is rolled back.

    A viewer's write has no effect, but it still defines the table that it names.
    """

    async def query_raw(
        self,
        query: str,
        params: dict[str, Any] | None = None,
        session_id: UUID | None = None,
        txn_id: UUID | None = None,
    ) -> dict[str, Any]:
        """Runs a statement in its own transaction and rolls it back."""
        transaction = txn_id or await self.begin(session_id)
        answer = await super().query_raw(query, params, session_id, transaction)
        await self.cancel(
            transaction, session_id
        )  # after a failed request the connection is closed, which rolls back too
        return answer
