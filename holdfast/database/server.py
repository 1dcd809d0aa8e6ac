"""SurrealDB on a server, over a websocket."""

from __future__ import annotations

import asyncio
import contextlib
from urllib.parse import urlsplit

from surrealdb import AsyncWsSurrealConnection, ServerError, Value

from holdfast.database.endpoint import Client
from holdfast.errors import StoreUnavailable, UsageError

CALL_PATIENCE = 9.0  # seconds a caller waits, queue and reconnecting included
DIAL_DEADLINE = 3.5  # seconds to connect, sign in and apply the schema
STATEMENT_DEADLINE = 5.0  # seconds for one statement; the slowest is a page of a run
HANG_UP_DEADLINE = 1.0  # seconds for closing a connection that may already be dead


class ServerEndpoint:
    """A SurrealDB server, over a websocket."""

    patience: float | None = CALL_PATIENCE
    dial_deadline: float | None = DIAL_DEADLINE
    statement_deadline: float | None = STATEMENT_DEADLINE
    lasting = True
    trusted = True

    def __init__(self, url: str, namespace: str, database: str, username: str | None, password: str | None) -> None:
        parts = urlsplit(url)
        if not parts.hostname:
            raise UsageError(f"store URL {url!r} names no host: write ws://HOST:PORT or wss://HOST:PORT")
        if parts.username or parts.password:
            raise UsageError("a store URL carries no user and password: give them in their own settings")
        self._address = f"{parts.scheme}://{parts.netloc}"
        self._path = parts.path.rstrip("/").removesuffix("/rpc") + "/rpc"
        self._namespace, self._database = namespace, database
        self._username, self._password = username, password

    def __str__(self) -> str:
        return self._address

    async def dial(self) -> Client:
        """Connects, signs in where there is a user, and selects namespace and database."""
        client = AsyncWsSurrealConnection(self._address)
        client.raw_url = self._address + self._path  # the client's own composing mangles hosts that begin with "rpc"
        try:
            await client.connect()
            await self._sign_in(client)
            await client.use(self._namespace, self._database)
        except BaseException:
            await self.hang_up(client, failed=True)
            raise
        return client

    async def _sign_in(self, client: Client) -> None:
        """Tries the user as one of the server, of the namespace and of the database: nothing tells which it is."""
        if self._username is None:
            return
        credentials: dict[str, Value] = {"username": self._username, "password": self._password or ""}
        where: dict[str, Value] = {"namespace": self._namespace, "database": self._database}
        for scope in ((), ("namespace",), ("namespace", "database")):
            with contextlib.suppress(ServerError):
                await client.signin(credentials | {name: where[name] for name in scope})
                return
        raise StoreUnavailable(
            f"{self} did not let user {self._username!r} in: check SURREALDB_USERNAME and SURREALDB_PASSWORD"
        )

    async def hang_up(self, client: Client, *, failed: bool) -> None:  # noqa: ARG002
        """Drops the connection: nothing that matters is in flight, and a closing handshake may never be answered."""
        if client.socket is not None:
            client.socket.transport.abort()
        with contextlib.suppress(Exception):
            async with asyncio.timeout(HANG_UP_DEADLINE):
                await client.close()

    def release(self) -> None:
        """Holds nothing between clients."""
