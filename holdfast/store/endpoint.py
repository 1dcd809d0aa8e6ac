"""Where a SurrealDB is and how to get a client of it: an engine inside this process, or a server."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from surrealdb import AsyncEmbeddedSurrealConnection, AsyncWsSurrealConnection, ServerError, Value

from holdfast.errors import StoreUnavailable, UsageError
from holdfast.store.lock import PathLock

Client = AsyncWsSurrealConnection
"""The embedded client is a subclass."""

CALL_PATIENCE = 10.0  # seconds a caller waits for a server, queue and reconnecting included
DIAL_DEADLINE = 4.0  # seconds to connect, sign in and apply the schema; less than the patience, so that it can be told
STATEMENT_DEADLINE = 5.0  # seconds for one statement on a server; the slowest here is a page of a run
HANG_UP_DEADLINE = 1.0  # seconds for closing a connection that may already be dead


class Endpoint(Protocol):
    """Gives clients of one database, one at a time. Shown as text, it is the address without secrets."""

    patience: float | None
    """Seconds that a caller waits at most; None: for as long as it takes."""
    dial_deadline: float | None
    statement_deadline: float | None
    lasting: bool
    """Whether the data outlives the client, so that a client that has failed may be thrown away."""
    trusted: bool
    """Whether a client is sound after it has refused a statement."""

    async def dial(self) -> Client:
        """Makes a client that is ready for statements."""
        ...

    async def hang_up(self, client: Client) -> None:
        """Closes a client, whatever state it is in."""

    def release(self) -> None:
        """Lets go of what is held between clients."""


class _EmbeddedEndpoint:
    """The engine inside this process."""

    # A local engine is not given up on: its statements cannot be called back, and the next must wait for them.
    patience: float | None = None
    dial_deadline: float | None = None
    statement_deadline: float | None = None

    def __init__(self, url: str, namespace: str, database: str) -> None:
        self._url, self._namespace, self._database = url, namespace, database

    def __str__(self) -> str:
        return self._url

    async def dial(self) -> Client:
        """Opens the engine."""
        client = AsyncEmbeddedSurrealConnection(self._url)
        await client.connect()
        await client.use(self._namespace, self._database)
        return client

    async def hang_up(self, client: Client) -> None:
        """Closes the engine, which may be past saving: then opening it anew is what helps."""
        with contextlib.suppress(Exception):
            await client.close()

    def release(self) -> None:
        """Holds nothing between clients."""


class MemoryEndpoint(_EmbeddedEndpoint):
    """The engine inside this process, on memory that goes with its client."""

    lasting = False
    trusted = True

    def __init__(self, namespace: str, database: str) -> None:
        super().__init__("mem://", namespace, database)


class PathEndpoint(_EmbeddedEndpoint):
    """The engine inside this process, on files; keeps other processes out."""

    lasting = True
    trusted = False  # after one failed write the engine refuses all others, until it is opened anew

    def __init__(self, path: Path, namespace: str, database: str) -> None:
        super().__init__(f"surrealkv://{path}", namespace, database)
        self._lock = PathLock(path)

    async def dial(self) -> Client:
        """Takes the lock and opens the files.

        Raises:
            StoreLocked: another process has them open.
        """
        self._lock.acquire()
        # The engine reads this when it opens. Without it an acknowledged write survives a kill, but not a power cut.
        os.environ.setdefault("SURREAL_SYNC_DATA", "true")
        try:
            return await super().dial()
        except BaseException:
            self._lock.release()
            raise

    def release(self) -> None:
        """Frees the lock."""
        self._lock.release()


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
            await self.hang_up(client)
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

    async def hang_up(self, client: Client) -> None:
        """Drops the connection: nothing that matters is in flight, and a closing handshake may never be answered."""
        if client.socket is not None:
            client.socket.transport.abort()
        with contextlib.suppress(Exception):
            async with asyncio.timeout(HANG_UP_DEADLINE):
                await client.close()

    def release(self) -> None:
        """Holds nothing between clients."""
