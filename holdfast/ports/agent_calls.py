"""Calls of agents that tools make."""

from __future__ import annotations

from pathlib import Path
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

    async def asked(self, given: Any, folder: Path) -> dict[str, Any]:
        """Returns the fields of a request that an input sets: `input`, and maybe `attachments` and `structured`.

        Args:
            given: text, data, or a list of text, images and files, which are stored.
            folder: that relative paths of files are below.

        Raises:
            UsageError: it is empty, too large, of another kind, or a file of it cannot be read.
            StoreUnavailable: a content could not be stored.
        """

    async def call(self, run_id: RunId, asked: AgentCall) -> RunResult:
        """Has a run make a call, or find the one that it has made for an earlier attempt, and returns its end.

        Raises:
            CommandRefused: the run does not make it; the message says why.
            TemporalUnavailable: the server is unavailable.
        """
