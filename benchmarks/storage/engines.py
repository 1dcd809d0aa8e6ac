"""The measured engines, each with an empty database."""

from __future__ import annotations

import uuid
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typing_extensions import override

from benchmarks.process import running
from benchmarks.storage.server import PASSWORD, USERNAME, Server
from holdfast.storage.database import Database, SurrealDatabase, open_database
from holdfast.storage.database.embedded import EmbeddedEndpoint, MemoryEndpoint, PathEndpoint
from holdfast.storage.database.remote import HttpEndpoint, Login, WebsocketEndpoint
from holdfast.storage.payloads.chunk_table import ChunkTable
from holdfast.storage.persistence import Persistence, open_persistence, persistence_on

MEMORY, MEM, SURREALKV, GATEWAY, WS, NARROW, HTTP = "memory", "mem", "surrealkv", "gateway", "ws", "narrow", "http"
TITLES = {
    MEMORY: "memory",
    MEM: "mem",
    SURREALKV: "surrealkv",
    GATEWAY: "surrealkv, shared",
    WS: "ws",
    NARROW: "ws, 1 connection",
    HTTP: "http",
}
SERVED = (WS, NARROW, HTTP)
NAMESPACE = "sentient_core"


class Counted(SurrealDatabase):
    """A database that counts its statements."""

    statements = 0

    @override
    async def run(self, statement: str, **values: Any) -> list[Any]:
        self.statements += 1
        return await super().run(statement, **values)


@dataclass(frozen=True)
class Engine:
    """An open engine."""

    kind: str
    persistence: Persistence
    folder: Path | None
    """Its files, which a server's databases share; `None` if it has none or another process owns them."""

    @property
    def title(self) -> str:
        """Name for people."""
        return TITLES[self.kind]

    @property
    def database(self) -> Database:
        """The database; not available for the engine in memory."""
        assert self.persistence.database is not None
        return self.persistence.database

    @property
    def payloads(self) -> ChunkTable:
        """The table of large payloads; not available for the engine in memory."""
        assert self.persistence.payloads is not None
        return self.persistence.payloads

    @property
    def statements(self) -> int:
        """Number of statements that it has executed."""
        assert isinstance(self.persistence.database, Counted)
        return self.persistence.database.statements

    def size(self) -> int:
        """Size of its files in bytes."""
        assert self.folder is not None
        return sum(file.stat().st_size for file in self.folder.rglob("*") if file.is_file())


class Engines:
    """Opens engines.

    Args:
        folder: for files.
        server: the server to measure; `None` leaves out the engines that need one.
        exits: closes them.
    """

    def __init__(self, folder: Path, server: Server | None, exits: AsyncExitStack) -> None:
        self._folder = folder
        self.server = server
        self._exits = exits

    def has(self, kind: str) -> bool:
        """Whether this kind of engine is available."""
        return self.server is not None or kind not in SERVED

    async def open(self, *kinds: str) -> list[Engine]:
        """Opens an empty engine of each of these kinds, if available."""
        return [await self._opened(kind) for kind in kinds if self.has(kind)]

    async def _opened(self, kind: str) -> Engine:
        name = f"bench_{uuid.uuid4().hex[:12]}"
        engine = await self._made(kind, name, self._folder / name)
        self._exits.push_async_callback(engine.persistence.close)
        await engine.persistence.open()
        return engine

    async def _made(self, kind: str, name: str, folder: Path) -> Engine:
        match kind:
            case "memory":
                return Engine(kind, open_persistence("memory://"), None)
            case "mem":
                return Engine(kind, _on(MemoryEndpoint(NAMESPACE, name)), None)
            case "surrealkv":
                return Engine(kind, _on(PathEndpoint(folder, NAMESPACE, name)), folder)
            case "gateway":
                holder = running("benchmarks.storage.holder", str(folder), log=folder.with_suffix(".log"))
                await self._exits.enter_async_context(holder)
                return Engine(kind, persistence_on(open_database(f"surrealkv://{folder}", shared=True)), None)
        assert self.server is not None
        return Engine(kind, _on(_endpoint(kind, self.server, name)), self.server.folder)


def _on(endpoint: EmbeddedEndpoint | WebsocketEndpoint | HttpEndpoint) -> Persistence:
    return persistence_on(Counted(endpoint))


def _endpoint(kind: str, server: Server, name: str) -> WebsocketEndpoint | HttpEndpoint:
    login = Login(NAMESPACE, name, USERNAME, PASSWORD)
    if kind == HTTP:
        return HttpEndpoint(f"http://{server.address}", login)
    endpoint = WebsocketEndpoint(f"ws://{server.address}", login)
    if kind == NARROW:
        endpoint.max_connections = 1
    return endpoint
