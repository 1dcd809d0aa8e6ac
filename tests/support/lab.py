"""A worker, a model server and a client in one process, against a real Temporal server."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from temporalio.client import Client

from holdfast.agents.agent import Agent
from holdfast.agents.catalog import AgentCatalog
from holdfast.client.holdfast import Holdfast
from holdfast.composition import worker
from holdfast.composition.telemetry import Observability
from holdfast.ports import ChatModel, EventBus, Store
from holdfast.ports.contents import ContentStore
from holdfast.ports.day_budgets import DayBudgets
from holdfast.ports.ledger import Ledger
from holdfast.ports.memory_files import MemoryFileStore
from holdfast.settings import Settings
from holdfast.storage.bus import Bus, MemoryLog
from holdfast.storage.files import SurrealFiles
from holdfast.storage.memory import TextMemory
from holdfast.storage.mirror import open_store
from holdfast.storage.persistence import Persistence
from holdfast.temporal.connection import connect_temporal
from holdfast.temporal.replayed import ReplayedLog
from holdfast.testing import ModelServer
from holdfast.testing.observed_calls import intercepted
from holdfast.types import Entry, RunId
from tests.support.lab_model import FailedAttempts, LabModel, LabServer
from tests.support.tiers import patience

TIMEOUT = patience(60.0)  # seconds for a condition; reached only when a test fails
SOON = 15.0  # seconds from a cancel to its effect, on a busy machine; what is not cancelled hangs for 60 or more


@dataclass
class Lab:
    """What a test of runs needs; each lab has a task queue of its own."""

    client: Client
    holdfast: Holdfast
    server: ModelServer
    store: Store
    settings: Settings
    bus: EventBus = field(default_factory=lambda: Bus(MemoryLog()))
    contents: ContentStore | None = None
    """Of attachments; `None` means that each worker has its own, in memory."""
    attempts: FailedAttempts = field(default_factory=FailedAttempts)
    """Those of all its workers."""

    @classmethod
    @asynccontextmanager
    async def open(cls, address: str, folder: Path) -> AsyncIterator[Lab]:
        """Makes a lab whose store is in memory."""
        settings = Settings(
            holdfast_home=folder / "home",
            temporal_address=address,
            temporal_task_queue=f"test-{uuid.uuid4().hex[:12]}",
            state_persistence_backend="memory",
            workspace_roots=(str(folder),),
        )
        client = await connect_temporal(address)
        store, bus = open_store(settings.store_url), Bus(MemoryLog())
        try:
            async with LabServer() as server:
                queue = settings.temporal_task_queue
                runs = Holdfast(client, task_queue=queue, bus=lambda: bus)
                yield cls(client, runs, server, store, settings, bus)
        finally:
            await bus.close()
            await store.close()

    @asynccontextmanager
    async def worker(
        self,
        *agents: Agent,
        store: Store | None = None,
        memories: TextMemory | None = None,
        bus: EventBus | None = None,
        ledger: Ledger | None = None,
        day_budgets: DayBudgets | None = None,
        max_cached_workflows: int = 0,
        isolate_tools: bool = False,
        model: ChatModel | None = None,
        observed: Observability | None = None,
        files: SurrealFiles | None = None,
        memory_files: MemoryFileStore | None = None,
        home: Path | None = None,
    ) -> AsyncIterator[None]:
        """Runs a worker that serves these agents; by default each workflow task replays the whole run.

        With another `home`, it is like a worker on another machine.
        """
        kept = Persistence(
            database=None,
            store=store or self.store,
            bus=bus or self.bus,
            ledger=ledger,
            files=files,
            memory_files=memory_files,
        )
        if self.contents is not None:
            kept = replace(kept, contents=self.contents)
        if day_budgets is not None:
            kept = replace(kept, day_budgets=day_budgets)
        ours = LabModel(self.server.url, self.attempts)
        running = worker.build_worker(
            intercepted(self.client, self.attempts),
            self.settings.model_copy(update={"holdfast_home": home}) if home else self.settings,
            catalog=AgentCatalog(agents),
            model=model or ours,
            persistence=replace(kept, memories=memories) if memories else kept,
            max_cached_workflows=max_cached_workflows,
            sandboxed=True,
            isolate_tools=isolate_tools,
            observed=observed,
        )
        async with running:
            yield
        await ours.close()

    async def entries(self, run_id: RunId) -> list[Entry]:
        """The run's whole log, from Temporal's history."""
        return await replayed_entries(self.client, run_id)

    async def assert_mirrored(self, run_id: RunId, store: Store | None = None) -> None:
        """Waits until the mirror has the run's end, and holds it against the history."""
        store = store or self.store
        truth = await self.entries(run_id)

        async def caught_up() -> bool:
            return await store.head(run_id) == truth[-1].ref

        await eventually(caught_up)
        assert await store.entries(run_id, limit=len(truth) + 1) == truth


async def replayed_entries(client: Client, run_id: RunId, after: int = -1) -> list[Entry]:
    """Returns the log as a replay of the history has it, independently of the mirror."""
    newest = (await client.get_workflow_handle(run_id).describe()).run_id
    return [entry async for entry in ReplayedLog(client).entries(run_id, newest, after)]


async def eventually(condition: Callable[[], Awaitable[bool]], timeout: float = TIMEOUT) -> None:
    """Waits for a condition.

    Raises:
        AssertionError: it did not come true in time.
    """
    deadline = asyncio.get_running_loop().time() + timeout
    while not await condition():
        assert asyncio.get_running_loop().time() < deadline, f"not true after {timeout:g} s"
        await asyncio.sleep(0.02)


def contents(entries: Iterable[Entry]) -> list[tuple[str, str]]:
    """The transcript in short: role and text."""
    return [(message.role, message.content) for entry in entries if (message := entry.message)]
