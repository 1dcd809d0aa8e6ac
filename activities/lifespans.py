"""Entering the agents whose code a worker serves, before their first call, and leaving them at its end."""

from __future__ import annotations

import asyncio
from weakref import WeakKeyDictionary

from holdfast._util.logger import get_logger
from holdfast._util.raised import raised
from holdfast.activities.tool_loop import CallerLoop
from holdfast.agents.agent import Agent
from holdfast.agents.catalog import AgentCatalog
from holdfast.agents.lifespan import Lifespan, can_be_entered, is_entered
from holdfast.agents.tool import ToolError

log = get_logger(__name__)

OPEN_TIMEOUT = 60.0  # seconds
CLOSE_TIMEOUT = 10.0  # seconds


class Lifespans:
    """Enters agents that can be entered, each once, in the event loop of the async tools.

    Args:
        catalog: the agents.
        loop: where async tools run.
    """

    def __init__(self, catalog: AgentCatalog, loop: CallerLoop) -> None:
        self._catalog = catalog
        self._loop = loop
        self._open: dict[Agent, Lifespan] = {}
        self._locks: WeakKeyDictionary[Agent, asyncio.Lock] = WeakKeyDictionary()

    async def enter(self, name: str) -> None:
        """Enters an agent, unless it is entered.

        Args:
            name: of an agent; one that is not in the catalog has nothing to enter.

        Raises:
            ToolError: it cannot be entered; the next call tries again.
        """
        if name not in self._catalog:
            return
        agent = self._catalog.get(name)
        if not can_be_entered(agent) or is_entered(agent):
            return
        async with self._locks.setdefault(agent, asyncio.Lock()):
            if not is_entered(agent):
                await self._enter(agent)

    async def _enter(self, agent: Agent) -> None:
        lifespan = Lifespan(agent)
        try:
            await self._loop.run(agent.name, lifespan.open, OPEN_TIMEOUT)
        except Exception as error:
            log.warning("an agent cannot be entered", agent=agent.name, reason=repr(error))
            raise ToolError(f"not called: agent {agent.name!r} cannot be entered: {raised(error)}") from error
        self._open[agent] = lifespan

    async def close(self) -> None:
        """Leaves all agents that this has entered; an error is logged."""
        while self._open:
            agent, lifespan = self._open.popitem()
            try:
                await self._loop.run(agent.name, lifespan.close, CLOSE_TIMEOUT)
            except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - code of the user
                log.warning("an agent was not left as it should be", agent=agent.name, reason=repr(error))
