"""The server of the gateway."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Coroutine
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from holdfast.errors import UsageError
from holdfast.storage.database.database import Database
from holdfast.storage.database.ephemeral import call_ephemeral
from holdfast.storage.database.gateway.admission import HANDSHAKE_DEADLINE, Admission
from holdfast.storage.database.gateway.wire import (
    CHANGED,
    FAILED,
    LEAVING,
    MAX_FRAME,
    OK,
    ORIGINS,
    decode,
    encode,
    error_parts,
)
from holdfast.storage.database.local_index import call_index

LOOPBACK = "127.0.0.1"
CLOSE_DEADLINE = 1.0  # seconds for the closing handshake; a client that is frozen does not answer it

log = logging.getLogger(__name__)
log.setLevel(logging.CRITICAL)  # connections that open, close or are rejected are not worth a log line


async def execute(database: Database, verb: str, statement: str, values: dict[str, Any]) -> Any:
    """Calls the method of a database that a verb names, and returns its result.

    Raises:
        UsageError: this version does not know the verb.
    """
    match verb:
        case "open":
            return await database.open()
        case "run":
            return await database.run(statement, **values)
        case "ephemeral":
            return await call_ephemeral(database, statement, **values)
        case "index":
            return await call_index(database, statement, values["operation"], **values["values"])
    raise UsageError(
        f"the process that owns the database does not know {verb!r}: it may run an older version, restart it"
    )


class GatewayServer:
    """Executes the calls of clients, each in its own task; the database orders them.

    Args:
        database: the database to serve; it stays open when the server closes.
    """

    def __init__(self, database: Database) -> None:
        self.token = secrets.token_urlsafe(32)
        self._admission = Admission(self.token)
        self._database = database
        self._server: Server | None = None
        self._working: set[asyncio.Task[None]] = set()
        self._closing = False

    async def start(self) -> str:
        """Starts to listen; returns the address as `host:port`."""
        self._server = await serve(
            self._handle,
            LOOPBACK,
            0,
            process_request=self._admission.admit,
            create_connection=self._admission.connection,  # type: ignore[arg-type]  # called like the class
            open_timeout=HANDSHAKE_DEADLINE,
            origins=ORIGINS,
            compression=None,
            max_size=MAX_FRAME,
            close_timeout=CLOSE_DEADLINE,
            logger=log,
        )
        [listener] = self._server.sockets
        return "{}:{}".format(*listener.getsockname()[:2])

    async def close(self) -> None:
        """Rejects new calls, answers those that were received before, then closes all connections."""
        self._closing = True
        if self._server is None:
            return
        while self._working:
            await asyncio.wait(self._working)
        self._server.close()  # sends "going away", which tells clients that unanswered calls were not executed
        await self._server.wait_closed()
        self._server = None

    async def _handle(self, connection: ServerConnection) -> None:
        listeners: dict[int, asyncio.Task[None]] = {}
        try:
            async for frame in connection:
                number, verb, subject, values = decode(frame if isinstance(frame, bytes) else frame.encode())
                match verb:
                    case "listen":
                        listeners[number] = asyncio.create_task(self._forward(connection, number, subject))
                    case "stop listening":
                        listeners.pop(values["number"]).cancel()
                    case "touch":
                        self._database.touch(subject)
                    case _:
                        self._begin(self._serve(connection, number, verb, subject, values))
        except ConnectionClosed:
            pass
        finally:
            for listener in listeners.values():
                listener.cancel()

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._working.add(task)
        task.add_done_callback(self._working.discard)

    async def _serve(
        self, connection: ServerConnection, number: int, verb: str, statement: str, values: dict[str, Any]
    ) -> None:
        answer = [LEAVING] if self._closing else await self._execute(verb, statement, values)
        with contextlib.suppress(ConnectionClosed):  # the client is gone; the call was executed anyway
            await connection.send(_encode_answer(number, answer))

    async def _execute(self, verb: str, statement: str, values: dict[str, Any]) -> list[Any]:
        try:
            return [OK, await execute(self._database, verb, statement, values)]
        except Exception as error:  # noqa: BLE001 - every error is sent to the caller
            return [FAILED, *error_parts(error)]

    async def _forward(self, connection: ServerConnection, number: int, table: str) -> None:
        with contextlib.suppress(ConnectionClosed):
            async with self._database.watch(table) as watch:
                while True:
                    await connection.send(encode([number, CHANGED]))
                    await watch.changed()


def _encode_answer(number: int, answer: list[Any]) -> bytes:
    try:
        return encode([number, *answer])
    except UsageError as error:
        return encode([number, FAILED, *error_parts(error)])
