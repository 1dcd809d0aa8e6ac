"""All rows of a run in SurrealDB, for comparing the mirror with a run's log and repairing it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from holdfast.ports import MISSING, Cipher
from holdfast.storage.database import Database, WriteConflict
from holdfast.storage.database.surql import statement
from holdfast.storage.mirror.comparison import EDGES, DifferingRow, compare_rows
from holdfast.storage.mirror.rows import Row, run_id
from holdfast.types import EntryBatch, RunId, TranscriptRef

REPAIR = statement("holdfast.storage.mirror", "repair")
RUN = "SELECT * FROM $run"
INCOMING = "SELECT * FROM $run<-spawned, $run<-forked"
PRESENT = "SELECT VALUE id FROM $ids"
FIRST = {
    "event": "SELECT * FROM event:[$id, NONE]..=[$id, ..] LIMIT $limit",
    "message": "SELECT * FROM message:[$id, NONE]..=[$id, ..] LIMIT $limit",
    "tool_call": "SELECT * FROM tool_call:[$id, NONE]..=[$id, ..] LIMIT $limit",
    "agent_checkpoint": "SELECT * FROM agent_checkpoint:[$id, NONE]..=[$id, ..] LIMIT $limit",
    "wait": "SELECT * FROM wait:[$id, NONE]..=[$id, ..] LIMIT $limit",
    "attachment": "SELECT * FROM attachment:[$id, NONE]..=[$id, ..] LIMIT $limit",
}
PAGES = {
    "event": "SELECT * FROM event:[$id, $key[0]]>..=[$id, ..] LIMIT $limit",
    "message": "SELECT * FROM message:[$id, $key[0]]>..=[$id, ..] LIMIT $limit",
    "tool_call": "SELECT * FROM tool_call:[$id, $key[0], $key[1]]>..=[$id, ..] LIMIT $limit",
    "agent_checkpoint": "SELECT * FROM agent_checkpoint:[$id, $key[0], $key[1]]>..=[$id, ..] LIMIT $limit",
    "wait": "SELECT * FROM wait:[$id, $key[0]]>..=[$id, ..] LIMIT $limit",
    "attachment": "SELECT * FROM attachment:[$id, $key[0]]>..=[$id, ..] LIMIT $limit",
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
        found = compare_rows(log, [row async for row in self._all(log.run_id)], self._cipher)
        return await self._without_lost_edges(found)

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

    async def _without_lost_edges(self, found: list[DifferingRow]) -> list[DifferingRow]:
        """Leaves out missing edges from runs that were deleted, as the database deletes them with the run."""
        origins = [
            each.right["in"] for each in found if each.right and each.difference.what == MISSING and each.is_edge
        ]
        if not origins:
            return found
        [present] = await self._database.run(PRESENT, ids=origins)
        here = {str(identity) for identity in present}
        return [
            each
            for each in found
            if not (
                each.is_edge and each.right and each.difference.what == MISSING and str(each.right["in"]) not in here
            )
        ]

    async def _write(self, run: RunId, step: Sequence[DifferingRow], seen: TranscriptRef | None) -> None:
        right = [each.right for each in step if each.right is not None]
        await self._database.run(
            REPAIR,
            run=run_id(run),
            seen=[seen.seq, seen.digest] if seen else [None, None],
            rows=[row for row in right if row["id"].table_name not in EDGES],
            **{edge: [row for row in right if row["id"].table_name == edge] for edge in EDGES},
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
        for one in (INCOMING, RUN):
            [rows] = await self._database.run(one, run=run_id(run))
            for row in rows:
                yield row
