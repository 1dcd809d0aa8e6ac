"""A worker in the process of a test, which serves the test's agents."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from types import TracebackType
from typing import Self

from temporalio.client import Client

from holdfast.agents.agent import Agent
from holdfast.agents.catalog import AgentCatalog
from holdfast.client.holdfast import Holdfast
from holdfast.composition.models import configured_models
from holdfast.composition.persistence import open_configured
from holdfast.composition.worker import build_worker
from holdfast.errors import UsageError
from holdfast.settings import Settings
from holdfast.storage.ledger import MemoryLedger
from holdfast.testing.calls import MadeCall, calls_of
from holdfast.testing.observed_calls import Interceptor, ObservedCalls
from holdfast.testing.session_stack import SessionStack
from holdfast.types import RunId


class AgentServer:
    """Serves agents by a worker in the thread of the session's stack.

    Called with agents, it serves them until the end of the test; called again, with the further ones too. Tools that
    must not take effect twice are claimed in a ledger, as in production.

    Args:
        stack: the Temporal server.
        settings: of the worker.
    """

    def __init__(self, stack: SessionStack, settings: Settings) -> None:
        self._stack = stack
        self._settings = settings
        self._agents: list[Agent] = []
        self._persistence = replace(open_configured(settings), ledger=MemoryLedger())
        self._worker = AsyncExitStack()
        self.observed = ObservedCalls()
        """What the workers did."""

    def __call__(self, *agents: Agent) -> None:
        """Serves agents until the end of the test.

        Raises:
            UsageError: something else than an agent was passed.
            AgentDefinitionError: two agents have the same name.
        """
        for agent in agents:
            if not isinstance(agent, Agent):
                raise UsageError(f"serve() takes agents, not {agent!r:.80}")
        self._agents += [agent for agent in agents if agent not in self._agents]
        self._stack.loop.run(self._restart(self._agents))

    def calls(self, run_id: RunId | None = None) -> list[MadeCall]:
        """Returns the tool calls of a run, or of all runs that were served, oldest first."""
        return self._stack.loop.run(self._calls([run_id] if run_id else list(self.observed.runs)))

    async def _calls(self, run_ids: Sequence[RunId]) -> list[MadeCall]:
        runs = Holdfast(self._stack.client, task_queue=self._settings.temporal_task_queue)
        found: list[MadeCall] = []
        for run_id in run_ids:
            found += calls_of(run_id, [entry async for entry in runs.handle(run_id).entries()])
        return found

    async def _restart(self, agents: Sequence[Agent]) -> None:
        await self._worker.aclose()
        model = configured_models(self._settings)
        worker = build_worker(
            _intercepted(self._stack.client, self.observed),
            self._settings,
            catalog=AgentCatalog(agents),
            model=model,
            persistence=self._persistence,
        )
        self._worker.push_async_callback(model.close)
        await self._worker.enter_async_context(worker)

    async def _close(self) -> None:
        await self._worker.aclose()
        await self._persistence.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.loop.run(self._close())


def _intercepted(client: Client, *interceptors: Interceptor) -> Client:
    """Returns the same connection, whose workers have these interceptors."""
    config = client.config()
    config["interceptors"] = [*config["interceptors"], *interceptors]
    return Client(**config)
