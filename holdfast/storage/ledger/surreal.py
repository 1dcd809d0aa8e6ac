"""The ledger on SurrealDB."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from surrealdb import RecordID
from typing_extensions import override

from holdfast.errors import StoreUnavailable
from holdfast.ports.ledger import CallKey, Ledger, LedgerEntry, LostCall, Recorded
from holdfast.storage.database import Database, old_rows, retry_conflicts
from holdfast.storage.database.surql import statement
from holdfast.types import RunId

TABLE = "ledger"

CLAIM, RECORD, GIVE_UP = (statement("holdfast.storage.ledger", name) for name in ("claim", "record", "give_up"))
FIND = "SELECT owner, result, duration::millis(time::now() - at) AS age FROM $row"
LOST = """SELECT id, tool, result != NONE AS is_recorded FROM ledger:[$run, $chain, NONE]..=[$run, $chain, ..]
WHERE given_up != NONE"""
DELETE = "DELETE ledger:[$run, $chain, NONE]..=[$run, $chain, ..] RETURN NONE"
OLD = "SELECT VALUE id FROM ledger WHERE at < $before LIMIT $limit"
DROP = "DELETE $rows WHERE at < $before RETURN NONE"


class SurrealLedger(Ledger):
    """One row for each call.

    Args:
        database: the database; it is not closed with this object.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @override
    async def claim(self, key: CallKey, *, owner: str, tool: str, instead_of: str | None = None) -> LedgerEntry:
        values = {"row": _row_id(key), "owner": owner, "tool": tool, "instead_of": instead_of or ""}
        rows = await self._write(CLAIM, **values)
        if not rows:  # the database does not report a write that permissions forbid
            raise StoreUnavailable("the database ignored a claim: check that its user may write")
        return _entry(rows[0])

    @override
    async def record(self, key: CallKey, *, owner: str, result: bytes) -> Recorded:
        rows = await self._write(RECORD, row=_row_id(key), owner=owner, result=result)
        if not rows or rows[0]["owner"] != owner or rows[0]["is_open"]:
            return Recorded.REFUSED
        return Recorded.LATE if rows[0]["is_late"] else Recorded.IN_TIME

    @override
    async def give_up(self, key: CallKey, *, owner: str) -> LedgerEntry | None:
        rows = await self._write(GIVE_UP, row=_row_id(key), owner=owner)
        return _entry(rows[0]) if rows else None

    @override
    async def find(self, key: CallKey) -> LedgerEntry | None:
        [rows] = await self._database.run(FIND, row=_row_id(key))
        return _entry(rows[0]) if rows else None

    @override
    async def lost(self, run_id: RunId, chain: str) -> list[LostCall]:
        [rows] = await self._database.run(LOST, run=run_id, chain=chain)
        return [LostCall(row["id"].id[2], row["id"].id[3], row["tool"], row["is_recorded"]) for row in rows]

    @override
    async def delete(self, run_id: RunId, chain: str) -> None:
        await retry_conflicts(lambda: self._database.run(DELETE, run=run_id, chain=chain), f"the ledger of {run_id!r}")

    @override
    async def prune(self, before: datetime) -> int:
        before, pruned = before.astimezone(UTC), 0
        async for rows in old_rows(self._database, OLD, before=before):
            await self._database.run(DROP, rows=rows, before=before)
            pruned += len(rows)
        return pruned

    async def _write(self, text: str, **values: Any) -> list[dict[str, Any]]:
        """Runs a transaction and returns the rows that it reads at its end."""
        results = await retry_conflicts(lambda: self._database.run(text, **values), "the ledger")
        return next((result for result in reversed(results) if isinstance(result, list)), [])


def _row_id(key: CallKey) -> RecordID:
    return RecordID(TABLE, [key.run_id, key.chain, key.message, key.index, key.fingerprint])


def _entry(row: dict[str, Any]) -> LedgerEntry:
    return LedgerEntry(row["owner"], row["age"] / 1000, row.get("result"))
