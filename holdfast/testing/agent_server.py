"""A worker in the process of a test, which serves the test's agents."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import replace
from types import TracebackType
from typing import Self

from temporalio.client import Client

from holdfast import names
from holdfast.agents.agent import Agent
from holdfast.agents.catalog import AgentCatalog
from holdfast.client.holdfast import Holdfast
from holdfast.composition.code_worker import CodeWorker, Serve
from holdfast.composition.models import configured_models
from holdfast.composition.own_agents import code_workers
from holdfast.composition.persistence import open_configured, shared_persistence
from holdfast.composition.worker import build_worker
from holdfast.errors import UsageError
from holdfast.ports.ledger import Ledger
from holdfast.settings import Settings
from holdfast.temporal.connection import connect_temporal
from holdfast.testing.calls import MadeCall, calls_of
from holdfast.testing.killed_code_worker import KillableCodeWorker
from holdfast.testing.killed_worker import MOMENTS, KillPoint, Lives, Moment, WorkerLife
from holdfast.testing.observed_calls import ObservedCalls, intercepted
from holdfast.testing.session_stack import SessionStack
from holdfast.types import RunId

KILLABLE = (names.MODEL_CALL, names.AGENT_OUTPUT, names.AGENT_GUARD)
"""Activities other than tools in which a test may end the worker."""


class AgentServer:
    """Serves agents by a worker in the thread of the session's stack.

    Called with agents, it serves them until the end of the test; called again, with the further ones too. Without any,
    it is the worker of agents that the test runs itself, as by `Agent.run`. Tools that must not take effect twice are
    claimed in a ledger, as in production.

    Args:
        stack: the Temporal server.
        settings: of the worker.
    """

    def __init__(self, stack: SessionStack, settings: Settings) -> None:
        self._stack = stack
        self._settings = settings
        self._agents: list[Agent] = []
        self._persistence = open_configured(settings)
        self._worker = AsyncExitStack()
        self._points: list[KillPoint] = []
        self._lives, self._code_lives = Lives(self._points), Lives(self._points)
        self._begun: list[WorkerLife] = []
        self._deaths: list[asyncio.Task[None]] = []
        self._observed = ObservedCalls()
        self._served = ExitStack()

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
        self._stack.loop.submit(self._restart()).result()

    def kill_at(self, activity: str, moment: Moment) -> None:
        """Ends the worker that makes the call at the next such moment, and starts another one.

        It is the worker of the agents that are served, or that in the program which serves the code of an agent that
        the test runs itself.

        Raises:
            UsageError: there is no such moment.
        """
        if moment not in MOMENTS:
            raise UsageError(f"kill_at({activity!r}, {moment!r}): the moments are {', '.join(map(repr, MOMENTS))}")
        if activity not in KILLABLE and not activity.startswith(names.TOOL_PREFIX):
            others = ", ".join(map(repr, KILLABLE))
            raise UsageError(f"kill_at({activity!r}, …): name a tool, as 'tool.order', or {others}")
        self._points.append(KillPoint(activity, moment))

    def assert_killed(self) -> None:
        """Asserts that each moment of `kill_at` was reached.

        Raises:
            AssertionError: one was not; the message says which calls were made.
        """
        if waiting := [str(point) for point in self._points if not point.reached]:
            made = ", ".join(self._observed.activities) or "none"
            raise AssertionError(f"{', '.join(waiting)} was not reached; the calls that were made: {made}")

    def calls(self, run_id: RunId | None = None) -> list[MadeCall]:
        """Returns the tool calls of a run, or of all runs that were served, oldest first."""
        return self._stack.loop.submit(self._calls([run_id] if run_id else list(self._observed.runs))).result()

    async def _calls(self, run_ids: Sequence[RunId]) -> list[MadeCall]:
        runs = Holdfast(self._stack.client, task_queue=self._settings.temporal_task_queue)
        found: list[MadeCall] = []
        for run_id in run_ids:
            found += calls_of(run_id, [entry async for entry in runs.handle(run_id).entries()])
        return found

    async def _restart(self) -> None:
        await self._worker.aclose()
        await self._start(self._stack.client)

    async def _start(self, client: Client) -> None:
        self._begun.append(life := self._lives.begin(self._died))
        model = configured_models(self._settings)
        worker = build_worker(
            intercepted(client, self._observed, life),
            self._settings,
            catalog=AgentCatalog(self._agents, shipped=True),
            model=model,
            persistence=replace(self._persistence, ledger=self._lives.ledger_of(life)),
        )
        self._worker = AsyncExitStack()
        self._worker.push_async_callback(model.close)
        await self._worker.enter_async_context(worker)

    def _died(self, _life: WorkerLife) -> None:
        self._deaths.append(asyncio.create_task(self._replace(self._worker)))

    async def _replace(self, dead: AsyncExitStack) -> None:
        """Starts another worker; the dead one shuts down meanwhile, so that it takes no more calls."""
        shutdown = asyncio.create_task(dead.aclose())
        await self._start(await connect_temporal(self._stack.address))  # one connection cannot have both workers
        await shutdown

    def _code_worker(self, client: Client, settings: Settings, agent: Agent, serve: Serve) -> KillableCodeWorker:
        def make(own: Client, ledger: Ledger) -> CodeWorker:
            persistence = replace(shared_persistence(), ledger=ledger)
            return CodeWorker(intercepted(own, self._observed), settings, persistence, agent, serve)

        return KillableCodeWorker(client, make, self._code_lives)

    async def _close(self) -> None:
        for life in self._begun:
            life.bury()
        await asyncio.gather(*self._deaths)
        await self._worker.aclose()
        await self._persistence.close()

    def __enter__(self) -> Self:
        self._served.enter_context(code_workers(self._code_worker))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._served.close()
        self._stack.loop.submit(self._close()).result()
