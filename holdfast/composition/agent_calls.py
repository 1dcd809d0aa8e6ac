"""Agents that tools may call: those of a worker, and those of a program that runs its agents itself."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from temporalio.client import Client
from typing_extensions import override

from holdfast.agents.agent import Agent
from holdfast.agents.catalog import AgentCatalog
from holdfast.agents.own_code import full_spec_of, has_code, with_reached
from holdfast.children import AgentCall
from holdfast.client.agent_calls import call_agent
from holdfast.client.inputs import Inputs
from holdfast.errors import UsageError
from holdfast.ports.agent_calls import AgentCalls
from holdfast.types import AgentSpec, RunId, RunResult


class _Calls(AgentCalls):
    """Calls agents by updates of runs.

    Args:
        client: connected to the namespace of the runs.
        inputs: takes what they are asked.
    """

    def __init__(self, client: Client, inputs: Inputs) -> None:
        self._client = client
        self._inputs = inputs

    @override
    async def reference(self, agent: Any) -> str | AgentSpec:
        if isinstance(agent, str | AgentSpec) and agent:
            return agent
        if isinstance(agent, Agent):
            return await self._own(agent)
        raise UsageError(f"{agent!r:.80} cannot be called: call_agent takes instances of Agent and names")

    @abstractmethod
    async def _own(self, agent: Agent) -> str | AgentSpec: ...

    @override
    async def asked(self, given: Any, folder: Path) -> dict[str, Any]:
        return await self._inputs.request(given, folder)

    @override
    async def call(self, run_id: RunId, asked: AgentCall) -> RunResult:
        return await call_agent(self._client, run_id, asked)


class WorkerAgentCalls(_Calls):
    """Calls agents for tools of a worker, which serves those of its catalog.

    Args:
        client: see above.
        inputs: see above.
        catalog: the agents of the worker.
    """

    def __init__(self, client: Client, inputs: Inputs, catalog: AgentCatalog) -> None:
        super().__init__(client, inputs)
        self._catalog = catalog

    @override
    async def _own(self, agent: Agent) -> str | AgentSpec:
        if self._catalog.find(agent.name) is agent:
            return agent.name
        if any(map(has_code, with_reached(agent))):
            raise UsageError(
                f"agent {agent.name!r} has code of its own, which this worker does not serve: define it at the top "
                "level of a module that HOLDFAST_AGENTS names"
            )
        return agent.spec()


class ProgramAgentCalls(_Calls):
    """Calls agents for tools of a program, which serves the code of its agents itself.

    Args:
        client: see above.
        inputs: see above.
        serve: serves the code of an agent from now on.
    """

    def __init__(self, client: Client, inputs: Inputs, serve: Callable[[Agent], Awaitable[None]]) -> None:
        super().__init__(client, inputs)
        self._serve = serve

    @override
    async def _own(self, agent: Agent) -> str | AgentSpec:
        await self._serve(agent)
        return await full_spec_of(agent)
