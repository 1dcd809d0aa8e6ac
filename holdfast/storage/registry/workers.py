"""The agents that workers serve from code, in SurrealDB."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta

from surrealdb import RecordID
from typing_extensions import override

from holdfast.ports.registry import ServedAgents
from holdfast.storage.database import Database

KEPT = timedelta(days=1)
"""Time that a row stays after its last write; Temporal lists a worker for some minutes after its end."""

WRITE = "UPSERT $row CONTENT {agents: $agents, at: $at} RETURN NONE; DELETE worker WHERE at < $before RETURN NONE"
FIND = "SELECT id[1] AS identity, agents FROM worker:[$queue, '']..=[$queue, ..]"


class SurrealServedAgents(ServedAgents):
    """One row for each worker process.

    Args:
        database: the database; it is not closed with this object.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @override
    async def announce(self, task_queue: str, worker: str, agents: Collection[str]) -> None:
        now = datetime.now(UTC)
        await self._database.run(
            WRITE, row=RecordID("worker", [task_queue, worker]), agents=sorted(agents), at=now, before=now - KEPT
        )

    @override
    async def by_worker(self, task_queue: str) -> Mapping[str, Collection[str]]:
        [rows] = await self._database.run(FIND, queue=task_queue)
        return {row["identity"]: row["agents"] for row in rows}
