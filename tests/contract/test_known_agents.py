"""Names of agents are checked before a run starts: nothing is refused that anybody might know."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from typing_extensions import override

from holdfast.client.known_agents import AgentSources, KnownAgents
from holdfast.composition.worker import identity
from holdfast.definition import AgentDefinition
from holdfast.errors import StoreUnavailable, UnknownAgent
from holdfast.ops.announcement import Announcement
from holdfast.ports.registry import ServedAgents
from holdfast.storage.database import open_database
from holdfast.storage.registry import InMemoryRegistry
from holdfast.storage.registry.workers import SurrealServedAgents
from holdfast.temporal.connection import pollers
from holdfast.temporal.polling_workers import PollingWorkers
from tests.support.lab import Lab, eventually


class UnavailableServedAgents(ServedAgents):
    """A database that does not answer."""

    @override
    async def announce(self, task_queue: str, worker: str, agents: Collection[str]) -> None:
        raise StoreUnavailable("down")

    @override
    async def by_worker(self, task_queue: str) -> Mapping[str, Collection[str]]:
        raise StoreUnavailable("down")


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[SurrealServedAgents]:
    database = open_database(f"surrealkv://{tmp_path}/served")
    try:
        yield SurrealServedAgents(database)
    finally:
        await database.close()


NOTHING_IS_CERTAIN = {
    "no worker polls": (False, {"another": ["clerk"]}),
    "a worker has announced nothing": (True, {"another": ["clerk"]}),
    "nothing is announced": (True, {}),
}


async def check(lab: Lab, served: ServedAgents, reference: str) -> None:
    """Checks a name as a new client does, whose registry has the agent `guide`."""
    registry = InMemoryRegistry()
    await registry.register(AgentDefinition(name="guide"))
    sources = AgentSources(served, registry)
    await KnownAgents(PollingWorkers(lab.client, lab.settings.temporal_task_queue), lambda: sources).check(reference)


async def wait_for_poller(lab: Lab) -> None:
    async def polls() -> bool:
        return bool(await pollers(lab.client, lab.settings.temporal_task_queue))

    await eventually(polls)


async def test_only_what_nobody_knows_is_refused(lab: Lab, served: SurrealServedAgents) -> None:
    """A name that a worker has announced or the registry has is accepted; another is refused with a similar one."""
    await served.announce(lab.settings.temporal_task_queue, identity(), ["clerk"])
    await served.announce("another queue", identity(), ["stranger"])
    await served.announce(lab.settings.temporal_task_queue, "a worker that has ended", ["former"])
    async with lab.worker():
        await wait_for_poller(lab)
        for known in ("clerk", "guide", "guide@2"):
            await check(lab, served, known)
        for unknown in ("clrek", "stranger", "former", "clerk@1"):
            with pytest.raises(UnknownAgent, match=f"'{unknown}' not found.*known: clerk; registered: guide"):
                await check(lab, served, unknown)


@pytest.mark.parametrize(("has_worker", "announced"), NOTHING_IS_CERTAIN.values(), ids=NOTHING_IS_CERTAIN)
async def test_a_name_is_accepted_when_nothing_is_certain(
    lab: Lab, served: SurrealServedAgents, announced: dict[str, list[str]], *, has_worker: bool
) -> None:
    """Without a worker, or beside one that has announced nothing, a run is started and waits."""
    for worker, agents in announced.items():
        await served.announce(lab.settings.temporal_task_queue, worker, agents)
    async with AsyncExitStack() as stack:
        if has_worker:
            await stack.enter_async_context(lab.worker())
            await wait_for_poller(lab)
        await check(lab, served, "nobody")


async def test_a_database_that_is_unavailable_refuses_nothing(lab: Lab) -> None:
    """While the database is unavailable, or out of reach, a run is started."""
    async with lab.worker():
        await wait_for_poller(lab)
        await check(lab, UnavailableServedAgents(), "nobody")
        await KnownAgents(PollingWorkers(lab.client, lab.settings.temporal_task_queue), lambda: None).check("nobody")


async def test_a_worker_that_shuts_down_serves_nothing(served: SurrealServedAgents) -> None:
    """A worker announces its agents, and withdraws them when it shuts down."""
    task = asyncio.create_task(Announcement(served, "queue", "worker", ["b", "a"]).run())

    async def announced() -> bool:
        return bool(await served.by_worker("queue"))

    await eventually(announced)
    assert await served.by_worker("queue") == {"worker": ["a", "b"]}
    task.cancel()
    await asyncio.wait([task])
    assert await served.by_worker("queue") == {"worker": []}
