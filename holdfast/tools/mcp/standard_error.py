"""The standard error of an MCP server: its last lines, and its end."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable
from typing import TextIO

from typing_extensions import override

from holdfast._util.logger import get_logger

log = get_logger(__name__)

KEPT_LINES = 20
MAX_LINE = 1_000  # characters


class StandardError(asyncio.Protocol):
    """Collects what a server writes; its end is that of the server and of all that it has started.

    Args:
        server: name of the server.
        ended: called at the end.
    """

    def __init__(self, server: str, ended: Callable[[], None]) -> None:
        self._server = server
        self._ended = ended
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._rest = b""
        self.closed = asyncio.Event()

    async def opened(self) -> TextIO:
        """Returns the file for the server, which the caller closes when the server has it."""
        reading, writing = os.pipe()
        await asyncio.get_running_loop().connect_read_pipe(lambda: self, os.fdopen(reading, "rb"))
        return os.fdopen(writing, "w")

    @property
    def tail(self) -> str:
        """The last lines."""
        return "\n".join([*self._lines, *([_line(self._rest)] if self._rest.strip() else [])])

    @override
    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._rest = self._rest[-MAX_LINE:]
        for line in lines:
            if line.strip():
                self._lines.append(_line(line))
                log.debug("an MCP server says", server=self._server, line=self._lines[-1])

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set()
        self._ended()


def _line(data: bytes) -> str:
    return data.decode(errors="replace").rstrip()[:MAX_LINE]
