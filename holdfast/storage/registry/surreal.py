"""The agent registry in SurrealDB, with all versions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, TypeVar

from surrealdb import RecordID
from typing_extensions import override

from holdfast.agents.conversion import definition_of, origin_of
from holdfast.definition import AgentDefinition, check_name
from holdfast.errors import AgentDefinitionError, StoreUnavailable
from holdfast.ports.registry import AgentVersion, Registration, VersionedRegistry
from holdfast.storage.database import Database, WriteConflict, retry_conflicts
from holdfast.storage.database.surql import statement
from holdfast.storage.registry.base import BaseRegistry, not_found
from holdfast.storage.registry.rows import PLACES, Stamp, head_id, version_from, version_id, version_row

T = TypeVar("T")

REGISTER = statement("holdfast.storage.registry", "register")
STAMP = "RETURN [$head.version, $head.digest, $head.place, $places.given]"
UNREGISTER = "UPDATE $head SET place = NONE WHERE place != NONE RETURN VALUE version"
PLACE = "RETURN $head.place"
CURRENT = "SELECT place, current.{version, text, registered_at, origin} AS row FROM ONLY $head"
NUMBERED = """RETURN {
    newest: $head.version, place: $head.place, row: (SELECT version, text, registered_at, origin FROM ONLY $row) }"""
HISTORY = """SELECT version, text, registered_at, origin FROM agent:[$name, 1]..=[$name, ..]
    WHERE version <= $head.version"""
NAMES = "SELECT name, place FROM agent_head WHERE place != NONE ORDER BY place"


class SurrealRegistry(BaseRegistry, VersionedRegistry):
    """Stores definitions: agents are returned as AgentDefinition, with their version, in any process.

    Args:
        database: the database; it is not closed with the registry.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @override
    async def register(self, agent: Any) -> None:
        await self.add(agent)

    @override
    async def add(self, agent: Any, *, origin: str | None = None) -> Registration:
        definition = definition_of(agent)
        origin = origin or origin_of(agent)
        return await retry_conflicts(lambda: self._add(definition, origin), f"agent {definition.name!r}")

    @override
    async def get(self, name: str) -> AgentDefinition:
        found = await self.version(name)
        if found is None:
            raise not_found(name)
        return found.definition

    @override
    async def exists(self, name: str) -> bool:
        return _is_valid(name) and await self._read(PLACE, name) is not None

    @override
    async def list_agents(self) -> list[str]:
        [rows] = await self._database.run(NAMES)
        return [row["name"] for row in rows]

    @override
    async def unregister(self, name: str) -> bool:
        return _is_valid(name) and await retry_conflicts(lambda: self._unregister(name), f"agent {name!r}")

    @override
    async def version(self, name: str, number: int | None = None) -> AgentVersion | None:
        if not _is_valid(name):
            return None
        if number is None:
            found = await self._read(CURRENT, name)
        else:
            found = await self._read(NUMBERED, name, row=version_id(name, number))
        if not found or found.get("place") is None or found.get("row") is None:
            return None
        if number is not None and number > found["newest"]:
            return None  # an interrupted write that was never acknowledged
        return version_from(found["row"])

    @override
    async def history(self, name: str) -> list[AgentVersion]:
        rows = await self._read(HISTORY, name, name=name) if _is_valid(name) else []
        return [version_from(row) for row in rows]

    async def _add(self, definition: AgentDefinition, origin: str | None) -> Registration:
        stamp = Stamp(*await self._read(STAMP, definition.name, places=PLACES))
        version = None
        if stamp.digest != definition.digest:
            numbered = definition.model_copy(update={"version": (stamp.version or 0) + 1})
            version = AgentVersion(definition=numbered, registered_at=datetime.now(UTC), origin=origin)
        if version or stamp.place is None:
            await self._write(stamp, definition, version)
        current = version or await self.version(definition.name)
        if current is None:
            raise WriteConflict(f"agent {definition.name!r} was unregistered in the meantime")
        return Registration(current=current, is_new=version is not None)

    async def _write(self, stamp: Stamp, definition: AgentDefinition, version: AgentVersion | None) -> None:
        """Makes a new or the newest version current; an agent that is not listed is appended to the list."""
        name, number = definition.name, version.version if version else stamp.version
        place = (stamp.given or 0) + 1 if stamp.place is None else stamp.place
        current = RecordID("agent", [name, number])
        results = await self._database.run(
            REGISTER,
            head=head_id(name),
            current=current,
            places=PLACES,
            expected=stamp.parts,
            version=version and version_row(version),
            place=None if stamp.place is not None else {"given": place},
            row={"name": name, "version": number, "digest": definition.digest, "current": current, "place": place},
        )
        _check_written(name, number, results)

    async def _unregister(self, name: str) -> bool:
        results = await self._database.run(UNREGISTER, head=head_id(name))
        if results == [[]] and await self.exists(name):
            _check_written(name, None, results)
        return results != [[]]

    async def _read(self, query: str, name: str, /, **values: Any) -> Any:
        [found] = await self._database.run(query, head=head_id(name), **values)
        return found


def _is_valid(name: object) -> bool:
    """Returns whether this is a valid agent name; other names cannot be registered, and some cannot be queried."""
    try:
        check_name(name)
    except AgentDefinitionError:
        return False
    return True


def _check_written(name: str, number: int | None, results: list[Any]) -> None:
    """Raises if a write was ignored, since the database does not report writes that permissions forbid."""
    if [number] not in results:
        raise StoreUnavailable(f"the database ignored agent {name!r}: check that its user may write")
