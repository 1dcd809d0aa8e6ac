"""A web server on this machine that answers as a test says, byte by byte, and remembers what it was asked."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

CRLF = "\r\n"


@dataclass
class Asked:
    """One request."""

    line: str
    headers: dict[str, str]
    body: bytes


@dataclass
class WebServer:
    """Answers by path; an answer is the bytes of a whole response, or several parts that are sent one by one."""

    answers: Mapping[str, bytes | list[bytes]]
    asked: list[Asked] = field(default_factory=list)
    names: list[str | None] = field(default_factory=list)
    """The names that clients have asked for by TLS."""
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            line, *fields = head.strip().split(CRLF)
            headers = {name.lower(): value for name, _, value in (field.partition(": ") for field in fields)}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            self.asked.append(Asked(line, headers, body))
            found = self.answers.get(line.split()[1], answer("nothing here", status="404 Not Found"))
            for part in [found] if isinstance(found, bytes) else found:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0.05 if isinstance(found, list) else 0)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client has left
        finally:
            writer.close()


@asynccontextmanager
async def web_server(
    answers: Mapping[str, bytes | list[bytes]],
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[WebServer]:
    """Serves on a free port of this machine."""
    server = WebServer(answers)
    if tls:
        tls.sni_callback = lambda _socket, name, _context: server.names.append(name)
    listening = await asyncio.start_server(server.serve, host, port, ssl=tls)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()


def answer(
    body: str | bytes = b"", kind: str = "text/plain; charset=utf-8", *, status: str = "200 OK", **headers: str
) -> bytes:
    """Returns the bytes of a response; `_` in a header's name stands for `-`."""
    content = body.encode() if isinstance(body, str) else body
    fields = {"content-type": kind, "content-length": str(len(content)), "connection": "close", **headers}
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in fields.items() if value]
    return CRLF.join([f"HTTP/1.1 {status}", *lines, "", ""]).encode() + content
