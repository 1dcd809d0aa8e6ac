"""Admission to the gateway: connections without the token are few and short, so that they exhaust nothing."""

from __future__ import annotations

import asyncio
import hmac
from http import HTTPStatus
from typing import Any

from typing_extensions import override
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

HANDSHAKE_DEADLINE = 3.0  # seconds from connecting to a request with the token; clients need milliseconds
MAX_STRANGERS = 64  # connections that have not shown the token yet; the process may have a thousand files open


class Admission:
    """Keeps count of the connections that have not shown the token; a new one takes the place of the oldest.

    Args:
        token: what clients must show.
    """

    def __init__(self, token: str) -> None:
        self._token = token
        self._strangers: dict[ServerConnection, None] = {}

    def connection(self, *args: Any, **options: Any) -> ServerConnection:
        """Returns a new connection that is counted."""
        return _Counted(self, *args, **options)

    def begin(self, connection: ServerConnection) -> None:
        """Counts a connection, and drops the oldest if there are too many."""
        self._strangers[connection] = None
        if len(self._strangers) > MAX_STRANGERS:
            oldest = next(iter(self._strangers))
            self.end(oldest)
            oldest.transport.abort()

    def end(self, connection: ServerConnection) -> None:
        """Counts a connection no longer: it is closed, or has shown the token."""
        self._strangers.pop(connection, None)

    def admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """Returns the refusal of a request without the token; `None` if it has the token."""
        given = request.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {self._token}".encode()):
            return connection.respond(HTTPStatus.UNAUTHORIZED, "the token does not belong to this gateway\n")
        self.end(connection)
        return None


class _Counted(ServerConnection):
    def __init__(self, admission: Admission, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._admission = admission

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._admission.begin(self)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._admission.end(self)
        super().connection_lost(exc)
