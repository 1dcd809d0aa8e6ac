"""Databases for tests: one empty database of each kind."""

from __future__ import annotations

import uuid
from pathlib import Path

from holdfast.storage.database import Database, open_database
from tests.support.surreal_server import PASSWORD, USERNAME, SurrealServer

EMBEDDED = ("mem", "surrealkv")
SERVED = ("ws", "http")


class Databases:
    """Makes databases of which nothing is known yet, and closes them.

    Args:
        folder: for those on files.
        server: started when it is first needed.
    """

    def __init__(self, folder: Path, server: SurrealServer) -> None:
        self._folder = folder
        self.server = server
        self._opened: list[Database] = []

    def new(self, kind: str) -> Database:
        """An empty database; `kind` is the scheme of its URL."""
        return self.at(kind, f"test_{uuid.uuid4().hex}")

    def at(
        self,
        kind: str,
        name: str,
        *,
        namespace: str = "sentient_core",
        user: str | None = USERNAME,
        password: str = PASSWORD,
    ) -> Database:
        """The database of this name, which others may have written to."""
        if kind in EMBEDDED:
            url = "mem://" if kind == "mem" else f"surrealkv://{self._folder}/{name}"
            made = open_database(url, namespace=namespace, database=name)
        else:
            if not self.server.is_running:
                self.server.start()
            url = self.server.url.replace("ws", kind, 1)
            made = open_database(url, namespace=namespace, database=name, username=user, password=password)
        self._opened.append(made)
        return made

    async def close(self) -> None:
        """Closes them all."""
        for database in self._opened:
            await database.close()
