"""What a registry of agents does."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from pydantic import AwareDatetime

from holdfast.definition import AgentDefinition
from holdfast.types import Data


@runtime_checkable
class RegistryProtocol(Protocol):
    """Agents by name. Every method may raise StoreUnavailable, where what it stands on is away.

    An agent is any object with a `name`: an `Agent`, an AgentDefinition, an agent of another library. A registry that
    outlives its process gives an AgentDefinition back; one in memory may give the very object.
    """

    async def exists(self, name: str) -> bool:
        """Whether an agent of this name is registered."""
        ...

    async def get(self, name: str) -> Any:
        """The agent of this name.

        Raises:
            UnknownAgent: there is none (also a KeyError): `Agent 'x' not found`.
        """
        ...

    async def get_agent(self, name: str) -> Any | None:
        """The agent of this name; None when there is none."""
        ...

    async def register(self, agent: Any) -> None:
        """Adds an agent, or replaces the one of the same name, which keeps its place in the list.

        Raises:
            NotAnAgent: it has no name, or one that is not text (also a TypeError).
            AgentDefinitionError: the name is not accepted, or the definition cannot be kept (a ValueError).
        """
        ...

    async def list_agents(self) -> list[str]:
        """All names, in the order in which they were first registered."""
        ...

    async def unregister(self, name: str) -> bool:
        """Takes an agent off the list; says whether it was on it. Runs that have begun go on."""
        ...


class AgentVersion(Data):
    """A definition as it was registered at some time."""

    definition: AgentDefinition
    """With its version."""
    registered_at: AwareDatetime
    origin: str | None = None
    """Where it comes from: a file, or the class of the object that was registered."""

    @property
    def version(self) -> int:
        """Dense, from 1, for each name."""
        assert self.definition.version is not None
        return self.definition.version


class Registration(Data):
    """What registering an agent led to."""

    current: AgentVersion
    is_new: bool
    """False: the current version has this content already."""


@runtime_checkable
class VersionedRegistry(RegistryProtocol, Protocol):
    """A registry that keeps what was registered before."""

    async def add(self, agent: Any, *, origin: str | None = None) -> Registration:
        """Registers an agent as `register` does; content that is current already makes no new version.

        Args:
            agent: what `register` takes.
            origin: where it comes from; None: the agent's class, where it says something.
        """
        ...

    async def version(self, name: str, number: int | None = None) -> AgentVersion | None:
        """One version of a registered agent, the current one by default; None when there is none."""
        ...

    async def history(self, name: str) -> list[AgentVersion]:
        """All versions, oldest first, of one that was unregistered too; empty when there are none."""
        ...
