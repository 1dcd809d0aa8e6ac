"""Detection of a local Temporal server whose database connection has failed; only the standard library is used.

If a request is abandoned at the wrong moment, as by clients whose deadlines pass on a busy machine, the server's SQLite
driver may keep its only connection interrupted. From then on, the process runs and answers, but each request fails
until the process is replaced.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Sequence
from contextlib import suppress

from holdfast.stack.sockets import LOOPBACK

UI_PORT_FLAG = "--ui-port"  # of the server, by which the port is known even if `stack.json` is lost
QUESTION = "/api/v1/cluster-info"  # served by the web UI, which asks the server, which reads it from the database
INTERVAL = 5.0  # seconds between two questions
PATIENCE = 20.0  # seconds of nothing but errors; a server that has just started, or has a peak, recovers sooner
ANSWER_TIMEOUT = 1.0  # seconds; the supervisor does nothing else meanwhile
LARGEST_ANSWER = 65_536  # bytes; it has some hundred
UNAVAILABLE = 503  # the HTTP status for gRPC's UNAVAILABLE


class ServerHealth:
    """What a server has answered lately.

    Args:
        interval: seconds between two questions.
        patience: seconds for which it has to answer with nothing but errors before it counts as failed.
    """

    def __init__(self, interval: float = INTERVAL, patience: float = PATIENCE) -> None:
        self._interval = interval
        self._patience = patience
        self._server: object = None
        self._next_question = 0.0
        self._failing_since: float | None = None

    def failure(self, server: object, command: Sequence[str]) -> str | None:
        """Returns the server's own error if it has failed; `None` if not, or if it is not known.

        A server that does not answer at all may be busy, or stopped by a debugger: that proves nothing.

        Args:
            server: identifies the process.
            command: its program and arguments, which name the port of its web UI.
        """
        now = time.monotonic()
        if server != self._server:
            self._server, self._failing_since, self._next_question = server, None, now + self._interval
        if now < self._next_question or UI_PORT_FLAG not in command:
            return None
        self._next_question = now + self._interval
        answer = _ask(int(command[command.index(UI_PORT_FLAG) + 1]))
        if answer is None:
            return None
        status, message = answer
        if status != UNAVAILABLE:
            self._failing_since = None
            return None
        if self._failing_since is None:
            self._failing_since = now
        return message if now - self._failing_since >= self._patience else None


def _ask(port: int) -> tuple[int, str] | None:
    """Returns the HTTP status and the message of the answer; `None` if there was no complete answer."""
    with suppress(OSError, ValueError, IndexError, AttributeError):
        with socket.create_connection((LOOPBACK, port), ANSWER_TIMEOUT) as connection:
            connection.sendall(f"GET {QUESTION} HTTP/1.0\r\nHost: {LOOPBACK}:{port}\r\n\r\n".encode())
            head, _, body = _received(connection).partition(b"\r\n\r\n")
        return int(head.split()[1]), str(json.loads(body).get("message", ""))
    return None


def _received(connection: socket.socket) -> bytes:
    deadline, received = time.monotonic() + ANSWER_TIMEOUT, b""
    while len(received) < LARGEST_ANSWER and time.monotonic() < deadline:
        more = connection.recv(LARGEST_ANSWER)
        if not more:
            break
        received += more
    return received
