"""The registry as commands use it, and the agents of the code beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from holdfast.composition.persistence import close_shared_persistence
from holdfast.composition.registry import registry_factory
from holdfast.errors import UnknownAgent, UsageError
from holdfast.settings import Settings
from holdfast.storage.registry import AgentVersion, InMemoryRegistry, RegistryProtocol, VersionedRegistry


@asynccontextmanager
async def opened_registry(settings: Settings, *, writes: bool = False) -> AsyncIterator[RegistryProtocol]:
    """The registry that the settings name, until the command ends.

    Args:
        settings: the present ones.
        writes: whether something shall be kept; else a database that is not there yet is not made.

    Raises:
        UsageError: something shall be kept, and the settings keep nothing.
    """
    in_memory = settings.agent_registry is None and settings.state_persistence_backend == "memory"
    if writes and in_memory:
        raise UsageError(
            "STATE_PERSISTENCE_BACKEND=memory keeps agents in the memory of each process: what a command registers "
            "ends with it. Use surrealdb, or name a registry in AGENT_REGISTRY"
        )
    if not writes and (in_memory or (settings.agent_registry is None and settings.missing_database)):
        yield InMemoryRegistry()
        return
    try:
        yield registry_factory()
    finally:
        await close_shared_persistence()


async def history_of(registry: RegistryProtocol, name: str) -> list[AgentVersion]:
    """All versions of a registered agent, oldest first.

    Raises:
        UnknownAgent: there are none.
    """
    versions = await registry.history(name) if isinstance(registry, VersionedRegistry) else []
    if not versions:
        raise UnknownAgent(f"the registry has no version of an agent {name!r}")
    return versions


def unknown(name: str) -> UnknownAgent:
    """The error for a name that neither code nor registry knows."""
    return UnknownAgent(f"Agent {name!r} not found; `agents` lists those that there are")
