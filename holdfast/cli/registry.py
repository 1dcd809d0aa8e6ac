"""The agent registry as commands use it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from holdfast.errors import UnknownAgent, UsageError

if TYPE_CHECKING:
    from holdfast.settings import Settings
    from holdfast.storage.registry import AgentVersion, RegistryProtocol


@asynccontextmanager
async def opened_registry(settings: Settings, *, writes: bool = False) -> AsyncIterator[RegistryProtocol]:
    """Opens the registry that the settings name, and closes it after the block.

    Args:
        settings: the current ones.
        writes: whether the command writes to it; a database that does not exist yet is created only then.

    Raises:
        UsageError: the command writes, and the settings name a registry that ends with the process.
    """
    from holdfast.composition.persistence import close_shared_persistence  # noqa: PLC0415 - `--help` needs no database
    from holdfast.composition.registry import registry_factory  # noqa: PLC0415
    from holdfast.storage.registry import InMemoryRegistry  # noqa: PLC0415

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
    from holdfast.storage.registry import VersionedRegistry  # noqa: PLC0415 - see opened_registry

    versions = await registry.history(name) if isinstance(registry, VersionedRegistry) else []
    if not versions:
        raise UnknownAgent(f"the registry has no version of an agent {name!r}")
    return versions


async def unknown(name: str, registry: RegistryProtocol, known: Iterable[str] = ()) -> UnknownAgent:
    """The error for a name that neither the code nor the registry defines.

    Args:
        name: the name.
        registry: an open registry.
        known: names of the agents in code, if the command accepts them.
    """
    return UnknownAgent.named(name, known, await registry.list_agents())
