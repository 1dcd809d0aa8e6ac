"""Readers: they run statements as a user with read-only permissions, so that the database itself prevents writes."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Protocol

from surrealdb import RecordID, Value
from typing_extensions import override

from holdfast.errors import StoreUnavailable, UsageError
from holdfast.storage.database.connection import Connection
from holdfast.storage.database.dialer import describe
from holdfast.storage.database.embedded import EmbeddedClient, EmbeddedEndpoint
from holdfast.storage.database.errors import StatementFailed
from holdfast.storage.database.pool import Pool
from holdfast.storage.database.remote import CALL_DEADLINE, WebsocketEndpoint
from holdfast.storage.database.session import Session
from holdfast.storage.database.websocket_client import ReadOnlyWebsocketClient, WebsocketClient
from holdfast.storage.database.write_keywords import write_keyword

EMBEDDED_DEADLINE = 5.0  # seconds; the engine runs one statement at a time, so the mirror waits as long
SERVER_DEADLINE = 30.0  # seconds; other statements run meanwhile
READS_AT_ONCE = 2  # on a server: queries of people and dashboards must not slow down the mirror
MOST_ROWS = 10_000  # about 20 MB of events; use an export for more
DEFINE = "DEFINE USER OVERWRITE {name} ON DATABASE PASSWORD '{password}' ROLES VIEWER DURATION FOR TOKEN 52w"
REMOVE = "REMOVE USER IF EXISTS {name} ON DATABASE"
READER = "holdfast_reader"
MAY_NOT_DEFINE = "Not enough permissions"
MAY_WRITE = "holdfast: may write"
TRY_TO_WRITE = f"BEGIN; LET $made = (CREATE $row); IF $made {{ THROW '{MAY_WRITE}' }}; COMMIT"
"""Writes nothing: a viewer's write has no effect, and any other user's transaction fails."""


def check_reads(statement: str) -> None:
    """Rejects a statement that writes.

    Raises:
        UsageError: it writes; the message names the keyword.
    """
    if word := write_keyword(statement):
        raise UsageError(
            f"{word} was refused: only statements that read are run here. A field of that name goes in backticks"
        )


def check_rows(results: list[Any]) -> list[Any]:
    """Returns the results, if they are small enough to show.

    Raises:
        UsageError: one has too many rows.
    """
    for result in results:
        if isinstance(result, list) and len(result) > MOST_ROWS:
            raise UsageError(
                f"the answer has {len(result)} rows, at most {MOST_ROWS} can be shown: add LIMIT or GROUP BY"
            )
    return results


class Reader(Protocol):
    """Runs statements that cannot write."""

    async def read(self, statement: str, values: dict[str, Any]) -> list[Any]:
        """Runs statements and returns the result of each; raises what `Database.read` raises."""
        ...

    async def close(self) -> None:
        """Closes the reader's own connections, if it has any."""


class EmbeddedReader(Reader):
    """Reads from the embedded engine by switching its only session to a viewer.

    Args:
        endpoint: the engine.
        pool: the engine's only connection.
        deadline: seconds for a statement.
    """

    def __init__(self, endpoint: EmbeddedEndpoint, pool: Pool[EmbeddedClient], deadline: float | None = None) -> None:
        self._endpoint = endpoint
        self._deadline = deadline
        self._pool = pool
        self._viewer: tuple[EmbeddedClient, str] | None = None  # the token is valid for this client only

    @override
    async def read(self, statement: str, values: dict[str, Any]) -> list[Any]:
        return await self._pool.lend(lambda connection: self._read(connection, statement, values))

    async def close(self) -> None:
        """Does nothing: the reader has no connections of its own."""

    async def _read(self, connection: Connection[EmbeddedClient], statement: str, values: dict[str, Any]) -> list[Any]:
        session = await connection.ready()
        deadline = self._deadline or EMBEDDED_DEADLINE
        try:
            async with self._as_viewer(session), asyncio.timeout(deadline):
                return await session.execute(statement, **values)
        except StatementFailed:
            raise
        except TimeoutError:
            raise UsageError(f"the statement was stopped after {deadline:g} s: narrow it, or add LIMIT") from None
        except Exception as error:
            await connection.drop()
            raise StoreUnavailable(f"{self._endpoint} cannot be read as a viewer: {describe(error)}") from error

    @asynccontextmanager
    async def _as_viewer(self, session: Session[EmbeddedClient]) -> AsyncIterator[None]:
        client = session.client
        viewer, self._viewer = self._viewer, None  # restored below, if it is still valid
        try:
            if viewer is None or viewer[0] is not client:
                viewer = client, await self._sign_in(session)
            else:
                await client.authenticate(viewer[1])
            self._viewer = viewer
            yield
        finally:
            await client.invalidate()
            await client.use(self._endpoint.namespace, self._endpoint.database)

    async def _sign_in(self, session: Session[EmbeddedClient]) -> str:
        password = secrets.token_hex()
        await session.execute(DEFINE.format(name=READER, password=password))
        where: dict[str, Value] = {"namespace": self._endpoint.namespace, "database": self._endpoint.database}
        return (await session.client.signin(where | {"username": READER, "password": password})).access or ""


class ViewerEndpoint(WebsocketEndpoint):
    """A server, as a read-only user: the configured one if it is a viewer, otherwise a temporary one.

    A session outlives its user, so the temporary user is removed right after it has signed in.

    Args:
        endpoint: the server.
        pool: connections of the configured user.
    """

    max_connections = READS_AT_ONCE
    call_deadline: float | None = SERVER_DEADLINE + CALL_DEADLINE
    statement_deadline: float | None = SERVER_DEADLINE

    def __init__(self, endpoint: WebsocketEndpoint, pool: Pool[Any]) -> None:
        super().__init__(endpoint.url, endpoint.login)
        self._pool = pool

    async def dial(self) -> WebsocketClient:
        """Connects as a viewer.

        Raises:
            UsageError: the configured user may write, but may not define a read-only user.
        """
        name, password = f"{READER}_{secrets.token_hex(8)}", secrets.token_hex()
        try:
            await self._pool.run(DEFINE.format(name=name, password=password))
        except StatementFailed as error:
            if MAY_NOT_DEFINE not in str(error):
                raise
            await self._check_viewer()
            return await super().dial()
        try:
            return await self._dial_as(replace(self.login, username=name, password=password))
        finally:
            await self._pool.run(REMOVE.format(name=name))

    async def _connect(self) -> WebsocketClient:
        client = ReadOnlyWebsocketClient(self.url)
        await client.connect()
        return client

    async def _check_viewer(self) -> None:
        try:
            await self._pool.run(TRY_TO_WRITE, row=RecordID("schema_version", "try"))
        except StatementFailed as error:
            if MAY_WRITE not in str(error):
                raise
            raise UsageError(
                f"writes cannot be prevented: user {self.login.username!r} of {self} may write, but may not define a "
                "read-only user. Use a VIEWER or an OWNER of the database"
            ) from None


class ServerReader(Reader):
    """Reads from a server over its own connections.

    Args:
        endpoint: the server.
        pool: connections of the configured user.
    """

    def __init__(self, endpoint: WebsocketEndpoint, pool: Pool[Any]) -> None:
        self._pool = Pool(ViewerEndpoint(endpoint, pool))

    @override
    async def read(self, statement: str, values: dict[str, Any]) -> list[Any]:
        return await self._pool.run(statement, **values)

    async def close(self) -> None:
        """Closes the reader's connections."""
        await self._pool.close()
