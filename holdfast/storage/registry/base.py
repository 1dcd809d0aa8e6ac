"""Where a registry of one's own begins."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from holdfast.errors import UnknownAgent, UsageError


class BaseRegistry(ABC):
    """A registry that lacks only its storage: derive from it, and give it `get`, `register` and `list_agents`.

        class FileRegistry(BaseRegistry):
            def __init__(self, folder: Path) -> None:
                self._folder = folder

            async def get(self, name: str) -> Any: ...
            async def register(self, agent: Any) -> None: ...
            async def list_agents(self) -> list[str]: ...

    `exists` and `get_agent` go by `get`, until you have something faster. `super().__init__()` need not be called.
    For clients that block there is `run_blocking`; `holdfast.storage.registry.conformance` tests the result.
    """

    @abstractmethod
    async def get(self, name: str) -> Any:
        """See `RegistryProtocol.get`; `raise not_found(name)` says it in the agreed words."""

    @abstractmethod
    async def register(self, agent: Any) -> None:
        """See `RegistryProtocol.register`; `name_of(agent)` gives the name, checked."""

    @abstractmethod
    async def list_agents(self) -> list[str]:
        """See `RegistryProtocol.list_agents`."""

    async def exists(self, name: str) -> bool:
        """See `RegistryProtocol.exists`."""
        return await self.get_agent(name) is not None

    async def get_agent(self, name: str) -> Any | None:
        """See `RegistryProtocol.get_agent`."""
        try:
            return await self.get(name)
        except KeyError:
            return None

    async def unregister(self, name: str) -> bool:
        """See `RegistryProtocol.unregister`; a registry that cannot forget need not define it.

        Raises:
            UsageError: this one does not.
        """
        raise UsageError(f"{type(self).__name__} cannot unregister {name!r}: it does not define `unregister`")


def not_found(name: str) -> UnknownAgent:
    """The error for a name that is not registered; also a KeyError."""
    return UnknownAgent(f"Agent {name!r} not found")
