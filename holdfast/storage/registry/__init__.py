"""The registry of agents: what can be run by name beside what code defines.

`holdfast.registry.surreal` is not imported here: it loads the database's client.
"""

from holdfast.definition import AgentDefinition
from holdfast.registry.base import BaseRegistry, not_found
from holdfast.registry.conversion import definition_of, name_of
from holdfast.registry.factory import register_backend, registry_factory
from holdfast.registry.memory import InMemoryRegistry
from holdfast.registry.protocol import AgentVersion, Registration, RegistryProtocol, VersionedRegistry

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
    "register_backend",
    "registry_factory",
]
