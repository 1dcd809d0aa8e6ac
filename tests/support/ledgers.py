"""Ledgers that a test can make unavailable, or in which calls look lost."""

from __future__ import annotations

from datetime import timedelta

from typing_extensions import override

from holdfast.errors import StoreUnavailable
from holdfast.ports.ledger import CallKey, LedgerEntry, Recorded
from holdfast.storage.ledger import MemoryLedger


class SwitchedLedger(MemoryLedger):
    """A ledger in memory that a test can switch off like a server, and that counts what is asked of it."""

    def __init__(self, *, on: bool = True) -> None:
        super().__init__()
        self.on = on
        self.asked: list[str] = []

    @override
    async def claim(self, key: CallKey, *, owner: str, tool: str, instead_of: str | None = None) -> LedgerEntry:
        self._ask("claim")
        return await super().claim(key, owner=owner, tool=tool, instead_of=instead_of)

    @override
    async def record(self, key: CallKey, *, owner: str, result: bytes) -> Recorded:
        self._ask("record")
        return await super().record(key, owner=owner, result=result)

    @override
    async def find(self, key: CallKey) -> LedgerEntry | None:
        self._ask("find")
        return await super().find(key)

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if not self.on:
            raise StoreUnavailable("the ledger is switched off")


class LossyLedger(MemoryLedger):
    """A ledger in which each call was claimed, long ago, by a worker that is gone."""

    LOST = "lost"

    @override
    async def claim(self, key: CallKey, *, owner: str, tool: str, instead_of: str | None = None) -> LedgerEntry:
        if await self.find(key) is None:
            await super().claim(key, owner=self.LOST, tool=tool)
            self._rows[key].at -= timedelta(hours=1)
        return await super().claim(key, owner=owner, tool=tool, instead_of=instead_of)
