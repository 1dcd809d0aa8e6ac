"""Dumps of all mirror rows, to compare the results of two sequences of writes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from surrealdb import RecordID

from holdfast.storage.database import Database

TABLES = ("run", "message", "attachment", "tool_call", "agent_checkpoint", "wait", "event", "spawned", "forked")
"""Every table that a run's log projects to."""


async def dump(database: Database, tables: Sequence[str] = TABLES) -> dict[str, list[dict[str, Any]]]:
    """The rows of tables, those of the mirror by default, ordered by id, in values that compare and print alike.

    Record ids become `table:<JSON of the id>`, times ISO texts; columns that are NONE are left out.
    """
    return {table: await _rows(database, table) for table in tables}


def of_run(rows: dict[str, list[dict[str, Any]]], run_id: str) -> dict[str, list[dict[str, Any]]]:
    """The part of a dump that belongs to one run; of edges, those that lead to it."""
    return {table: [row for row in found if _owner(row) == run_id] for table, found in rows.items()}


async def _rows(database: Database, table: str) -> list[dict[str, Any]]:
    [found] = await database.run(f"SELECT * FROM {table}")
    rows = [{name: _plain(value) for name, value in row.items() if value is not None} for row in found]
    return sorted(rows, key=lambda row: str(row["id"]))


def _plain(value: Any) -> Any:
    if isinstance(value, RecordID):
        return f"{value.table_name}:{json.dumps(_plain(value.id))}"
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return value


def _owner(row: dict[str, Any]) -> str:
    identity = json.loads(str(row.get("out", row["id"])).partition(":")[2])
    return str(identity[0] if isinstance(identity, list) else identity)
