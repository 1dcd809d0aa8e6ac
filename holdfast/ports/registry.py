"""Ports of registries of agents."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Protocol, runtime_checkable

from pydantic import AwareDatetime

from holdfast.definition import AgentDefinition
from holdfast.types import Data


@runtime_checkable
class RegistryProtocol(Protocol):
    """Agents by name. Every method may raise StoreUnavailable.

    An agent is any object with a `name`: an `Agent`, an AgentDefinition, an agent of another library. A persistent
    registry returns an AgentDefinition; one in memory may return the registered object.
    """

    async def exists(self, name: str) -> bool:
        """Returns whether an agent with this name is registered."""
        ...

    async def get(self, name: str) -> Any:
        """Returns the agent with this name.

        Raises:
            UnknownAgent: there is none (also a KeyError): `Agent 'x' not found`.
        """
        ...

    async def get_agent(self, name: str) -> Any | None:
        """Returns the agent with this name; `None` if there is none."""
        ...

    async def register(self, agent: Any) -> None:
        """Adds an agent, or replaces the one with the same name without changing its position in the list.

        Raises:
            NotAnAgent: the object has no name, or one that is not text (also a TypeError).
            AgentDefinitionError: the name is not accepted, or the definition cannot be stored (a ValueError).
        """
        ...

    async def list_agents(self) -> list[str]:
        """Returns all names, in the order of their first registration."""
        ...


@runtime_checkable
class UnregisteringRegistry(RegistryProtocol, Protocol):
    """A registry from which agents can be removed; not every one can."""

    async def unregister(self, name: str) -> bool:
        """Removes an agent and returns whether it was registered. Active runs are not affected."""
        ...


class AgentVersion(Data):
    """One registered version of a definition."""

    definition: AgentDefinition
    """The definition, with its version."""
    registered_at: AwareDatetime
    origin: str | None = None
    """Its source: a file, or the class of the registered object."""

    @property
    def version(self) -> int:
        """Its number: 1, 2, … for each name."""
        assert self.definition.version is not None
        return self.definition.version


class ServedAgents(Protocol):
    """The agents that workers serve from their code. Every method may raise StoreUnavailable."""

    async def announce(self, task_queue: str, worker: str, agents: Collection[str]) -> None:
        """Records what a worker serves, instead of what it has announced before.

        Args:
            task_queue: the task queue that it polls.
            worker: its identity in Temporal.
            agents: names of the agents; none when it has shut down.
        """
        ...

    async def by_worker(self, task_queue: str) -> Mapping[str, Collection[str]]:
        """Returns the names that each worker of a task queue has announced, by identity; it may have ended since."""
        ...


class Registration(Data):
    """Result of registering an agent."""

    current: AgentVersion
    is_new: bool
    """False if the current version already had this content."""


@runtime_checkable
class VersionedRegistry(UnregisteringRegistry, Protocol):
    """A registry that keeps earlier versions."""

    async def add(self, agent: Any, *, origin: str | None = None) -> Registration:
        """Registers an agent as `register` does; there is no new version if the content has not changed.

        Args:
            agent: see `register`.
            origin: source of the agent; `None` means the agent's class, if that is specific.
        """
        ...

    async def version(self, name: str, number: int | None = None) -> AgentVersion | None:
        """Returns one version of a registered agent, by default the current one; `None` if there is none."""
        ...

    async def history(self, name: str) -> list[AgentVersion]:
        """Returns all versions, oldest first, also of an agent that was unregistered."""
        ...
