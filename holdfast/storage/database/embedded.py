"""SurrealDB's engine inside this process."""

from __future__ import annotations

import contextlib
import os
import uuid
from pathlib import Path

from surrealdb import AsyncEmbeddedSurrealConnection, RecordID

from holdfast.errors import StoreUnavailable
from holdfast.storage.database.lock import PathLock

MARK = RecordID("opening", "mark")
SETTLE_ATTEMPTS = 3  # the first finds the damage and has the engine repair it, the second finds it repaired


class EmbeddedEndpoint:
    """An engine."""

    max_connections = 1  # the engine loses updates when statements overlap
    # A local engine is not given up on: its statements cannot be called back, and the next must wait for them.
    call_deadline: float | None = None
    dial_deadline: float | None = None
    statement_deadline: float | None = None

    durable: bool
    survives_failure: bool

    def __init__(self, url: str, namespace: str, database: str) -> None:
        self._url, self.namespace, self.database = url, namespace, database

    def __str__(self) -> str:
        return self._url

    async def dial(self) -> AsyncEmbeddedSurrealConnection:
        """Opens the engine."""
        client = AsyncEmbeddedSurrealConnection(self._url)
        await client.connect()
        await client.use(self.namespace, self.database)
        return client

    async def disconnect(self, client: AsyncEmbeddedSurrealConnection, *, failed: bool) -> None:  # noqa: ARG002
        """Closes the engine, which may be past saving: then opening it anew is what helps."""
        with contextlib.suppress(Exception):
            await client.close()

    def release(self) -> None:
        """Holds nothing between clients."""


class MemoryEndpoint(EmbeddedEndpoint):
    """An engine on memory that goes with its client."""

    durable = False
    survives_failure = True

    def __init__(self, namespace: str, database: str) -> None:
        super().__init__("mem://", namespace, database)


class PathEndpoint(EmbeddedEndpoint):
    """An engine on files; keeps other processes out."""

    durable = True
    survives_failure = False  # after one failed write the engine refuses all others, until it is opened anew

    def __init__(self, path: Path, namespace: str, database: str) -> None:
        super().__init__(f"surrealkv://{path}", namespace, database)
        self._lock = PathLock(path)
        self._suspect = False
        self._claimed = False

    def acquire(self) -> None:
        """Takes the lock, to keep it until `relinquish`, whatever becomes of the clients.

        Raises:
            StoreLocked: another process has the files open.
        """
        self._suspect |= self._lock.acquire()
        self._claimed = True

    def is_held_by(self, pid: int) -> bool:
        """Whether it is this process that keeps us from the lock."""
        return self._lock.is_held_by(pid)

    def relinquish(self) -> None:
        """Frees the lock."""
        self._claimed = False
        self.release()

    async def dial(self) -> AsyncEmbeddedSurrealConnection:
        """Takes the lock and opens the files.

        Raises:
            StoreLocked: another process has them open.
        """
        self._suspect |= self._lock.acquire()
        # The engine reads this when it opens. Without it an acknowledged write survives a kill, but not a power cut.
        os.environ.setdefault("SURREAL_SYNC_DATA", "true")
        try:
            if self._suspect:
                await self._settle()
            return await super().dial()
        except BaseException:
            self._suspect = True
            self.release()
            raise

    async def disconnect(self, client: AsyncEmbeddedSurrealConnection, *, failed: bool) -> None:
        """Closes the engine, and remembers if it failed."""
        self._suspect |= failed
        await super().disconnect(client, failed=failed)

    def release(self) -> None:
        """Frees the lock, unless it was claimed."""
        if not self._claimed:
            self._lock.release(clean=not self._suspect)

    async def _settle(self) -> None:
        """Makes sure that what is written is there after the next opening.

        A write that was cut short may leave a few bytes of a record. The engine repairs its log when it meets a
        broken record, but takes one to three bytes for the end of the log, writes behind them, and at the next
        opening throws away all that it wrote. So write something, and see.
        """
        for _ in range(SETTLE_ATTEMPTS):
            mark = uuid.uuid4().hex
            await self._once("UPSERT $row SET mark = $mark", mark)
            if await self._once("RETURN $row.mark = $mark", mark) is True:
                self._suspect = False
                return
        raise StoreUnavailable(f"{self._url} is damaged: it forgets what is written. Restore it, or use another path")

    async def _once(self, statement: str, mark: str) -> object:
        client = await super().dial()
        try:
            return await client.query(statement, {"row": MARK, "mark": mark})
        finally:
            await super().disconnect(client, failed=False)
