"""Calls of agents that tools make."""

from __future__ import annotations

from typing import Any, Protocol

from holdfast.children import AgentCall
from holdfast.types import AgentSpec, RunId, RunResult


class AgentCalls(Protocol):
    """Runs agents for tools, as children of the runs whose tools call them."""

    async def reference(self, agent: Any) -> str | AgentSpec:
        """Returns how a run names an agent, which is served from then on.

        Args:
            agent: an `Agent`, a specification, or a name, with or without a version.

        Raises:
            UsageError: it is not an agent, or its code is not served here.
        """

    async def call(self, run_id: RunId, asked: AgentCall) -> RunResult:
        """Has a run make a call, or find the one that it has made for an earlier attempt, and returns its end.

        Raises:
            CommandRefused: the run does not make it; the message says why.
            TemporalUnavailable: the server is unavailable.
        """
