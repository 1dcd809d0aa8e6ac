"""A base class for registries."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from typing_extensions import override

from holdfast.errors import UnknownAgent, UsageError
from holdfast.ports.registry import UnregisteringRegistry


class BaseRegistry(UnregisteringRegistry, ABC):
    """A registry without storage: subclass it and implement `get`, `register` and `list_agents`.

        class FileRegistry(BaseRegistry):
            def __init__(self, folder: Path) -> None:
                self._folder = folder

            async def get(self, name: str) -> Any: ...
            async def register(self, agent: Any) -> None: ...
            async def list_agents(self) -> list[str]: ...

    `exists` and `get_agent` call `get`; override them if you have something faster. You need not call
    `super().__init__()`. Use `run_blocking` for blocking clients.
    `holdfast.storage.registry.conformance` tests the result.
    """

    @abstractmethod
    @override
    async def get(self, name: str) -> Any:
        """Returns the agent of this name.

        Raises:
            UnknownAgent: there is none; `raise not_found(name)` has the standard message.
        """

    @abstractmethod
    @override
    async def register(self, agent: Any) -> None:
        """Adds an agent, or replaces the one of the same name; `name_of(agent)` returns the validated name."""

    @abstractmethod
    @override
    async def list_agents(self) -> list[str]:
        """Returns all names, in the order of their first registration."""

    @override
    async def exists(self, name: str) -> bool:
        return await self.get_agent(name) is not None

    @override
    async def get_agent(self, name: str) -> Any | None:
        try:
            return await self.get(name)
        except KeyError:
            return None

    @override
    async def unregister(self, name: str) -> bool:
        """Removes an agent from the list; returns whether it was listed. A registry need not support it.

        Raises:
            UsageError: this registry does not support it.
        """
        raise UsageError(f"{type(self).__name__} cannot unregister {name!r}: override `unregister` to support it")


def not_found(name: str) -> UnknownAgent:
    """Returns the error for a name that is not registered; it is also a KeyError."""
    return UnknownAgent(f"Agent {name!r} not found")
