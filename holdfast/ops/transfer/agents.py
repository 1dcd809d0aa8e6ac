"""Export and import of registered agents, with all their versions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from pydantic import AwareDatetime
from typing_extensions import override

from holdfast.definition import AgentDefinition
from holdfast.ops.transfer.bundle import Item
from holdfast.ops.transfer.part import Part, Tally
from holdfast.ops.transfer.storable import check_storable
from holdfast.ports.registry import AgentVersion
from holdfast.storage.database import Database
from holdfast.storage.registry.rows import PLACES, Stamp, head_id, version_id, version_row
from holdfast.storage.registry.surreal import REGISTER, STAMP, SurrealRegistry
from holdfast.types import Data

MAX_PLACE = 2**53  # more than any registry has agents; the next place must be a number of the database as well
HEADS = "SELECT name, place FROM agent_head ORDER BY place, name"


class _Version(Data):
    registered_at: AwareDatetime
    origin: str | None = None
    definition: AgentDefinition

    def numbered(self, number: int) -> AgentVersion:
        definition = self.definition.model_copy(update={"version": number})
        return AgentVersion(definition=definition, registered_at=self.registered_at, origin=self.origin)


class _Agent(Data):
    kind: str = "agent"
    name: str
    place: int | None
    """Its position in the list; `None` means that it was unregistered."""
    versions: list[_Version]
    """Oldest first, from version 1."""


class Agents(Part):
    """The agent registry. An import leaves an agent unchanged if the registry has different versions of it.

    Args:
        database: the database of the registry.
    """

    name = "agents"
    kinds = ("agent",)

    def __init__(self, database: Database) -> None:
        self._database = database
        self._registry = SurrealRegistry(database)

    @override
    async def dump(self) -> AsyncIterator[Item]:
        [heads] = await self._database.run(HEADS)
        for head in heads:
            history = await self._registry.history(head["name"])
            versions = [
                _Version(
                    registered_at=version.registered_at,
                    origin=version.origin,
                    definition=version.definition.model_copy(update={"version": None}),
                )
                for version in history
            ]
            yield _Agent(name=head["name"], place=head.get("place"), versions=versions).model_dump(mode="json")

    @override
    def check(self, item: Item) -> None:
        agent = _agent(item)
        check_storable([agent.name, agent.place])
        for number, version in enumerate(agent.versions, start=1):
            check_storable(version_row(version.numbered(number)))

    @override
    async def load(self, items: Sequence[Item]) -> Tally:
        tally = Tally()
        for agent in map(_agent, items):
            await self._load(agent, tally)
        return tally

    async def _load(self, agent: _Agent, tally: Tally) -> None:
        here = await self._registry.history(agent.name)
        pairs = zip(here, agent.versions, strict=False)
        differing = [old.version for old, new in pairs if old.definition.digest != new.definition.digest]
        if differing:
            tally.kept.append(f"agent {agent.name!r}: version {differing[0]} differs from the registered one")
            return
        for number in range(len(here) + 1, len(agent.versions) + 1):
            await self._write(agent, number)
        if len(here) < len(agent.versions):
            tally.written += 1
        else:
            tally.same += 1

    async def _write(self, agent: _Agent, number: int) -> None:
        """Adds the next version; fails with a write conflict if the agent is registered at the same time."""
        head, version = head_id(agent.name), agent.versions[number - 1].numbered(number)
        [parts] = await self._database.run(STAMP, head=head, places=PLACES)
        stamp = Stamp(*parts)
        place, is_new = _place(agent, stamp, first=number == 1)
        digest, current = version.definition.digest, version_id(agent.name, number)
        await self._database.run(
            REGISTER,
            head=head,
            current=current,
            places=PLACES,
            expected=[number - 1 or None, *stamp.parts[1:]],
            version=version_row(version),
            place={"given": place} if is_new else None,
            row={"name": agent.name, "version": number, "digest": digest, "current": current, "place": place},
        )


def _place(agent: _Agent, stamp: Stamp, *, first: bool) -> tuple[int | None, bool]:
    """Returns the agent's position in the list, and whether the position is new.

    It is the position in the file if that follows all existing agents, so that an empty registry gets the exported
    order and numbers; otherwise it is the end of the list.
    """
    if not first or agent.place is None:
        return stamp.place, False
    return max(agent.place, (stamp.given or 0) + 1), True


def _agent(item: Item) -> _Agent:
    agent = _Agent.model_validate(item, strict=False)
    if not agent.versions:
        raise ValueError(f"agent {agent.name!r} has no versions")
    if agent.place is not None and not 1 <= agent.place <= MAX_PLACE:
        raise ValueError(f"agent {agent.name!r} has place {agent.place}; places are 1 to {MAX_PLACE}")
    if foreign := [version for version in agent.versions if version.definition.name != agent.name]:
        raise ValueError(f"agent {agent.name!r} has a version of agent {foreign[0].definition.name!r}")
    return agent
