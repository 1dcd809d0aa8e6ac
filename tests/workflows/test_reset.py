"""A run that was reset: everything shows the log up to the reset point, then what the new execution records."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from holdfast.composition.replay import history_replayer
from holdfast.events import RUNS, Notice
from holdfast.ops.doctor import Verdict
from holdfast.testing import ChatRequest, Reply
from holdfast.types import Entry, RunId, RunStatus
from tests.support.lab import Lab, eventually
from tests.support.many_turns import count_to, counter, walk, walker
from tests.support.reset_lab import ResetLab


@pytest.fixture
def reset_lab(lab: Lab) -> ResetLab:
    """A lab with what observes its runs."""
    return ResetLab(lab)


async def test_a_run_that_had_ended_is_reset(reset_lab: ResetLab) -> None:
    """The mirror, the list, the doctor and the bus follow the new execution of an ended run."""
    lab = reset_lab.lab
    lab.server.respond = count_to(5)
    async with lab.worker(counter):
        first = await lab.holdfast.run("counter", "Count.")
        old = await lab.store.entries(first.run_id)
        lab.server.respond = count_to(4)
        await reset_lab.reset(first.run_id, 4)
        run = lab.holdfast.handle(first.run_id)
        assert (await run.result(60)).content == "counted to 3"
        await lab.assert_mirrored(first.run_id)
        new = await lab.store.entries(first.run_id)
        assert (old[:4], len(old), len(new)) == (new[:4], 13, 11)
        assert await reset_lab.verdict(first.run_id) == Verdict.HEALTHY

        async def shown() -> bool:
            return await reset_lab.listed(first.run_id) == [RunStatus.COMPLETED]

        await eventually(shown)
        history = await lab.client.get_workflow_handle(first.run_id).fetch_history()
        assert await history_replayer(lab.client.data_converter).replay(history) is None
        told = [event.data["status"] for event in await lab.bus.read(RUNS)]
        assert told == ["running", "completed", "completed"]
        assert await reset_lab.reconciler().round() == []


async def test_an_open_run_is_reset_while_it_is_followed(reset_lab: ResetLab) -> None:
    """A follower goes back to the reset point; waiting for the result outlasts the reset."""
    lab, seen = reset_lab.lab, list[Entry | Notice]()

    async def follow(run_id: RunId) -> None:
        async for event in lab.holdfast.handle(run_id).events():
            if isinstance(event, Entry | Notice):
                seen.append(event)

    def hangs(request: ChatRequest) -> Reply:
        return replace(count_to(5)(request), hang=len(lab.server.requests) == 4)

    lab.server.respond = hangs
    async with lab.worker(counter):
        run = await lab.holdfast.start("counter", "Count.")
        following, result = asyncio.create_task(follow(run.id)), asyncio.create_task(run.result())
        await lab.server.wait_for_requests(4)

        async def reached() -> bool:
            return bool(seen) and isinstance(seen[-1], Entry) and seen[-1].seq == (await run.status()).head

        await eventually(reached)
        lab.server.respond = count_to(3)
        await reset_lab.reset(run.id, 2)
        assert (await result).content == "counted to 2"
        await following
        await lab.assert_mirrored(run.id)
        back = next(index for index, event in enumerate(seen) if isinstance(event, Notice))
        entries = [event for event in seen[back + 1 :] if isinstance(event, Entry)]
        shared = entries[0].seq
        assert seen[back] == Notice(text=f"The run was reset: it continues after entry {shared - 1}.")
        assert [*seen[:shared], *entries] == await lab.store.entries(run.id)
        assert await reset_lab.listed(run.id, RunStatus.TERMINATED) == [], "the execution before the reset is not a run"
        assert await reset_lab.verdict(run.id) == Verdict.HEALTHY


async def test_a_reset_run_that_records_nothing_yet(reset_lab: ResetLab) -> None:
    """The reconciler takes back what the mirror has from after the reset point."""
    lab = reset_lab.lab
    lab.server.respond = count_to(3)
    async with lab.worker(counter):
        ended = await lab.holdfast.run("counter", "Count.")
    await reset_lab.reset(ended.run_id, 2)
    await lab.client.get_workflow_handle(ended.run_id).terminate("enough")
    async with lab.worker(counter):

        async def closed() -> bool:
            return await reset_lab.listed(ended.run_id, RunStatus.TERMINATED) == [RunStatus.TERMINATED]

        await eventually(closed)
        assert await reset_lab.verdict(ended.run_id) == Verdict.DAMAGED
        assert await reset_lab.reconciler().round() == [ended.run_id]
        assert await reset_lab.verdict(ended.run_id) == Verdict.HEALTHY
        row = await lab.store.run(ended.run_id)
        assert row is not None
        assert (row.summary.status, row.head.seq) == (RunStatus.TERMINATED, 4)
        assert await reset_lab.reconciler().round() == []


async def test_the_mirror_of_an_open_run_still_shows_its_earlier_end(reset_lab: ResetLab) -> None:
    """The reconciler takes an end back that an open run no longer has."""
    lab = reset_lab.lab
    lab.server.respond = count_to(3)
    async with lab.worker(counter):
        ended = await lab.holdfast.run("counter", "Count.")
        [old] = [batch async for batch in reset_lab.log.batches(ended.run_id)]
        lab.server.reply(Reply(hang=True))
        await reset_lab.reset(ended.run_id, 2)
        await lab.server.wait_for_requests(4)
        assert await lab.store.repair(old, await lab.store.head(ended.run_id))
        assert await reset_lab.reconciler().round() == [ended.run_id]
        row = await lab.store.run(ended.run_id)
        assert row is not None
        assert row.summary.status == RunStatus.RUNNING
        assert await reset_lab.verdict(ended.run_id) == Verdict.HEALTHY
        assert await reset_lab.reconciler().round() == []
        await lab.holdfast.handle(ended.run_id).terminate("seen enough")
        await lab.server.wait_disconnected(3)


async def test_a_later_execution_of_a_run_is_reset(short_histories: Lab) -> None:
    """A run that was continued as new keeps the log of its earlier executions when the newest is reset."""
    lab, reset_lab = short_histories, ResetLab(short_histories)
    lab.server.respond = walk(60)
    async with lab.worker(walker, max_cached_workflows=100):
        first = await lab.holdfast.run("walker", "Walk.", timeout=300)
        old = await lab.store.entries(first.run_id)
        lab.server.respond = walk(59)
        await reset_lab.reset(first.run_id, 2)
        result = await lab.holdfast.handle(first.run_id).result(60)
        assert result.content == "walked 58 steps"
        description = await lab.client.get_workflow_handle(first.run_id).describe()
        assert description.run_id != description.raw_description.workflow_execution_info.first_run_id
        await lab.assert_mirrored(first.run_id)
        new = await lab.store.entries(first.run_id)
        shared = [before == after for before, after in zip(old, new, strict=False)].index(False)
        assert shared > 50
        assert await reset_lab.verdict(first.run_id) == Verdict.HEALTHY
