"""The queries of docs/howto/query-the-mirror.md, on both engines, over runs with known answers."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from surrealdb import AsyncWsSurrealConnection, RecordID

from holdfast.storage.database import Database
from holdfast.storage.mirror import SurrealStore
from holdfast.types import Entry, EntryBatch, EntryKind, RunError, RunStatus, RunSummary, Usage
from tests.support.databases import Databases

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "query-the-mirror.md"
BLOCK = re.compile(r"^#{2,3} ([^\n]+)$(?:(?!^#).)*?^```surql\n(.*?)^```", re.MULTILINE | re.DOTALL)
QUERIES = dict(BLOCK.findall(PAGE.read_text()))
USER = "A user for dashboards"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
KINDS = ("mem", "ws")


class History:
    """A run that is made up, entry by entry, a second each."""

    def __init__(self, run_id: str, agent: str, *, day: int = 0, parent: str | None = None, cost: float = 0.0) -> None:
        self.entries: list[Entry] = []
        self._summary = RunSummary(
            run_id=run_id,
            agent=agent,
            status=RunStatus.RUNNING,
            turn=1,
            usage=Usage(requests=1, input_tokens=100, output_tokens=10, cost_usd=cost),
            tool_calls=0,
            input="Write it.",
            parent=parent,
            started_at=NOON + timedelta(days=day),
            finished_at=None,
        )
        self._messages = 0
        self._add("start", agent={}, request={})
        self._say("user", "Write it.")

    def call(self, tool: str, arguments: str, seconds: float, *, error: bool = False, attempts: int = 1) -> History:
        """The model calls a tool, which answers."""
        call_id = f"call-{self._messages}"
        self._say("assistant", "", tool_calls=[{"id": call_id, "name": tool, "arguments": arguments}])
        data = {"tool": tool, "error": error, "files": [], "seconds": seconds, "attempts": attempts}
        self._say("tool", "an answer", kind="tool_result", tool_call_id=call_id, data=data)
        return self

    def wait(self) -> History:
        """It waits for a person."""
        self._add("status", status="waiting", reason="a person must answer")
        return self._update(status=RunStatus.WAITING)

    def finish(self, *, after: float, error: RunError | None = None) -> History:
        """It ends, so many seconds after it began."""
        self._add("finish", result={})
        status = RunStatus.FAILED if error else RunStatus.COMPLETED
        return self._update(status=status, error=error, finished_at=self._summary.started_at + timedelta(seconds=after))

    async def keep(self, store: SurrealStore) -> None:
        """Writes it like a real run."""
        run_id, summary = self._summary.run_id, self._summary
        batch = EntryBatch(run_id=run_id, chain="1", previous_digest="", entries=self.entries, summary=summary)
        await store.append(batch)

    def _update(self, **changes: Any) -> History:
        self._summary = self._summary.model_copy(update=changes)
        return self

    def _say(
        self, role: str, content: str, *, kind: EntryKind = "message", data: dict[str, Any] | None = None, **more: Any
    ) -> None:
        message = {"seq": self._messages, "role": role, "content": content, **more}
        self._messages += 1
        self._add(kind, message=message, **(data or {}))

    def _add(self, kind: EntryKind, **data: Any) -> None:
        previous = self.entries[-1].digest if self.entries else ""
        at = self._summary.started_at + timedelta(seconds=len(self.entries))
        self.entries.append(Entry.chained(previous, seq=len(self.entries), at=at, kind=kind, turn=1, data=data))


REFUSED = RunError(type="ModelRefused", message="no such model")
SLOW = RunError(type="RunTimedOut", message="not done in 60 s")
HISTORIES = (
    History("editor-3f9a12bc", "editor", cost=0.5).call("read_file", '{"path":"a"}', 0.5).finish(after=90),
    History("writer-1", "writer", parent="editor-3f9a12bc", cost=0.25)
    .call("fetch", '{"url":"x"}', 4.0, error=True, attempts=3)
    .call("fetch", '{"url":"x"}', 2.0)
    .finish(after=30),
    History("writer-2", "writer", day=1, parent="writer-1", cost=1.0).call("read_file", "{}", 0.25).finish(after=60),
    History("writer-3", "writer", day=1).finish(after=1, error=REFUSED),
    History("writer-4", "writer", day=1).finish(after=1, error=REFUSED),
    History("editor-5", "editor", day=2).finish(after=60, error=SLOW),
    History("editor-6", "editor", day=2).wait(),
)


def run(name: str) -> RecordID:
    return RecordID("run", name)


def node(name: str, cost: float, *children: dict[str, Any]) -> dict[str, Any]:
    agent = name.partition("-")[0]
    return {"id": run(name), "agent": agent, "status": "completed", "cost_usd": cost, "children": list(children)}


ANSWERS: dict[str, Any] = {
    "Cost by agent and day": [
        {"agent": "editor", "day": "2026-03-03", "runs": 2, "tokens": 220, "cost_usd": 0.0},
        {"agent": "writer", "day": "2026-03-02", "runs": 3, "tokens": 330, "cost_usd": 1.0},
        {"agent": "editor", "day": "2026-03-01", "runs": 1, "tokens": 110, "cost_usd": 0.5},
        {"agent": "writer", "day": "2026-03-01", "runs": 1, "tokens": 110, "cost_usd": 0.25},
    ],
    "The slowest tools": [
        {"tool": "fetch", "calls": 2, "mean": 3.0, "slowest": 4.0},
        {"tool": "read_file", "calls": 2, "mean": 0.375, "slowest": 0.5},
    ],
    "Tools that fail": [{"tool": "fetch", "calls": 2, "failed": 1}],
    "Calls that were tried again": [
        {
            "run": run("writer-1"),
            "tool": "fetch",
            "attempts": 3,
            "error": "an answer",
            "at": NOON + timedelta(seconds=2),
        }
    ],
    "Runs that wait for a person": [
        {"id": run("editor-6"), "agent": "editor", "since": NOON + timedelta(days=2, seconds=2), "input": "Write it."}
    ],
    "Why runs failed": [
        {"error_type": "ModelRefused", "error": "no such model", "runs": 2, "latest": NOON + timedelta(days=1)},
        {"error_type": "RunTimedOut", "error": "not done in 60 s", "runs": 1, "latest": NOON + timedelta(days=2)},
    ],
    "The tree of a run": node("editor-3f9a12bc", 0.5, node("writer-1", 0.25, node("writer-2", 1.0))),
    "What a tree of runs cost": [{"runs": 3, "cost_usd": 1.75}],
    "How long agents take": [
        {"agent": "editor", "runs": 2, "mean": 75.0, "longest": 90},
        {"agent": "writer", "runs": 4, "mean": 23.0, "longest": 60},
    ],
    "What a run said": [
        {"number": 0, "role": "user", "content": "Write it."},
        {"number": 1, "role": "assistant", "content": ""},
        {"number": 2, "role": "tool", "content": "an answer"},
    ],
}


async def with_runs(database: Database) -> Database:
    store = SurrealStore(database)
    for history in HISTORIES:
        await history.keep(store)
    return database


def test_every_query_of_the_page_is_tested() -> None:
    """Every query of the page has a test."""
    assert PAGE.read_text().count("```surql\n") == len(QUERIES)
    assert [*QUERIES] == [*ANSWERS, USER]


@pytest.mark.parametrize("kind", KINDS)
async def test_queries_give_what_they_promise(kind: str, databases: Databases) -> None:
    """Every query returns what the page says, on both engines."""
    database = await with_runs(databases.new(kind))
    given = {}
    for title in ANSWERS:
        [given[title]] = await database.read(QUERIES[title])
    assert given == ANSWERS


async def test_user_for_dashboards_reads_and_does_not_write(databases: Databases) -> None:
    """The user for dashboards can read the mirror and cannot change it."""
    await with_runs(databases.at("ws", "dashboards"))
    await databases.at("ws", "dashboards").run(QUERIES[USER])
    credentials: dict[str, Any] = {"namespace": "sentient_core", "database": "dashboards"}
    async with AsyncWsSurrealConnection(databases.server.url) as client:
        await client.signin(credentials | {"username": "dashboard", "password": "choose another one"})
        await client.use("sentient_core", "dashboards")
        assert await client.query("RETURN count(SELECT 1 FROM run)") == len(HISTORIES)
        answer = await client.query_raw("DELETE run")
        assert answer["result"][0]["result"] in ([], None) or answer["result"][0]["status"] == "ERR"
        assert await client.query("RETURN count(SELECT 1 FROM run)") == len(HISTORIES)
