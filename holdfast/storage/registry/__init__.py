"""The registry of agents: definitions that can be run by name, in addition to agents in code.

`holdfast.storage.registry.surreal` is not imported here, because it loads the database's client.
"""

from holdfast.agents.conversion import definition_of, name_of
from holdfast.definition import AgentDefinition
from holdfast.ports.registry import AgentVersion, Registration, RegistryProtocol, VersionedRegistry
from holdfast.storage.registry.base import BaseRegistry, not_found
from holdfast.storage.registry.memory import InMemoryRegistry

__all__ = [
    "AgentDefinition",
    "AgentVersion",
    "BaseRegistry",
    "InMemoryRegistry",
    "Registration",
    "RegistryProtocol",
    "VersionedRegistry",
    "definition_of",
    "name_of",
    "not_found",
]
