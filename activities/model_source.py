"""The sources that answer the model calls of a process: its own models, and those of the agents whose code it has."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from typing_extensions import override

from holdfast.activities.day_leases import DayLeases
from holdfast.activities.failures import not_served
from holdfast.activities.fallback import Fallback
from holdfast.activities.spending import Spending
from holdfast.activities.tool_runner import ToolRunner
from holdfast.activities.windows import ContextWindows
from holdfast.agents.agent import Agent
from holdfast.model_reply import ModelReply
from holdfast.ports import ChatModel
from holdfast.ports.model_access import ModelAccess
from holdfast.protocol import ModelCall
from holdfast.types import AgentSpec, Message

LONGEST = 3_600.0  # seconds for a request of an agent's own client; the options of a model call allow no more


@dataclass(frozen=True, kw_only=True)
class ModelSource:
    """Models that answer calls, and what they cost."""

    fallback: Fallback
    spending: Spending
    leases: DayLeases
    windows: ContextWindows
    agent: Agent | None = None
    """The agent whose code makes the calls; `None` means that nobody's does."""

    @property
    def has_client(self) -> bool:
        """Whether an agent's own client makes the calls."""
        return self.agent is not None and self.agent.model_client is not None


class ModelSources:
    """Finds what answers a model call.

    Args:
        deps: what the calls are built from.
        find: returns the agent of a name whose code is here; `None` means that there is none.
        runner: runs the async clients of agents where their other async code runs, as connections belong to a loop.
    """

    def __init__(self, deps: ModelAccess, find: Callable[[str], Agent | None], runner: ToolRunner) -> None:
        self._deps = deps
        self._find = find
        self._runner = runner
        self._own = self._source(deps.model, deps.provider, deps.default_model, deps.queue_of)
        self._of_agents: WeakKeyDictionary[Agent, ModelSource] = WeakKeyDictionary()

    def find(self, call: ModelCall) -> ModelSource:
        """Returns what answers a call.

        Raises:
            ApplicationError: of type NotServed; the code of the agent is elsewhere.
        """
        if call.agent is None:
            return self._own
        agent = self._find(call.agent)
        if agent is None or not agent.spec().calls_model_itself:
            raise not_served(f"the code of agent {call.agent!r} that makes its model calls")
        if agent not in self._of_agents:
            self._of_agents[agent] = self._of_agent(agent)
        return self._of_agents[agent]

    def _of_agent(self, agent: Agent) -> ModelSource:
        deps, client = self._deps, agent.model_client
        if client is None:
            return self._source(deps.model, deps.provider, deps.default_model, _unlimited, agent)
        model: ChatModel = _InLoop(deps.of_client(client), f"the client of {agent.name}", self._runner)
        return self._source(model, agent.spec().client or deps.provider, deps.client_model, _unlimited, agent)

    def _source(
        self,
        model: ChatModel,
        provider: str,
        default_model: str,
        queue_of: Callable[[str | None], str | None],
        agent: Agent | None = None,
    ) -> ModelSource:
        deps, prices = self._deps, self._deps.prices(provider)
        return ModelSource(
            fallback=Fallback(model, queue_of, deps.patience),
            spending=Spending(prices, default_model),
            leases=DayLeases(deps.day_budgets, deps.day_limits, prices, default_model),
            windows=ContextWindows(prices, default_model, deps.context_window),
            agent=agent,
        )


def _unlimited(_model: str | None) -> str | None:
    return None


class _InLoop(ChatModel):
    """A chat model whose requests are made in the event loop of the agents' async code.

    Args:
        model: makes the requests.
        name: for messages.
        runner: has the loop.
    """

    def __init__(self, model: ChatModel, name: str, runner: ToolRunner) -> None:
        self._model = model
        self._name = name
        self._runner = runner

    @override
    async def complete(
        self,
        spec: AgentSpec,
        messages: list[Message],
        *,
        on_text: Callable[[str], None],
        max_output: int | None = None,
    ) -> ModelReply:
        loop = asyncio.get_running_loop()

        def heard(piece: str) -> None:
            loop.call_soon_threadsafe(on_text, piece)

        reply: ModelReply = await self._runner.run(
            self._name,
            lambda: self._model.complete(spec, messages, on_text=heard, max_output=max_output),
            LONGEST,
            is_async=True,
        )
        return reply

    @override
    async def close(self) -> None:
        await self._model.close()
