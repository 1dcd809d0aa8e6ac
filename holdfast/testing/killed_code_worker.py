"""Workers of the code that a program serves itself, as for `Agent.run`, which a test can end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from temporalio.client import Client

from holdfast.composition.code_worker import CodeWorker
from holdfast.ports.ledger import Ledger
from holdfast.temporal.connection import connect_temporal
from holdfast.testing.killed_worker import Lives, WorkerLife
from holdfast.testing.observed_calls import intercepted


class KillableCodeWorker:
    """Serves the code of one agent by a worker that may end, and then by another one; see `CodeWorker`.

    Args:
        client: connected to the namespace of the runs.
        make: makes a worker, with its client and its ledger.
        lives: those of all workers of code in the test.
    """

    def __init__(self, client: Client, make: Callable[[Client, Ledger], CodeWorker], lives: Lives) -> None:
        self._client = client
        self._make = make
        self._lives = lives
        self._begun: list[WorkerLife] = []
        self._deaths: list[asyncio.Task[None]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._worker: CodeWorker | None = None

    def use(self, loop: asyncio.AbstractEventLoop) -> None:
        """Runs async tools in another event loop from now on."""
        self._loop = loop
        if self._worker is not None:
            self._worker.use(loop)

    async def start(self) -> None:
        """Starts to take calls."""
        await self._begin(self._client)

    async def stop(self) -> None:
        """Stops, and lets the calls of workers end that have ended before."""
        for life in self._begun:
            life.bury()
        await asyncio.gather(*self._deaths)
        if self._worker is not None:
            await self._worker.stop()

    async def _begin(self, client: Client) -> None:
        self._begun.append(life := self._lives.begin(self._died))
        self._worker = self._make(intercepted(client, life), self._lives.ledger_of(life))
        if self._loop is not None:
            self._worker.use(self._loop)
        await self._worker.start()

    def _died(self, _life: WorkerLife) -> None:
        assert self._worker is not None, "it has taken a call"
        self._deaths.append(asyncio.create_task(self._replace(self._worker)))

    async def _replace(self, dead: CodeWorker) -> None:
        """Starts another worker; the dead one shuts down meanwhile, so that it takes no more calls."""
        shutdown = asyncio.create_task(dead.stop())
        old = self._client  # one connection cannot have both workers
        address = old.service_client.config.target_host
        await self._begin(await connect_temporal(address, old.namespace, converter=old.data_converter))
        await shutdown
