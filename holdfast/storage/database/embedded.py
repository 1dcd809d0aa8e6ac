"""Endpoints of SurrealDB's embedded engine."""

from __future__ import annotations

import contextlib
import os
import uuid
from pathlib import Path
from typing import Any
from uuid import UUID

from surrealdb import AsyncEmbeddedSurrealConnection, RecordID

from holdfast._util.logger import get_logger
from holdfast._util.native_threads import await_native_threads_at_exit
from holdfast.errors import StoreUnavailable
from holdfast.storage.database import cbor
from holdfast.storage.database.damage import LogGuard
from holdfast.storage.database.lock import PathLock
from holdfast.storage.database.query_message import QueryMessage

log = get_logger(__name__)

MARK = RecordID("opening", "mark")
VERIFY_ATTEMPTS = 3  # the first finds the damage, which makes the engine repair it; the second verifies it


class EmbeddedClient(AsyncEmbeddedSurrealConnection):
    """A handle of an engine in this process."""

    async def query_raw(
        self,
        query: str,
        params: dict[str, Any] | None = None,
        session_id: UUID | None = None,
        txn_id: UUID | None = None,
    ) -> dict[str, Any]:
        """Runs a statement."""
        message = QueryMessage(query, params, session_id, txn_id)
        answer: dict[str, Any] = cbor.decode(await self._db.execute(message.WS_CBOR_DESCRIPTOR))
        return answer


class EmbeddedEndpoint:
    """An engine in this process."""

    max_connections = 1  # the engine loses updates when statements overlap
    # No deadlines: a statement of the engine cannot be interrupted, and the next one must wait for it.
    call_deadline: float | None = None
    dial_deadline: float | None = None
    statement_deadline: float | None = None

    durable: bool
    survives_failure: bool

    def __init__(self, url: str, namespace: str, database: str) -> None:
        self._url, self.namespace, self.database = url, namespace, database
        await_native_threads_at_exit()

    def __str__(self) -> str:
        return self._url

    async def dial(self) -> EmbeddedClient:
        """Opens the engine."""
        client = EmbeddedClient(self._url)
        await client.connect()
        await client.use(self.namespace, self.database)
        return client

    async def disconnect(self, client: EmbeddedClient, *, failed: bool) -> None:  # noqa: ARG002
        """Closes the engine and ignores errors: an engine that has failed is replaced by opening it again."""
        with contextlib.suppress(Exception):
            await client.close()

    def release(self) -> None:
        """Does nothing: the endpoint holds nothing between clients."""


class MemoryEndpoint(EmbeddedEndpoint):
    """An engine in memory; the data lives as long as its client."""

    durable = False
    survives_failure = True

    def __init__(self, namespace: str, database: str) -> None:
        super().__init__("mem://", namespace, database)


class PathEndpoint(EmbeddedEndpoint):
    """An engine on files; locks out other processes."""

    durable = True
    survives_failure = False  # after one failed write the engine rejects all others until it is opened again

    def __init__(self, path: Path, namespace: str, database: str) -> None:
        super().__init__(f"surrealkv://{path}", namespace, database)
        self.path = path
        self._lock = PathLock(path)
        self._guard = LogGuard(path)
        self._needs_check = False
        self._kept = False

    def acquire(self) -> None:
        """Acquires the lock and keeps it until `relinquish`, even while no client is open.

        Raises:
            StoreLocked: another process has the files open.
        """
        self._needs_check |= self._lock.acquire()
        self._kept = True

    def is_held_by(self, pid: int) -> bool:
        """Returns whether the process with this id holds the lock."""
        return self._lock.is_held_by(pid)

    def relinquish(self) -> None:
        """Releases the lock."""
        self._kept = False
        self.release()

    async def dial(self) -> EmbeddedClient:
        """Acquires the lock and opens the files.

        Raises:
            StoreLocked: another process has them open.
        """
        self._needs_check |= self._lock.acquire()
        # The engine reads this when it opens. Without it, acknowledged writes survive a kill but not a power failure.
        os.environ.setdefault("SURREAL_SYNC_DATA", "true")
        try:
            if self._needs_check:
                await self._verify()
            return await self._open()
        except BaseException:
            self._needs_check = True
            self.release()
            raise

    async def disconnect(self, client: EmbeddedClient, *, failed: bool) -> None:
        """Closes the engine; after a failure the next opening verifies the files."""
        self._needs_check |= failed
        await super().disconnect(client, failed=failed)

    def release(self) -> None:
        """Releases the lock, unless `acquire` keeps it."""
        if not self._kept:
            self._lock.release(clean=not self._needs_check)

    async def _verify(self) -> None:
        """Verifies that what is written now can be read after the next opening.

        An interrupted write may leave a few bytes of a record. The engine repairs its log when it finds a broken
        record, but mistakes one to three bytes for the end of the log, appends after them, and discards all of that at
        the next opening. So this writes a value, opens the files again, and checks that it is there.
        """
        for _ in range(VERIFY_ATTEMPTS):
            mark = uuid.uuid4().hex
            await self._once("UPSERT $row SET mark = $mark", mark)
            if await self._once("RETURN $row.mark = $mark", mark) is True:
                self._needs_check = False
                return
        raise StoreUnavailable(
            f"{self._url} is damaged and loses new writes: restore it from a copy, or use another path"
        )

    async def _once(self, statement: str, mark: str) -> object:
        client = await self._open()
        try:
            return await client.query(statement, {"row": MARK, "mark": mark})
        finally:
            await super().disconnect(client, failed=False)

    async def _open(self) -> EmbeddedClient:
        """Opens the engine, and reports what it cuts off its log.

        Raises:
            StoreUnavailable: the disk is too full to repair the log.
        """
        self._guard.prepare()
        try:
            client = await super().dial()
        finally:
            for damage in self._guard.settle():
                log.error(str(damage))
        if self._guard.is_repair_unfinished:  # it would lose with the next opening what it acknowledges now
            await super().disconnect(client, failed=True)
            raise StoreUnavailable(f"the engine could not repair {self._url}: is the disk full?")
        return client
