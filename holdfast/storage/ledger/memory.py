"""A ledger in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from typing_extensions import override

from holdfast.ports.ledger import CallKey, Ledger, LedgerEntry, LostCall, Recorded
from holdfast.types import RunId


@dataclass
class _Row:
    tool: str
    owner: str
    at: datetime
    result: bytes | None = None
    is_given_up: bool = False


class MemoryLedger(Ledger):
    """A ledger for tests: it is lost with its process, so no worker may rely on it."""

    def __init__(self) -> None:
        self._rows: dict[CallKey, _Row] = {}

    @override
    async def claim(self, key: CallKey, *, owner: str, tool: str, instead_of: str | None = None) -> LedgerEntry:
        row = self._rows.get(key)
        if row is None or (row.owner == instead_of and row.result is None):
            row = self._rows[key] = _Row(tool, owner, datetime.now(UTC))
        return _entry(row)

    @override
    async def record(self, key: CallKey, *, owner: str, result: bytes) -> Recorded:
        row = self._rows.get(key)
        if row is None or row.owner != owner:
            return Recorded.REFUSED
        row.result = row.result if row.result is not None else result
        return Recorded.LATE if row.is_given_up else Recorded.IN_TIME

    @override
    async def give_up(self, key: CallKey, *, owner: str) -> LedgerEntry | None:
        row = self._rows.get(key)
        if row is None:
            return None
        if row.owner == owner and row.result is None:
            row.is_given_up = True
        return _entry(row)

    @override
    async def find(self, key: CallKey) -> LedgerEntry | None:
        row = self._rows.get(key)
        return None if row is None else _entry(row)

    @override
    async def lost(self, run_id: RunId, chain: str) -> list[LostCall]:
        return [
            LostCall(key.message, key.index, row.tool, row.result is not None)
            for key, row in sorted(self._rows.items(), key=lambda item: (item[0].message, item[0].index))
            if (key.run_id, key.chain) == (run_id, chain) and row.is_given_up
        ]

    @override
    async def delete(self, run_id: RunId, chain: str) -> None:
        self._keep(lambda key, _row: (key.run_id, key.chain) != (run_id, chain))

    @override
    async def prune(self, before: datetime) -> int:
        count = len(self._rows)
        self._keep(lambda _key, row: row.at >= before)
        return count - len(self._rows)

    def _keep(self, wanted: Callable[[CallKey, _Row], bool]) -> None:
        self._rows = {key: row for key, row in self._rows.items() if wanted(key, row)}


def _entry(row: _Row) -> LedgerEntry:
    return LedgerEntry(row.owner, (datetime.now(UTC) - row.at).total_seconds(), row.result)
