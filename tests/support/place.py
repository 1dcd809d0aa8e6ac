"""A local stack of a test's own, with a small worker that starts quickly."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from holdfast.settings import Settings
from holdfast.stack import Replace, Stack, kill, up
from holdfast.stack.stack import STOP_ORDER
from holdfast.stack.state import StackState, StateFile

WORKER = """
import asyncio, json, os, pathlib, signal, socket
from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

@workflow.defn
class Nothing:
    @workflow.run
    async def run(self) -> None: ...

async def main() -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    seen = pathlib.Path(os.environ["HOLDFAST_HOME"], "environment.json")
    seen.write_text(json.dumps(dict(os.environ)))
    client = await Client.connect(
        os.environ["TEMPORAL_ADDRESS"],
        namespace=os.environ.get("TEMPORAL_NAMESPACE", "default"),
        identity=f"holdfast-worker-{os.getpid()}@{socket.gethostname()}",
    )
    runner = UnsandboxedWorkflowRunner()
    async with Worker(client, task_queue="holdfast", workflows=[Nothing], workflow_runner=runner):
        await stop.wait()
    print("ended in order", flush=True)

asyncio.run(main())
"""


@dataclass
class Place:
    """A state folder and a project folder of a test's own."""

    home: Path
    root: Path
    said: list[str] = field(default_factory=list)

    def settings(self, **more: Any) -> Settings:
        """Returns settings with a model by default, so that the scripted one is not started."""
        return Settings(**{"holdfast_home": self.home, "openai_api_key": SecretStr("a-secret"), **more})

    @property
    def program(self) -> list[str]:
        """The command of the worker."""
        return [sys.executable, str(self.root / "worker.py")]

    async def up(self, *, worker: bool = False, replace: Replace = Replace.IF_CHANGED, **settings: Any) -> Stack:
        """Starts the stack with these settings."""
        wanted = self.settings(**settings)
        return await up(wanted, self.said.append, worker=worker, program=self.program, replace=replace)

    def state(self) -> StackState:
        """Returns what runs now."""
        return StateFile(self.home).read()

    @classmethod
    @asynccontextmanager
    async def open(cls, folder: Path) -> AsyncIterator[Place]:
        """Makes a place, and kills at the end what runs there."""
        place = cls(folder / "home", folder / "project")
        place.root.mkdir()
        (place.root / "worker.py").write_text(WORKER)
        try:
            yield place
        finally:
            parts = place.state().parts
            for name in STOP_ORDER:  # quicker than `down`, which has its own test
                if name in parts:
                    await kill(place.state().parts[name])
