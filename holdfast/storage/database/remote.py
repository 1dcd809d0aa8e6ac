"""Endpoints of a SurrealDB server, over a websocket or HTTP."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar
from urllib.parse import urlsplit

from surrealdb import ServerError, Value

from holdfast.errors import StoreUnavailable, UsageError
from holdfast.storage.database.endpoint import Client
from holdfast.storage.database.errors import CONFLICT
from holdfast.storage.database.http_client import HttpClient
from holdfast.storage.database.websocket_client import WebsocketClient

# Several connections, so that a slow statement does not delay the others: with statements of 20 ms, 4 connections
# ran 165 a second and 1 ran 45. Short statements gain nothing: 200 appends and 2,000 reads a second with 1 or 4,
# fewer with 8.
MAX_CONNECTIONS = 4
CALL_DEADLINE = 12.0  # seconds a caller waits, including the queue and reconnecting; less than `STORE_TIMEOUT`
DIAL_DEADLINE = 3.5  # seconds for each answer while connecting, of which there are up to nine
STATEMENT_DEADLINE = 5.0  # seconds for one statement; the slowest is a page of a run
SELECT_ATTEMPTS = 20  # that many workers may start on an empty server at once


class RemoteClient(Client, Protocol):
    """The part that both clients of a server share."""

    async def signin(self, vars: dict[str, Value]) -> object:  # noqa: A002  # the client's own name
        """Signs in as a user."""
        ...

    async def use(self, namespace: str, database: str) -> None:
        """Selects namespace and database."""

    async def disconnect(self) -> None:
        """Closes the connection."""


R = TypeVar("R", bound=RemoteClient)


@dataclass(frozen=True)
class Login:
    """The credentials for one database of a server."""

    namespace: str
    database: str
    username: str | None
    password: str | None = field(repr=False)

    async def sign_in(self, client: RemoteClient, deadline: float | None = None) -> bool:
        """Signs in as a user of the server, the namespace or the database, whichever works; returns whether one did.

        Args:
            client: connected.
            deadline: seconds for each attempt.

        Raises:
            TimeoutError: the server did not answer in time.
        """
        if self.username is None:
            return True
        credentials: dict[str, Value] = {"username": self.username, "password": self.password or ""}
        where: dict[str, Value] = {"namespace": self.namespace, "database": self.database}
        for scope in ((), ("namespace",), ("namespace", "database")):
            with contextlib.suppress(ServerError):
                async with asyncio.timeout(deadline):
                    await client.signin(credentials | {name: where[name] for name in scope})
                return True
        return False


class _ServerEndpoint(Generic[R]):
    """A SurrealDB server."""

    max_connections = MAX_CONNECTIONS
    call_deadline: float | None = CALL_DEADLINE
    dial_deadline: float | None = DIAL_DEADLINE
    statement_deadline: float | None = STATEMENT_DEADLINE
    durable = True
    survives_failure = True

    def __init__(self, url: str, login: Login) -> None:
        parts = urlsplit(url)
        if not parts.hostname:
            raise UsageError(f"database URL {url!r} has no host: use {parts.scheme}://HOST:PORT")
        if parts.username or parts.password:
            raise UsageError(
                "a database URL must not contain a user or password: "
                "set SURREALDB_USERNAME and SURREALDB_PASSWORD instead"
            )
        self._address = f"{parts.scheme}://{parts.netloc}"
        self.url = f"{self._address}{parts.path.rstrip('/').removesuffix('/rpc')}/rpc"
        self.login = login

    def __str__(self) -> str:
        return self._address

    async def dial(self) -> R:
        """Connects, signs in if there is a user, and selects namespace and database.

        Each step has a deadline of its own: a server that is far away needs many round trips, one that is gone none.

        Raises:
            StoreUnavailable: the server denies the user access.
            TimeoutError: the server did not answer in time.
        """
        return await self._dial_as(self.login)

    async def _dial_as(self, login: Login) -> R:
        async with asyncio.timeout(self.dial_deadline):
            client = await self._connect()
        try:
            if not await login.sign_in(client, self.dial_deadline):
                raise StoreUnavailable(
                    f"{self} denied access to user {login.username!r}: check SURREALDB_USERNAME and "
                    f"SURREALDB_PASSWORD, "
                    f"and that the user belongs to namespace {login.namespace!r} and database "
                    f"{login.database!r}, or to "
                    "the server"
                )
            await self._select(client, login)
        except BaseException:
            await client.disconnect()
            raise
        return client

    async def _select(self, client: R, login: Login) -> None:
        """Selects namespace and database, which creates them if necessary; concurrent creation may conflict."""
        for attempt in range(SELECT_ATTEMPTS):
            try:
                async with asyncio.timeout(self.dial_deadline):
                    await client.use(login.namespace, login.database)
            except ServerError as error:
                if CONFLICT not in str(error) or attempt == SELECT_ATTEMPTS - 1:
                    raise
            else:
                return

    async def _connect(self) -> R:
        raise NotImplementedError

    async def disconnect(self, client: R, *, failed: bool) -> None:  # noqa: ARG002
        """Closes the connection."""
        await client.disconnect()

    def release(self) -> None:
        """Does nothing: the endpoint holds nothing between clients."""


class WebsocketEndpoint(_ServerEndpoint[WebsocketClient]):
    """A SurrealDB server, over a websocket."""

    async def _connect(self) -> WebsocketClient:
        client = WebsocketClient(self.url)
        await client.connect()
        return client

    def websocket(self) -> WebsocketEndpoint:
        """Returns this endpoint; see `HttpEndpoint.websocket`."""
        return self


class HttpEndpoint(_ServerEndpoint[HttpClient]):
    """A SurrealDB server, over HTTP.

    Raises:
        UsageError: the namespace's or the database's name cannot be sent in a header.
    """

    def __init__(self, url: str, login: Login) -> None:
        super().__init__(url, login)
        for name in (login.namespace, login.database):
            if not (name.isascii() and name.isprintable() and name == name.strip()):
                raise UsageError(f"the name {name!r} cannot be sent over HTTP: use {self.websocket()} instead")

    async def _connect(self) -> HttpClient:
        return HttpClient(self.url)

    def websocket(self) -> WebsocketEndpoint:
        """Returns the same server over a websocket, which live queries and sessions need."""
        return WebsocketEndpoint("ws" + self.url.removeprefix("http"), self.login)
