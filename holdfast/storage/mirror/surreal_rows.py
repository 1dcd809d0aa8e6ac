"""All rows of a run in SurrealDB, for comparing the mirror with a run's log and repairing it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from holdfast.ports import Cipher
from holdfast.storage.database import Database, WriteConflict
from holdfast.storage.database.surql import statement
from holdfast.storage.mirror.comparison import EDGE, DifferingRow, compare_rows
from holdfast.storage.mirror.rows import Row, run_id
from holdfast.types import EntryBatch, RunId, TranscriptRef

REPAIR = statement("holdfast.storage.mirror", "repair")
RUN = "SELECT * FROM $run"
EDGES = "SELECT * FROM $run<-spawned"
FIRST = {
    "event": "SELECT * FROM event:[$id, NONE]..=[$id, ..] LIMIT $limit",
    "message": "SELECT * FROM message:[$id, NONE]..=[$id, ..] LIMIT $limit",
    "tool_call": "SELECT * FROM tool_call:[$id, NONE]..=[$id, ..] LIMIT $limit",
    "agent_checkpoint": "SELECT * FROM agent_checkpoint:[$id, NONE]..=[$id, ..] LIMIT $limit",
}
PAGES = {
    "event": "SELECT * FROM event:[$id, $key[0]]>..=[$id, ..] LIMIT $limit",
    "message": "SELECT * FROM message:[$id, $key[0]]>..=[$id, ..] LIMIT $limit",
    "tool_call": "SELECT * FROM tool_call:[$id, $key[0], $key[1]]>..=[$id, ..] LIMIT $limit",
    "agent_checkpoint": "SELECT * FROM agent_checkpoint:[$id, $key[0], $key[1]]>..=[$id, ..] LIMIT $limit",
}
PAGE = 200  # rows per statement, so that other statements run in between


class SurrealRows:
    """Compares and repairs the rows of a run.

    Args:
        database: the database of the mirror.
        cipher: the store's cipher, if it encrypts.
    """

    def __init__(self, database: Database, cipher: Cipher | None = None) -> None:
        self._database = database
        self._cipher = cipher

    async def differences(self, log: EntryBatch) -> list[DifferingRow]:
        """Returns the rows that differ from the log."""
        return compare_rows(log, [row async for row in self._all(log.run_id)], self._cipher)

    async def repair(self, log: EntryBatch, seen: TranscriptRef | None) -> bool:
        """Writes and deletes rows until all match the log; see `holdfast.ports.Store.repair`."""
        differing = await self.differences(log)
        own = [each for each in differing if each.difference.table == "run"]
        others = [each for each in differing if each.difference.table != "run"]
        steps = [others[first : first + PAGE] for first in range(0, len(others), PAGE)] + [own]
        try:
            for step in filter(None, steps):
                await self._write(log.run_id, step, seen)
        except WriteConflict:
            return False
        return True

    async def _write(self, run: RunId, step: Sequence[DifferingRow], seen: TranscriptRef | None) -> None:
        right = [each.right for each in step if each.right is not None]
        await self._database.run(
            REPAIR,
            run=run_id(run),
            seen=[seen.seq, seen.digest] if seen else [None, None],
            rows=[row for row in right if row["id"].table_name != EDGE],
            edges=[row for row in right if row["id"].table_name == EDGE],
            extras=[each.id for each in step if each.right is None],
        )

    async def _all(self, run: RunId) -> AsyncIterator[Row]:
        for table, first in FIRST.items():
            [rows] = await self._database.run(first, id=run, limit=PAGE)
            while rows:
                for row in rows:
                    yield row
                if len(rows) < PAGE:
                    break
                [rows] = await self._database.run(PAGES[table], id=run, key=rows[-1]["id"].id[1:], limit=PAGE)
        for one in (EDGES, RUN):
            [rows] = await self._database.run(one, run=run_id(run))
            for row in rows:
                yield row
