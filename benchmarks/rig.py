"""The rig: everything that is measured, each part in a process of its own, as in production."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import psutil
from pydantic import SecretStr
from temporalio.client import Client

from benchmarks.bare_worker import TASK_QUEUE
from benchmarks.history import RunHistory
from benchmarks.process import running
from benchmarks.script import Script
from holdfast.client.holdfast import Holdfast
from holdfast.settings import Settings
from holdfast.stack import Part, Stack, down, kill, start_worker, up
from holdfast.stack.progress import Report
from holdfast.temporal.connection import connect_temporal

CONCURRENT_RUNS = 50  # in the largest measurement; also the limit of the worker, so that none waits for a slot
MEGABYTE = 1024 * 1024
POLL_INTERVAL = 0.02  # seconds between requests to the model server
REQUEST_TIMEOUT = 60.0  # seconds for a request to arrive; only reached if something is broken


@dataclass(frozen=True)
class Played:
    """A run and its cost."""

    history: RunHistory
    processor_seconds: float
    """Processor time of its worker and of the Temporal server."""


@dataclass(frozen=True)
class Pair:
    """A script, played by Holdfast and by the bare workflow one right after the other."""

    ours: Played
    bare: Played


@dataclass
class Rig:
    """A local stack with an embedded store, a model server, and the bare worker on the same Temporal server."""

    settings: Settings
    report: Report
    stack: Stack
    worker: Part
    bare_worker: int
    """Its pid."""
    client: Client
    holdfast: Holdfast
    model: httpx2.AsyncClient

    @classmethod
    @asynccontextmanager
    async def open(cls, home: Path, report: Report) -> AsyncIterator[Rig]:
        """Runs everything for the length of the block, with its state in the folder `home`."""
        async with AsyncExitStack() as exits:
            server = await exits.enter_async_context(running("benchmarks.model", log=home / "model.log"))
            model_url = f"{server.first_line}/v1"
            settings = settings_for(home, model_url)
            exits.push_async_callback(down, settings, report)
            stack = await up(settings, report, supervised=False)  # the measurements kill and start the worker
            assert stack.worker is not None
            bare = await exits.enter_async_context(
                running("benchmarks.bare_worker", stack.address, model_url, log=home / "bare.log")
            )
            model = await exits.enter_async_context(httpx2.AsyncClient(base_url=server.first_line, trust_env=False))
            client = await connect_temporal(stack.address)
            yield cls(settings, report, stack, stack.worker, bare.pid, client, Holdfast(client), model)

    async def play(self, **script: Any) -> RunHistory:
        """Plays a script with Holdfast; `script` are the fields of `Script` except `run`."""
        return await self.finish(await self.start(**script))

    async def play_bare(self, **script: Any) -> RunHistory:
        """Plays a script with the bare workflow."""
        return await self.finish(await self.start_bare(**script))

    async def pairs(self, count: int, **script: Any) -> list[Pair]:
        """Plays a script alternately with both, so that other load on the machine affects both."""

        async def played(play: Callable[..., Awaitable[RunHistory]]) -> Played:
            before = self._processor_seconds()
            history = await play(**script)
            return Played(history, self._processor_seconds() - before)

        return [Pair(await played(self.play), await played(self.play_bare)) for _ in range(count)]

    async def start(self, **script: Any) -> str:
        """Starts a run of Holdfast and returns its id."""
        written = Script(new_id("ours"), **script)
        await self.holdfast.start("endless" if written.counted else "bench", str(written), id=written.run)
        return written.run

    async def start_bare(self, **script: Any) -> str:
        """Starts a run of the bare workflow and returns its id."""
        written = Script(new_id("bare"), **script)
        await self.client.start_workflow("Bare", str(written), id=written.run, task_queue=TASK_QUEUE)
        return written.run

    async def wait(self, run_id: str) -> None:
        """Waits until a run of either has completed.

        Raises:
            WorkflowFailureError: it failed.
        """
        await self.client.get_workflow_handle(run_id).result()

    async def finish(self, run_id: str) -> RunHistory:
        """Waits until a run of either has completed, and returns its history."""
        await self.wait(run_id)
        return await RunHistory.fetch(self.client, run_id)

    async def request(self, run_id: str, turn: int, *, after: float = 0.0) -> float:
        """Waits until the model server has received the request of a turn.

        Args:
            run_id: whose turn.
            turn: from 1.
            after: only a request that came after this moment counts.

        Returns:
            The moment, in seconds since 1970.

        Raises:
            TimeoutError: it did not come.
        """
        async with asyncio.timeout(REQUEST_TIMEOUT):
            while True:
                arrivals = (await self.model.get(f"/arrivals/{run_id}")).json()
                for arrival in arrivals:
                    if arrival["turn"] == turn and arrival["at"] > after:
                        return float(arrival["at"])
                await asyncio.sleep(POLL_INTERVAL)

    async def restart_worker(self) -> float:
        """Kills the worker, restarts it at once, and returns the time of the restart."""
        await kill(self.worker)
        self.worker = await start_worker(self.settings, self.report)
        return self.worker.since.timestamp()

    async def stop(self) -> None:
        """Stops the stack; the model server and the bare worker stay."""
        await down(self.settings, self.report)

    async def begin(self) -> None:
        """Starts the stack again."""
        self.stack = await up(self.settings, self.report, supervised=False)
        assert self.stack.worker is not None
        self.worker = self.stack.worker

    def worker_memory(self) -> float:
        """Returns the resident memory of the worker in megabytes."""
        return float(psutil.Process(self.worker.pid).memory_info().rss) / MEGABYTE

    def bare_memory(self) -> float:
        """Returns the resident memory of the bare workflow's worker in megabytes."""
        return float(psutil.Process(self.bare_worker).memory_info().rss) / MEGABYTE

    def _processor_seconds(self) -> float:
        """Returns the processor time of both workers and the server; only one worker is active at a time."""
        pids = [self.worker.pid, self.bare_worker, *([self.stack.temporal.pid] if self.stack.temporal else [])]
        return sum(processor_seconds(pid) for pid in pids)

    def store_size(self) -> int:
        """Returns the size of the embedded store in bytes."""
        files = (self.settings.holdfast_home / "surrealdb").rglob("*")
        return sum(file.stat().st_size for file in files if file.is_file())


def processor_seconds(pid: int) -> float:
    """Returns the processor time that a process has used."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def settings_for(home: Path, model_url: str) -> Settings:
    """Returns the stack's settings; all relevant ones are explicit, so that the environment has no influence."""
    state = home / "state"
    return Settings(
        holdfast_home=state,
        holdfast_agents=("benchmarks.agents",),
        temporal_address=None,
        temporal_namespace="default",
        temporal_task_queue="holdfast",
        state_persistence_backend="surrealdb",
        surrealdb_url=f"surrealkv://{state / 'surrealdb'}",
        openai_api_key=SecretStr("unused"),
        openai_base_url=model_url,
        openai_model="bench",
        log_level="INFO",
        agent_execution_timeout=3600,
        max_concurrent_agents=CONCURRENT_RUNS,
    )


def new_id(kind: str) -> str:
    """Returns a new id of a run."""
    return f"{kind}-{uuid.uuid4().hex[:12]}"
