"""The runner of the agents of a program; the composition provides it, as it needs the settings and the local stack."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol

from holdfast.agent_result import AgentResult
from holdfast.agents.agent import Agent
from holdfast.client.inputs import RunInput
from holdfast.client.run_handle import RunHandle
from holdfast.client.session import Session
from holdfast.client.tool_runs import ExecutedTool, ToolCallOptions
from holdfast.events import Event
from holdfast.start_options import SessionOptions, StartOptions
from holdfast.types import AgentSpec, RunId


class AgentRunner(Protocol):
    """Runs agents, and serves their code from this process."""

    async def run(
        self, agent: Agent | str, given: RunInput, options: StartOptions, spec: AgentSpec | None = None
    ) -> AgentResult:
        """Runs an agent to its end; a cancel of the caller cancels the run."""

    async def start(
        self, agent: Agent | str, given: RunInput, options: StartOptions, spec: AgentSpec | None = None
    ) -> RunHandle:
        """Starts a run, or finds the one that was started before under the same id, and serves the agent's code.

        Args:
            agent: the agent.
            given: the input.
            options: how the run is started.
            spec: the definition that the run carries; `None` means that of the agent.
        """

    def spec_of(self, agent: Agent) -> AgentSpec:
        """Returns the definition of an agent whose code this process serves."""

    def stream(self, agent: Agent, given: RunInput, options: StartOptions) -> AsyncIterator[Event]:
        """Runs an agent and yields what happens until the end; a cancel of the caller cancels the run."""

    async def execute_tool(
        self, agent: Agent, tool: str, arguments: Mapping[str, Any], options: ToolCallOptions
    ) -> ExecutedTool:
        """Calls a tool of an agent whose code is served."""

    async def session(self, agent: Agent, run_id: str, options: SessionOptions) -> Session:
        """Returns a session of an agent whose code is served."""

    async def handle(self, run_id: RunId) -> RunHandle:
        """Returns the handle of a run, of whichever agent; nothing is served."""
