"""The ledger of tool calls that must not take effect twice: in memory, and on SurrealDB."""

from __future__ import annotations

from holdfast.storage.ledger.memory import MemoryLedger
from holdfast.storage.ledger.surreal import SurrealLedger

__all__ = ["MemoryLedger", "SurrealLedger"]
