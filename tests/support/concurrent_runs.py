"""Concurrent runs, and assertions that hold whatever happens to their store."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self

from temporalio.client import Client

from holdfast import RunHandle
from holdfast.ops.doctor import Verdict, Verifier
from holdfast.ports import Store
from holdfast.storage.persistence import open_persistence
from holdfast.temporal.run_log import TemporalRunLog
from holdfast.testing import ChatRequest, ChatToolCall, Reply
from tests.support.crash_agents import ran
from tests.support.lab import replayed_entries
from tests.support.processes import TIMEOUT, Site
from tests.support.surreal_server import PASSWORD, USERNAME, SurrealServer
from tests.support.tiers import scaled

RUNS = scaled(6, 20)
TURNS = 5  # of each run: a tool call in each but the last
LATENCY = 0.05  # seconds that the model takes
ALL_AT_ONCE = {"MAX_CONCURRENT_AGENTS": str(RUNS)}
"""Lets a worker play all runs side by side."""


@dataclass
class ConcurrentRuns:
    """Runs that count, side by side.

    Attributes:
        site: where they are played.
        runs: their handles.
    """

    site: Site
    runs: list[RunHandle]

    @classmethod
    async def start(cls, site: Site, runs: int = RUNS) -> Self:
        """Starts them; the model answers after LATENCY."""
        site.server.respond = count
        return cls(site, await asyncio.gather(*(site.start(f"Count for {number}.") for number in range(runs))))

    async def advance(self, requests: int) -> None:
        """Waits for that many more model requests, which show that the runs are active."""
        await self.site.server.wait_for_requests(len(self.site.server.requests) + requests, TIMEOUT)

    async def end_well(self) -> None:
        """Waits for all results, and checks that no model call and no tool call was made twice."""
        results = await asyncio.gather(*(run.result(TIMEOUT) for run in self.runs))
        assert {(result.content, result.metadata["turns"]) for result in results} == {("counted", TURNS)}
        assert len(self.site.server.requests) == len(self.runs) * TURNS
        tools = ran(self.site.workspace)
        assert (len(tools), tools.total()) == (len(self.runs) * (TURNS - 1), len(self.runs) * (TURNS - 1))

    async def assert_mirrored(self, url: str, **options: Any) -> None:
        """Waits for what the runs have left behind, then holds every row of every run against the history.

        Args:
            url: of the database.
            options: what `holdfast.storage.database.open_database` takes besides.
        """
        async with asyncio.timeout(TIMEOUT):
            await asyncio.gather(*(self.site.mirror_catches_up(run) for run in self.runs))
        async with opened_store(url, **options) as store:
            verifier = Verifier(store, TemporalRunLog(self.site.client))
            for run in self.runs:
                report = await verifier.verify(run.id)
                assert report.verdict == Verdict.HEALTHY, report
                entries = await replayed_entries(self.site.client, run.id)
                assert await store.entries(run.id, limit=len(entries) + 1) == entries

    async def writers(self) -> set[str]:
        """The identities of the workers that wrote to the mirrors of these runs."""
        return {writer for run in self.runs for writer in await _writers(self.site.client, run)}

    async def lag(self) -> int:
        """How many entries the mirrors lack, as the runs themselves know."""
        snapshots = await asyncio.gather(*(run.status() for run in self.runs))
        return sum(snapshot.head - snapshot.mirrored for snapshot in snapshots)


async def _writers(client: Client, run: RunHandle) -> set[str]:
    appends, writers = set[int](), set[str]()
    async for event in client.get_workflow_handle(run.id).fetch_history_events():
        if event.activity_task_scheduled_event_attributes.activity_type.name == "mirror.append":
            appends.add(event.event_id)
        started = event.activity_task_started_event_attributes
        if started.scheduled_event_id in appends:
            writers.add(started.identity)
    return writers


def count(request: ChatRequest) -> Reply:
    """A model that notes a number of the run's own in each turn, and answers in its last."""
    turn = 1 + sum(message["role"] == "assistant" for message in request.messages)
    if turn == TURNS:
        return Reply("counted", delay=LATENCY)
    [number] = re.findall(r"Count for (\d+)\.", request.messages[1]["content"])
    return Reply(tool_calls=[ChatToolCall("note", {"number": 100 * int(number) + turn})], delay=LATENCY)


@asynccontextmanager
async def opened_store(url: str, **options: Any) -> AsyncIterator[Store]:
    """The store of a worker that may still run."""
    persistence = open_persistence(url, shared=True, **options)
    try:
        yield persistence.store
    finally:
        await persistence.close()


def served_by(surreal: SurrealServer, **settings: str) -> dict[str, str]:
    """The environment of a worker that keeps its mirror on a server; `settings` are those that differ."""
    ours = {"SURREALDB_URL": surreal.url, "SURREALDB_USERNAME": USERNAME, "SURREALDB_PASSWORD": PASSWORD}
    return {**ALL_AT_ONCE, **ours, **settings}
