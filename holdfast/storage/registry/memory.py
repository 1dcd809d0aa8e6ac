"""Agents in this process's memory."""

from __future__ import annotations

from typing import Any

from holdfast.agents.conversion import name_of
from holdfast.storage.registry.base import BaseRegistry, not_found


class InMemoryRegistry(BaseRegistry):
    """Gives back the very object that was registered; shares nothing with other instances."""

    def __init__(self) -> None:
        self._agents: dict[str, Any] = {}

    async def exists(self, name: str) -> bool:
        """See `RegistryProtocol.exists`."""
        return name in self._agents

    async def get(self, name: str) -> Any:
        """See `RegistryProtocol.get`."""
        try:
            return self._agents[name]
        except KeyError:
            raise not_found(name) from None

    async def register(self, agent: Any) -> None:
        """See `RegistryProtocol.register`."""
        self._agents[name_of(agent)] = agent

    async def list_agents(self) -> list[str]:
        """See `RegistryProtocol.list_agents`."""
        return list(self._agents)

    async def unregister(self, name: str) -> bool:
        """See `RegistryProtocol.unregister`."""
        return self._agents.pop(name, None) is not None

    def __repr__(self) -> str:
        return f"<InMemoryRegistry: {', '.join(self._agents) or 'empty'}>"
