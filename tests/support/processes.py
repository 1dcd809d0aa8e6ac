"""Real worker processes, and other programs, that tests start, signal and kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from temporalio.api.enums.v1 import PendingActivityState
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from holdfast import Entry, Holdfast, RunHandle
from holdfast.ports import Store
from holdfast.stack.worker import identity
from holdfast.storage.mirror import open_store
from holdfast.temporal.connection import connect_temporal, pollers
from holdfast.testing import ModelServer, RecordedRequest
from tests.support import forked_commands
from tests.support.cli import ROOT
from tests.support.fork_client import ForkedProcess
from tests.support.lab import eventually, replayed_entries
from tests.support.tiers import patience

AGENTS = "tests.support.crash_agents"
TIMEOUT = patience(40.0)  # seconds until a process must have started or ended; a shutdown may take 20 of them
STATE_PREFIX = "PENDING_ACTIVITY_STATE_"
SHOWN_LINES = 40  # of each log, when a test fails


class Process:
    """A program that a test has started."""

    def __init__(
        self, command: list[str], *, environment: dict[str, str], log: Path, folder: Path, forked: bool = False
    ) -> None:
        """
        Args:
            command: program and arguments.
            environment: added to this process's own.
            log: takes both of its output streams.
            folder: where it runs.
            forked: whether the program is a Python script that may run in a process that has loaded Holdfast already.
        """
        self.log = log
        variables = {**os.environ, **environment}
        self._process: subprocess.Popen[bytes] | ForkedProcess
        with log.open("ab") as output, Path(os.devnull).open("rb") as empty:
            if forked and forked_commands.may_fork():
                streams = (empty.fileno(), output.fileno(), output.fileno())
                self._process = forked_commands.start(command[1:], streams, folder=folder, environment=variables)
            else:
                self._process = subprocess.Popen(
                    command, stdin=empty, stdout=output, stderr=subprocess.STDOUT, env=variables, cwd=folder
                )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def output(self) -> str:
        """Everything it has written; nothing if the disk of its log is gone."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    @property
    def has_ended(self) -> bool:
        """Whether it does not run any more."""
        return self._process.poll() is not None

    def signal(self, number: signal.Signals) -> None:
        """Sends it a signal."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """Ends it as a crash would, and waits until it is gone."""
        self._process.kill()
        self._process.wait()

    async def exit_code(self) -> int:
        """Waits until it has ended by itself."""
        await self._until(lambda: self.has_ended, "it has not ended")
        return self._process.wait()

    async def stop(self) -> int:
        """Sends SIGTERM, waits for the end, and returns the exit code."""
        self.signal(signal.SIGTERM)
        return await self.exit_code()

    async def wait_for_output(self, words: str) -> None:
        """Waits until it has written these words."""
        await self._until(lambda: words in self.output or self.has_ended, f"it has not written {words!r}")
        assert words in self.output, f"it ended without writing {words!r}; it wrote:\n{self.tail()}"

    def tail(self) -> str:
        """The end of its log."""
        return "\n".join(self.output.splitlines()[-SHOWN_LINES:])

    async def _until(self, condition: Callable[[], bool], complaint: str) -> None:
        async def holds() -> bool:
            return condition()

        try:
            await eventually(holds, TIMEOUT)
        except AssertionError:
            raise AssertionError(f"{complaint} within {TIMEOUT:g} s; it wrote:\n{self.tail()}") from None


@dataclass
class Site:
    """Where worker processes run: a task queue, a model server and an embedded store of their own."""

    client: Client
    holdfast: Holdfast
    server: ModelServer
    folder: Path
    environment: dict[str, str]
    """Of each worker."""
    processes: list[Process] = field(default_factory=list)
    logs: Path | None = None
    """Folder of the logs; `None` means `folder`."""

    @classmethod
    @asynccontextmanager
    async def open(cls, address: str, folder: Path) -> AsyncIterator[Site]:
        """Makes a site; when it closes, what still runs is killed, and pytest is shown the logs."""
        queue = f"site-{uuid.uuid4().hex[:12]}"
        client = await connect_temporal(address)
        async with ModelServer() as server:
            environment = {
                "HOLDFAST_HOME": str(folder / "home"),
                "HOLDFAST_AGENTS": AGENTS,
                "TEMPORAL_ADDRESS": address,
                "TEMPORAL_TASK_QUEUE": queue,
                "SURREALDB_URL": f"surrealkv://{folder / 'mirror'}",
                "OPENAI_API_KEY": "test",
                "OPENAI_BASE_URL": server.url,
                "OPENAI_MODEL": "test-model",
            }
            site = cls(client, Holdfast(client, task_queue=queue), server, folder, environment)
            try:
                yield site
            finally:
                for process in site.processes:
                    process.kill()
                    print(f"--- {process.log.name}\n{process.tail()}")

    def run(self, *command: str, forked: bool = False, **environment: str) -> Process:
        """Starts a program whose log is shown when the test fails; see `Process`."""
        log = (self.logs or self.folder) / f"{len(self.processes)}-{Path(command[0]).name}.log"
        process = Process(list(command), environment=environment, log=log, folder=self.folder, forked=forked)
        self.processes.append(process)
        return process

    def run_worker(self, **environment: str) -> Process:
        """Starts `worker.py` and returns at once; the arguments are added to its environment."""
        return self.run(sys.executable, str(ROOT / "worker.py"), forked=True, **{**self.environment, **environment})

    async def worker(self, **environment: str) -> Process:
        """Starts `worker.py` and waits until it polls."""
        worker = self.run_worker(**environment)

        async def polls() -> bool:
            assert not worker.has_ended, f"the worker ended; it wrote:\n{worker.tail()}"
            try:
                polling = await pollers(self.client, self.environment["TEMPORAL_TASK_QUEUE"])
                return identity(worker.pid) in {poller.identity for poller in polling}
            except RPCError:  # a server that has just come back refuses for a moment
                return False

        await eventually(polls, TIMEOUT)
        return worker

    async def start(self, task: str) -> RunHandle:
        """Starts a run of the agent `clerk`, which works in `workspace`."""
        return await self.holdfast.start("clerk", task, workspace=self.workspace)

    @property
    def workspace(self) -> Path:
        """Where the tools work."""
        return self.folder / "workspace"

    @property
    def answered(self) -> list[RecordedRequest]:
        """The requests whose answer was sent to its end."""
        return [request for request in self.server.requests if request.finished_at and request.disconnected_at is None]

    async def pending(self, run: RunHandle) -> dict[str, str]:
        """The activities of a run that have not ended: type and state (`STARTED`, `SCHEDULED`)."""
        description = await self.client.get_workflow_handle(run.id).describe()
        return {
            activity.activity_type.name: PendingActivityState.Name(activity.state).removeprefix(STATE_PREFIX)
            for activity in description.raw_description.pending_activities
        }

    async def assert_mirrored(self, worker: Process, *runs: RunHandle) -> None:
        """Ends the worker in order, opens the store that it leaves, and holds it against the history."""
        truths = [(run, await replayed_entries(self.client, run.id)) for run in runs]
        for run in runs:
            await self.mirror_catches_up(run)
        assert await worker.stop() == 0, worker.tail()
        store = open_store(self.environment["SURREALDB_URL"])
        try:
            for run, truth in truths:
                await assert_equal(store, run, truth)
        finally:
            await store.close()

    async def mirror_catches_up(self, run: RunHandle) -> None:
        """Waits for the catch-up workflow of a run that ended before its mirror was complete."""
        try:
            await self.client.get_workflow_handle(f"{run.id}/mirror").result()
        except RPCError as error:
            assert error.status == RPCStatusCode.NOT_FOUND, "the mirror was complete when the run ended"  # noqa: PT017


async def assert_equal(store: Store, run: RunHandle, truth: list[Entry]) -> None:
    """Holds a store against the history."""
    assert await store.entries(run.id, limit=len(truth) + 1) == truth
    summary = await store.summary(run.id)
    assert summary is not None
    assert summary.status == truth[-1].data["result"]["status"]
