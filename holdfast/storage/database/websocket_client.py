"""The client over a websocket, with what it lacks."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any
from uuid import UUID

from surrealdb import AsyncWsSurrealConnection

DISCONNECT_DEADLINE = 1.0  # seconds for closing a connection that may already be dead


class WebsocketClient(AsyncWsSurrealConnection):
    """A connection of one session to a server.

    Args:
        url: `ws://` or `wss://`, with the path.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.raw_url = url  # the client's own composing mangles hosts that begin with "rpc"

    async def is_lost(self, within: float) -> bool:
        """Waits for the connection to end; gives False when it has not after `within` seconds."""
        if self.recv_task is None:
            return True
        done, _ = await asyncio.wait([self.recv_task], timeout=within)
        return bool(done)

    async def disconnect(self) -> None:
        """Drops the connection: nothing that matters is in flight, and a closing handshake may never be answered."""
        if self.socket is not None:
            self.socket.transport.abort()
        with contextlib.suppress(Exception):
            async with asyncio.timeout(DISCONNECT_DEADLINE):
                await self.close()


class ReadOnlyWebsocketClient(WebsocketClient):
    """A connection on which nothing lasts: each request is a transaction that is taken back.

    A viewer's write has no effect, but the table that it names is defined in passing if there is none.
    """

    async def query_raw(
        self,
        query: str,
        params: dict[str, Any] | None = None,
        session_id: UUID | None = None,
        txn_id: UUID | None = None,
    ) -> dict[str, Any]:
        """Runs a statement in a transaction of its own, whatever it is told."""
        transaction = txn_id or await self.begin(session_id)
        answer = await super().query_raw(query, params, session_id, transaction)
        await self.cancel(transaction, session_id)  # where the request failed, the connection goes, and this with it
        return answer
