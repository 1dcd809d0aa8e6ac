"""The mirror of runs: it becomes complete, whatever happens to the store."""

from __future__ import annotations

from holdfast.storage.mirror import open_store
from holdfast.storage.mirror.memory import MemoryStore
from holdfast.testing import ChatRequest, Reply
from tests.support.lab import Lab
from tests.support.many_turns import count_to, counter
from tests.support.switched_store import SwitchedStore


async def test_store_unavailable_for_the_whole_run(lab: Lab) -> None:
    """A run completes without its store, and the mirror catches up afterwards."""
    store = SwitchedStore(on=False)
    lab.server.respond = count_to(4)
    async with lab.worker(counter, store=store):
        result = await lab.holdfast.run("counter", "Count.")
        assert (result.success, result.content) == (True, "counted to 3")
        assert await store.head(result.run_id) is None
        store.on = True
        await lab.assert_mirrored(result.run_id, store)
    assert len(lab.server.requests) == 4


async def test_history_stays_linear_while_the_store_is_unavailable(lab: Lab) -> None:
    """Model calls do not carry the whole transcript while the mirror lags."""
    store = SwitchedStore(on=False)
    lab.server.respond = count_to(12)
    async with lab.worker(counter, store=store, max_cached_workflows=100):
        result = await lab.holdfast.run("counter", "Count.")
        history = await lab.client.get_workflow_handle(result.run_id).fetch_history()
        store.on = True
        await lab.assert_mirrored(result.run_id, store)
    sizes = [
        event.ByteSize()
        for event in history.events
        if event.activity_task_scheduled_event_attributes.activity_type.name == "model.call"
    ]
    assert len(sizes) == 12
    assert max(sizes[2:]) < 1.2 * min(sizes[2:])


async def test_a_store_that_lost_everything_is_written_again(lab: Lab) -> None:
    """The mirror of an active run is rewritten after the store lost everything."""
    store = SwitchedStore()
    lab.server.respond = count_to(8)

    def forget_after_four(request: ChatRequest) -> Reply:
        if len(lab.server.requests) == 4:
            MemoryStore.__init__(store)
        return count_to(8)(request)

    lab.server.respond = forget_after_four
    async with lab.worker(counter, store=store):
        result = await lab.holdfast.run("counter", "Count.")
        assert result.content == "counted to 7"
        await lab.assert_mirrored(result.run_id, store)


async def test_another_worker_takes_the_context_from_the_store(lab: Lab) -> None:
    """A new worker resumes from the mirror, without the transcript in history."""
    store = SwitchedStore()
    lab.server.call_tools(("count", {"number": 1}))
    lab.server.reply(Reply.error(503, headers={"Retry-After": "1"}))
    async with lab.worker(counter, store=store):
        handle = await lab.holdfast.start("counter", "Count.")
        await lab.server.wait_for_requests(2)
    assert store.contexts == 0, "within one worker the cache answers"
    async with lab.worker(counter, store=store):
        assert (await handle.result(60)).success
        assert store.contexts == 1
        history = await lab.client.get_workflow_handle(handle.id).fetch_history()
    assert lab.server.requests[1].body == lab.server.requests[2].body
    calls = [
        event
        for event in history.events
        if event.activity_task_scheduled_event_attributes.activity_type.name == "model.call"
    ]
    assert len(calls) == 2, "the context was not asked for inline"


async def test_embedded_surrealdb_holds_the_mirror(lab: Lab) -> None:
    """Embedded SurrealDB mirrors a run like the store in memory."""
    store = open_store("mem://")
    lab.server.respond = count_to(5)
    try:
        async with lab.worker(counter, store=store):
            result = await lab.holdfast.run("counter", "Count.")
            await lab.assert_mirrored(result.run_id, store)
            summary = await store.summary(result.run_id)
            messages = await store.messages(result.run_id)
            assert summary is not None
            assert (summary.status, summary.turn, summary.tool_calls) == ("completed", 5, 4)
            assert messages == [message async for message in lab.holdfast.handle(result.run_id).transcript()]
    finally:
        await store.close()
