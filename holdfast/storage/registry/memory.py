"""The agent registry in memory."""

from __future__ import annotations

from functools import cache
from typing import Any

from typing_extensions import override

from holdfast.agents.conversion import name_of
from holdfast.storage.registry.base import BaseRegistry, not_found


@cache
def shared_in_memory_registry() -> InMemoryRegistry:
    """Returns the registry in memory that everything in this process shares."""
    return InMemoryRegistry()


class InMemoryRegistry(BaseRegistry):
    """A registry that returns the very object that was registered; instances share nothing."""

    def __init__(self) -> None:
        self._agents: dict[str, Any] = {}

    @override
    async def exists(self, name: str) -> bool:
        return name in self._agents

    @override
    async def get(self, name: str) -> Any:
        try:
            return self._agents[name]
        except KeyError:
            raise not_found(name) from None

    @override
    async def register(self, agent: Any) -> None:
        self._agents[name_of(agent)] = agent

    @override
    async def list_agents(self) -> list[str]:
        return list(self._agents)

    @override
    async def unregister(self, name: str) -> bool:
        return self._agents.pop(name, None) is not None

    def __repr__(self) -> str:
        return f"<InMemoryRegistry: {', '.join(self._agents) or 'empty'}>"
