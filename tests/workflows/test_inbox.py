"""The inbox: what waits for a person, from the mirror or from Temporal, and at once for those who watch."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

import pytest

from holdfast import Agent, Holdfast, tool
from holdfast.errors import StoreUnavailable
from holdfast.events import INBOX
from holdfast.inbox import OpenWait
from holdfast.ports import Store
from holdfast.storage.mirror import MemoryStore
from holdfast.tools import ask_human
from tests.support.lab import Lab, eventually


@tool(approval="always")
async def pay(amount: int) -> str:
    """Pays."""
    return f"paid {amount}"


clerk = Agent(name="clerk", tools=[pay, ask_human])


class AwayStore(MemoryStore):
    """A mirror that is unavailable."""

    async def open_waits(self, *_args: object, **_options: object) -> list[OpenWait]:
        """Fails."""
        raise StoreUnavailable("the mirror is away")


SOURCES: dict[str, Callable[[Lab], Store | None]] = {
    "mirror": lambda lab: lab.store,
    "mirror away": lambda _lab: AwayStore(),
    "no mirror": lambda _lab: None,
}


@pytest.mark.parametrize("source", SOURCES)
async def test_what_waits_is_found_wherever_it_is(lab: Lab, source: str) -> None:
    """The mirror lists what waits or, while it is unavailable, Temporal does, in the same order and words."""
    runs = Holdfast(lab.client, task_queue=lab.settings.temporal_task_queue, mirror=lambda: SOURCES[source](lab))
    lab.server.call_tools(("pay", {"amount": 5}), ("ask_human", {"question": "Why?"}))
    async with lab.worker(clerk, max_cached_workflows=100):
        handle = await runs.start("clerk", "Pay.")
        found: list[OpenWait] = []

        async def listed() -> bool:
            found[:] = [each for each in await runs.inbox() if each.run_id == handle.id]
            return len(found) == 2

        await eventually(listed)
        assert [(each.agent, each.wait.kind) for each in found] == [("clerk", "approval"), ("clerk", "question")]
        assert found[0].wait.what == "approval of pay(amount=5)"
        await handle.cancel()
        await handle.result(60)

        async def is_gone() -> bool:
            return not any(each.run_id == handle.id for each in await runs.inbox())

        await eventually(is_gone)


async def test_without_a_worker_the_kinds_are_known(lab: Lab) -> None:
    """While no worker answers for a run, the inbox still says that something waits, and of which kind."""
    runs = Holdfast(lab.client, task_queue=lab.settings.temporal_task_queue)
    lab.server.call_tools(("pay", {"amount": 5}))
    async with lab.worker(clerk, max_cached_workflows=100):
        handle = await runs.start("clerk", "Pay.")

        async def listed() -> bool:
            return any(each.run_id == handle.id for each in await runs.inbox())

        await eventually(listed)
    [found] = [each for each in await runs.inbox() if each.run_id == handle.id]
    assert found.wait.kind == "approval"
    await handle.terminate("the test is over")


async def test_who_watches_is_told_at_once(lab: Lab) -> None:
    """Whoever watches receives what waits already, then each new item once; the bus has an event for each."""
    runs = Holdfast(
        lab.client,
        task_queue=lab.settings.temporal_task_queue,
        mirror=lambda: lab.store,
        bus=lambda: lab.bus,
    )
    for amount in (1, 2):
        lab.server.call_tools(("pay", {"amount": amount}))
    lab.server.say("Done.")
    seen: list[str] = []

    async def watch() -> None:
        async for each in runs.watch_inbox():
            seen.append(each.wait.what)  # noqa: PERF401 - it never ends

    async with lab.worker(clerk, max_cached_workflows=100):
        handle = await runs.start("clerk", "Pay.")
        watching = asyncio.create_task(watch())
        for amount in (1, 2):
            await eventually(partial(_has, seen, f"approval of pay(amount={amount})"))
            await handle.approve(str((await handle.status()).waits_for[0].id), by="Ada")
        await handle.result(60)
        watching.cancel()
    assert seen == ["approval of pay(amount=1)", "approval of pay(amount=2)"]
    events = [event.data for event in await lab.bus.read(INBOX)]
    assert [event["kind"] for event in events] == ["wait", "wait_ended"] * 2
    assert [event.get("by") for event in events] == [None, "Ada"] * 2


async def _has(seen: list[str], wanted: str) -> bool:
    return wanted in seen
