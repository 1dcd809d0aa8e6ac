"""Construction of the registry from the settings."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path

from holdfast.arguments import checked_text
from holdfast.errors import SettingsError, UsageError
from holdfast.ports.registry import RegistryProtocol
from holdfast.settings import Settings
from holdfast.storage.registry.memory import shared_in_memory_registry

RegistryFactory = Callable[[], RegistryProtocol]
"""Creates a registry that is not connected yet; usually the class itself."""

METHODS = ("exists", "get", "get_agent", "register", "list_agents")
ENTRY_POINTS = "holdfast.registries"
"""Group of entry points in which packages name their factories."""


def registry_factory(backend: str | None = None) -> RegistryProtocol:
    """Returns the registry that the settings name; it connects when it is first used.

    AGENT_REGISTRY names it, else STATE_PERSISTENCE_BACKEND does. All calls in one process share the
    registry in memory, or a connection to SurrealDB.

    Args:
        backend: replaces the settings: `memory`, `surrealdb`, a name given to `register_backend` or by an entry point,
            or `module:factory`.

    Raises:
        UsageError: the backend is unknown (a ValueError); the message lists the known ones.
        SettingsError: a setting has a bad value (a ValueError).
    """
    if backend is not None:
        return _make(checked_text("backend", backend))
    settings = Settings.load()
    custom = custom_registry(settings)
    return _make(settings.state_persistence_backend) if custom is None else custom


def custom_registry(settings: Settings) -> RegistryProtocol | None:
    """Returns the registry that AGENT_REGISTRY names; `None` if it is not set.

    Raises:
        SettingsError: there is no such registry.
    """
    if settings.agent_registry is None:
        return None
    try:
        return _make(settings.agent_registry)
    except UsageError as error:
        raise SettingsError(f"AGENT_REGISTRY={settings.agent_registry!r} is not accepted: {error}") from error


def register_backend(name: str, factory: RegistryFactory) -> None:
    """Registers a backend under a name, for AGENT_REGISTRY and `registry_factory`.

    Args:
        name: replaces a backend of the same name.
        factory: creates a registry; called without arguments.
    """
    _backends[name] = factory


def _surrealdb() -> RegistryProtocol:
    from holdfast.composition.persistence import shared_persistence  # noqa: PLC0415 - loads the database's client

    kept = shared_persistence()
    if kept.database is None:
        raise UsageError(
            "the surrealdb registry needs SurrealDB, but STATE_PERSISTENCE_BACKEND=memory: set it to surrealdb"
        )
    return kept.registry


_backends: dict[str, RegistryFactory] = {"memory": shared_in_memory_registry, "surrealdb": _surrealdb}


def _make(backend: str) -> RegistryProtocol:
    factory = _imported(backend) if ":" in backend else _named(backend)
    registry = factory()
    if not isinstance(registry, RegistryProtocol):
        raise UsageError(
            f"backend {backend!r} returned {registry!r:.80}, which is not a registry: it needs the "
            f"coroutines {', '.join(METHODS)}; a class derived from BaseRegistry has them"
        )
    return registry


def _named(backend: str) -> RegistryFactory:
    installed = {entry.name: entry for entry in entry_points(group=ENTRY_POINTS)}
    if backend in _backends:
        return _backends[backend]
    if backend in installed:
        found: RegistryFactory = installed[backend].load()
        return found
    known = ", ".join(sorted(_backends.keys() | installed.keys()))
    raise UsageError(f"registry backend {backend!r} is unknown; known: {known}, or module:factory")


def _imported(place: str) -> RegistryFactory:
    module, _, name = place.partition(":")
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)  # an installed program does not search the current folder
    try:
        factory: RegistryFactory = getattr(importlib.import_module(module), name)
    except (Exception, SystemExit) as error:  # a user's module may raise anything when it is imported
        raise UsageError(f"{place!r} cannot be imported: {type(error).__name__}: {error}") from error
    return factory
