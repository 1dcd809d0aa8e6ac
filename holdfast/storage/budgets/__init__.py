"""Budgets that many runs share, per day: in memory, and on SurrealDB."""

from __future__ import annotations

from holdfast.storage.budgets.memory import MemoryDayBudgets
from holdfast.storage.budgets.surreal import SurrealDayBudgets

__all__ = ["MemoryDayBudgets", "SurrealDayBudgets"]
