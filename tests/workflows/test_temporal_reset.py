"""Temporal's own reset, of runs, forks, and runs of several executions: log, mirror and doctor agree afterwards."""

from __future__ import annotations

import pytest

from holdfast.client.holdfast import Holdfast
from holdfast.ops.doctor import Verdict
from holdfast.storage.mirror import open_store
from holdfast.testing import ChatRequest, Reply
from holdfast.types import RunId
from tests.support.lab import Lab, eventually
from tests.support.many_turns import count_to, counter, walk, walker
from tests.support.reset_lab import ResetLab


async def assert_right(reset_lab: ResetLab, run_id: RunId) -> None:
    """The mirror has what the history records, row by row, and nothing is left to do."""
    await reset_lab.lab.assert_mirrored(run_id)

    async def healthy() -> bool:
        return await reset_lab.verdict(run_id) == Verdict.HEALTHY

    await eventually(healthy)
    assert await reset_lab.reconciler().round() == []


@pytest.mark.parametrize("task", [1, -2], ids=["before the copy", "after the copy"])
async def test_temporal_reset_keeps_mirror_right(lab: Lab, task: int) -> None:
    """A fork that is reset has its copied entries, then what the new execution records; so has a fork of it."""
    store = lab.store = open_store("mem://")
    lab.holdfast = Holdfast(lab.client, task_queue=lab.settings.temporal_task_queue, mirror=lambda: store)
    reset_lab = ResetLab(lab)
    try:
        lab.server.respond = count_to(4)
        async with lab.worker(counter, store=store):
            origin = await lab.holdfast.start("counter", "Count.")
            await origin.result()
            lab.server.respond = count_to(6)
            fork = await origin.fork(at=2)
            assert (await fork.result(60)).content == "counted to 5"
            old = await store.entries(fork.id)
            lab.server.respond = count_to(5)
            await reset_lab.reset(fork.id, task)
            assert (await fork.result(60)).content in ("counted to 4", "counted to 5")
            await assert_right(reset_lab, fork.id)
            new = await store.entries(fork.id)
            copied = slice(1, 7)
            assert [entry.data for entry in new[copied]] == [entry.data for entry in old[copied]]
            assert new[0].data["forked"]["run"] == origin.id
            lab.server.respond = count_to(3)
            await reset_lab.reset(origin.id, 2)
            assert (await origin.result(60)).content == "counted to 2"
            await assert_right(reset_lab, origin.id)
            assert await store.entries(fork.id) == new, "a fork does not care about resets of its origin"
            lab.server.respond = count_to(7)
            again = await fork.fork(at=3)
            assert (await again.result(60)).content == "counted to 6"
            await assert_right(reset_lab, again.id)
    finally:
        await store.close()


async def test_temporal_reset_keeps_mirror_right_over_continue_as_new(short_histories: Lab) -> None:
    """The newest execution is reset to its first task, then an earlier one, which the run leaves again."""
    lab, reset_lab = short_histories, ResetLab(short_histories)
    lab.server.respond = walk(70)
    async with lab.worker(walker, max_cached_workflows=100):
        run = await lab.holdfast.start("walker", "Walk.", timeout=300)
        await run.result(100)
        described = await lab.client.get_workflow_handle(run.id).describe()
        first = described.raw_description.workflow_execution_info.first_run_id
        assert first != described.run_id
        old = await lab.store.entries(run.id)
        lab.server.respond = walk(69)
        await reset_lab.reset(run.id, 0)
        assert (await run.result(60)).content == "walked 68 steps"
        await assert_right(reset_lab, run.id)
        assert (await lab.store.entries(run.id))[:80] == old[:80]
        lab.server.respond = walk(66)
        await reset_lab.reset(run.id, 20, execution=first)
        assert (await run.result(60)).content == "walked 65 steps"
        await assert_right(reset_lab, run.id)
        newest = await lab.store.entries(run.id)
        assert newest[:15] == old[:15]
        messages = [message async for message in run.transcript()]
        assert [message.seq for message in messages] == list(range(2 * 66 + 1))


async def test_commands_after_the_reset_point_are_taken_again(lab: Lab) -> None:
    """Temporal applies the messages of after the reset point again; the log has each of them once."""
    reset_lab, asked = ResetLab(lab), list[str]()

    def respond(request: ChatRequest) -> Reply:
        asked.extend(str(message["content"]) for message in request.messages if message["role"] == "user")
        return count_to(4)(request)

    lab.server.respond = respond
    async with lab.worker(counter):
        lab.server.hold()
        run = await lab.holdfast.start("counter", "Count.")
        await lab.server.wait_for_requests(1)
        await run.send("Count slowly.", id="slowly")
        lab.server.release()
        await run.result(60)
        await lab.assert_mirrored(run.id)
        await reset_lab.reset(run.id, 0)
        await run.result(60)
        await assert_right(reset_lab, run.id)
        messages = [message.content async for message in run.transcript() if message.role == "user"]
        assert messages == ["Count.", "Count slowly."]
