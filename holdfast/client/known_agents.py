"""A check of agents' names before runs of them are started."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from holdfast.definition import split_version
from holdfast.errors import TO_ADD_AN_AGENT, StoreUnavailable, UnknownAgent
from holdfast.ports.registry import RegistryProtocol, ServedAgents
from holdfast.temporal.polling_workers import PollingWorkers

TIMEOUT = 2.0  # seconds to wait for the database; a run can be started without it


@dataclass(frozen=True)
class AgentSources:
    """Where the agents of the workers can be looked up."""

    served: ServedAgents
    registry: RegistryProtocol


Sources = Callable[[], AgentSources | None]
"""Returns the sources; `None` means that this process cannot reach them."""


class KnownAgents:
    """Refuses names that no worker and no registry knows.

    A name is accepted when it is not certain that nobody knows it: while no worker polls the task queue, while one
    polls that has announced nothing, and while the database is unavailable.

    Args:
        workers: the workers that would run the agents.
        sources: returns the sources, when they are first needed; `None` means that there are none.
    """

    def __init__(self, workers: PollingWorkers, sources: Sources | None) -> None:
        self._workers = workers
        self._sources = sources
        self._found: set[str] = set()

    async def check(self, reference: str) -> None:
        """Checks a name, with or without a version.

        Raises:
            UnknownAgent: neither a running worker nor the registry knows it; the message lists the known ones.
            TemporalUnavailable: the server is unavailable.
        """
        if self._sources is None or reference in self._found:
            return
        polling = await self._workers.names()
        if not polling or (sources := self._sources()) is None:
            return
        try:
            async with asyncio.timeout(TIMEOUT):
                if await self._is_known(reference, polling, sources):
                    self._found.add(reference)
        except (StoreUnavailable, TimeoutError):
            return

    async def _is_known(self, reference: str, polling: set[str], sources: AgentSources) -> bool:
        """Returns whether a source knows a name; False means that nothing is certain."""
        announced = await sources.served.by_worker(self._workers.task_queue)
        names = {name for worker in polling for name in announced.get(worker, ())}
        if reference in names:
            return True
        if not polling <= announced.keys():
            return False
        if await sources.registry.get_agent(split_version(reference)[0]) is None:
            unknown = UnknownAgent.named(reference, names, await sources.registry.list_agents())
            raise UnknownAgent(f"{unknown}. {TO_ADD_AN_AGENT}")
        return True
