"""Runs whose workflow task keeps failing: they are shown from history, and their mirror is written after their end."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import TypeVar

import pytest
from temporalio.workflow import NondeterminismError

from holdfast import Agent, Notice, RunHandle, RunStatus, WorkerUnavailable, tool
from holdfast.ops.doctor import Reconciler, RunFinder
from holdfast.ops.transfer import HistorySource
from holdfast.temporal.run_log import TemporalRunLog
from holdfast.testing import Reply
from holdfast.types import Entry, Usage
from tests.support.lab import Lab, eventually


@tool(read_only=True)
async def look(word: str) -> str:
    """Looks."""
    return f"saw {word}"


T = TypeVar("T")

agent = Agent(name="blocked", system_prompt="You look.", tools=[look])


@pytest.fixture
def _fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands for code that history does not fit: the workflow task of turn 2 fails, as often as it is tried."""
    added = Usage.__add__

    def broken(one: Usage, other: Usage) -> Usage:
        if one.requests:
            raise NondeterminismError("[TMPRL1100] the history was written by other code")
        return added(one, other)

    monkeypatch.setattr(Usage, "__add__", broken)


async def blocked_run(lab: Lab) -> RunHandle:
    """Starts a run and waits until its task has failed."""
    lab.server.call_tools(("look", {"word": "durable"}), text="Let me look.")
    run = await lab.holdfast.start("blocked", "What is durable?")

    async def is_blocked() -> bool:
        described = await lab.client.get_workflow_handle(run.id).describe()
        return bool(described.raw_description.pending_workflow_task.attempt > 1)

    await eventually(is_blocked)
    return run


async def known_entries(run: RunHandle) -> list[Entry]:
    """The entries that history has of an open run."""
    return await collected(run.entries())


async def collected(items: AsyncIterator[T]) -> list[T]:
    """What history has, which is followed by the reason why there is no more."""
    found: list[T] = []
    reported = ""
    try:
        async for item in items:
            found.append(item)  # noqa: PERF401 - the iterator ends with an error
    except WorkerUnavailable as error:
        reported = str(error)
    assert re.search(r"cannot be read: its workflow task fails, attempt \d+: \[TMPRL1100\]", reported)
    return found


async def first_notice(run: RunHandle) -> Notice:
    """The first notice that followers of a run see."""
    async for event in run.events():
        if isinstance(event, Notice):
            return event
    raise AssertionError("the run ended without a notice")


@pytest.mark.usefixtures("_fault")
async def test_a_blocked_run_is_shown_from_history(lab: Lab) -> None:
    """Status, log, transcript and export are those that history has; the first three say why there is nothing newer."""
    async with lab.worker(agent, max_cached_workflows=10):
        run = await blocked_run(lab)
        progress = await run.status()
        assert (progress.status, progress.turn, progress.tool_calls) == (RunStatus.RUNNING, 1, 1)
        assert "its workflow task fails" in progress.doing
        entries = await known_entries(run)
        async with asyncio.timeout(30):
            notice = await first_notice(run)
        assert "its workflow task fails" in notice.text
        messages = await collected(run.transcript())
        finder = RunFinder(lab.client, lab.settings.temporal_task_queue, lab.store)
        source = HistorySource(finder, TemporalRunLog(lab.client))
        exported = await source.run(run.id)
        assert exported is not None
        assert [entry async for entry in source.entries(exported)] == entries
        await lab.client.get_workflow_handle(run.id).terminate("enough")
        assert (await run.status()).status == RunStatus.TERMINATED
        assert [entry async for entry in run.entries()] == entries
    assert [(message.role, message.content) for message in messages] == [
        ("system", "You look."),
        ("user", "What is durable?"),
        ("assistant", "Let me look."),
        ("tool", "saw durable"),
    ]
    assert [entry.message for entry in entries[1:]] == messages


@pytest.mark.usefixtures("_fault")
async def test_its_mirror_is_written_after_its_end(lab: Lab) -> None:
    """After a terminate the mirror gets everything that history has, and the end."""
    async with lab.worker(agent, max_cached_workflows=10):
        run = await blocked_run(lab)
        entries = await known_entries(run)
        await lab.store.delete(run.id)
        await run.terminate("enough")
        finder = RunFinder(lab.client, lab.settings.temporal_task_queue, lab.store)
        reconciler = Reconciler(finder, lab.store, TemporalRunLog(lab.client), lab.bus, interval=60)

        async def is_written() -> bool:
            await reconciler.round()
            return await lab.store.summary(run.id) is not None

        await eventually(is_written)
        summary = await lab.store.summary(run.id)
        assert summary is not None
        assert (summary.status, summary.error and summary.error.message) == (RunStatus.TERMINATED, "enough")
        assert await lab.store.entries(run.id) == entries


async def test_without_a_worker_history_is_shown(lab: Lab) -> None:
    """Without a worker the state of an open run is that of its history."""
    async with lab.worker(agent, max_cached_workflows=10):
        lab.server.reply(Reply.error(503, headers={"Retry-After": "60"}))
        run = await lab.holdfast.start("blocked", "Go.")

        async def is_retried() -> bool:
            described = await lab.client.get_workflow_handle(run.id).describe()
            return [call.attempt for call in described.raw_description.pending_activities] == [2]

        await eventually(is_retried)
    progress = await TemporalRunLog(lab.client, query_timeouts=[timedelta(seconds=0.3)]).progress(run.id)
    assert (progress.status, progress.agent, progress.head) == (RunStatus.RUNNING, "blocked", 2)
    assert "no worker answer" in progress.doing
