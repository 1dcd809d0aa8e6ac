"""Limits of concurrent agents."""

from __future__ import annotations

import asyncio

from holdfast.activities.slots import AgentSlots


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
