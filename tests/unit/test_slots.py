"""Limits of concurrent agents."""

from __future__ import annotations

import asyncio

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from holdfast.activities.slots import AgentSlots, NoSlot, SlotActivities


class Busy:
    """Calls that stay in flight until they are released."""

    def __init__(self, slots: AgentSlots) -> None:
        self.slots = slots
        self.running: list[str] = []
        self.ends: dict[asyncio.Task[None], asyncio.Event] = {}

    def call(self, run_id: str) -> asyncio.Task[None]:
        """Begins a call of a run."""
        end = asyncio.Event()

        async def hold() -> None:
            async with self.slots.hold(run_id):
                self.running.append(run_id)
                await end.wait()
                self.running.remove(run_id)

        task = asyncio.create_task(hold())
        self.ends[task] = end
        return task

    async def settle(self) -> list[str]:
        """The runs whose calls are in flight, once nothing moves any more."""
        for _ in range(20):
            await asyncio.sleep(0)
        return sorted(self.running)

    async def end(self, task: asyncio.Task[None]) -> None:
        """Ends a call."""
        self.ends[task].set()
        await task


async def test_further_runs_wait_for_their_turn() -> None:
    """At most as many runs execute at once as the setting allows."""
    busy = Busy(AgentSlots(2))
    first, _, third = (busy.call(run) for run in "abc")
    assert await busy.settle() == ["a", "b"]
    await busy.end(first)
    assert await busy.settle() == ["b", "c"]
    assert not third.done()


async def test_calls_of_one_run_share_its_slot() -> None:
    """The calls of one run share its slot."""
    busy = Busy(AgentSlots(1))
    calls = [busy.call("a") for _ in range(3)]
    busy.call("b")
    assert await busy.settle() == ["a", "a", "a"]
    for call in calls:
        await busy.end(call)
    assert await busy.settle() == ["b"]


async def test_siblings_that_waited_go_together() -> None:
    """Calls of one turn that waited start together."""
    busy = Busy(AgentSlots(1))
    first = busy.call("a")
    assert await busy.settle() == ["a"]
    for _ in range(3):
        busy.call("b")
    await busy.end(first)
    assert await busy.settle() == ["b", "b", "b"]


async def test_a_call_that_is_cancelled_while_it_waits_takes_nothing() -> None:
    """A call that is cancelled while waiting takes no slot."""
    busy = Busy(AgentSlots(1))
    first, second = busy.call("a"), busy.call("b")
    assert await busy.settle() == ["a"]
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    await busy.end(first)
    busy.call("c")
    assert await busy.settle() == ["c"]


async def test_a_run_keeps_its_slot_between_its_calls() -> None:
    """A slot that a call keeps is the run's until its next call, although others wait."""
    slots = AgentSlots(1, linger=60)
    busy = Busy(slots)
    async with slots.hold("a") as slot:
        slot.keep()
    waiting = busy.call("b")
    assert await busy.settle() == []
    next_call = busy.call("a")
    assert await busy.settle() == ["a"]
    await busy.end(next_call)
    assert await busy.settle() == ["b"]
    await busy.end(waiting)


async def test_a_slot_is_freed_if_the_next_call_does_not_come() -> None:
    """A slot that is kept in vain, as another worker has the next call, is freed after a moment."""
    slots = AgentSlots(1, linger=0.01)
    async with slots.hold("a") as slot:
        slot.keep()
    async with asyncio.timeout(5), slots.hold("b"):
        pass
    assert await slots.reserve("c")
    async with asyncio.timeout(5), slots.hold("a"):
        pass


async def test_few_runs_wait_in_a_worker() -> None:
    """Further runs try again later, so that waiting runs do not occupy all activities of the worker."""
    slots = AgentSlots(1, linger=60)
    activities, environment = SlotActivities(slots, max_waiting=1), ActivityEnvironment()
    async with slots.hold("a"):
        first = asyncio.create_task(environment.run(activities.wait, "b"))
        await asyncio.sleep(0)
        with pytest.raises(ApplicationError, match="1 runs wait for a slot") as refused:
            await environment.run(activities.wait, "c")
        assert not refused.value.non_retryable
    assert await first
    assert await slots.reserve("b")
    assert not await slots.reserve("c")


async def test_a_wait_ends_with_its_worker() -> None:
    """A worker that shuts down does not wait for runs that wait for a slot, and they take none of its slots."""
    slots = AgentSlots(1, linger=60)
    environment = ActivityEnvironment()
    async with slots.hold("a"):
        waiting = asyncio.create_task(environment.run(SlotActivities(slots).wait, "b"))
        await asyncio.sleep(0)
        environment.worker_shutdown()
        with pytest.raises(ApplicationError, match="shutting down"):
            await asyncio.wait_for(waiting, 5)
    assert await slots.reserve("c")


async def test_a_call_may_refuse_to_wait() -> None:
    """A call that does not wait fails if no slot is free, and a reservation says so; a run's own slot is free to it."""
    slots = AgentSlots(1, linger=60)
    assert await slots.reserve("a")
    assert await slots.reserve("a")
    assert not await slots.reserve("b")
    with pytest.raises(NoSlot):
        async with slots.hold("b", waits=False):
            pass
    async with slots.hold("a", waits=False):
        pass
    assert await slots.reserve("b")
