"""The rows of a registered agent."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError
from surrealdb import RecordID

from holdfast.definition import AgentDefinition
from holdfast.errors import AgentDefinitionError
from holdfast.ports.registry import AgentVersion
from holdfast.rejection import place_of
from holdfast.types import model_names

PLACES = RecordID("agent_place", "last")


@dataclass(frozen=True)
class Stamp:
    """The state that a write of an agent is based on; the write conflicts if it has changed."""

    version: int | None
    """The newest version; `None` if the name was never registered."""
    digest: str | None
    place: int | None
    """Position in the list; `None` if the agent is not listed."""
    given: int | None
    """The last position that any agent was assigned; `None` if there is none."""

    @property
    def parts(self) -> list[Any]:
        """The values as the database compares them."""
        return [self.version, self.digest, self.place, self.given]


def head_id(name: str) -> RecordID:
    """Returns the id of a name's row."""
    return RecordID("agent_head", name)


def version_id(name: str, version: int) -> RecordID:
    """Returns the id of a version's row."""
    return RecordID("agent", [name, version])


def version_row(version: AgentVersion) -> dict[str, Any]:
    """Returns the row of a version; `text` has the exact definition, other columns may be normalized."""
    definition = version.definition
    row = definition.model_dump(include={"name", "version", "model", "tools", "max_turns", "timeout"})
    return row | {
        "description": _without_nul(definition.description),
        "system_prompt": _without_nul(definition.system_prompt),
        "model": _without_nul(", ".join(model_names(definition.model))) or None,
        "tools": [_without_nul(tool) for tool in definition.tools],
        "max_turns": min(definition.max_turns, 2**63 - 1),
        "digest": definition.digest,
        "origin": version.origin,
        "registered_at": version.registered_at.astimezone(UTC),
        "text": definition.text,
    }


def version_from(row: dict[str, Any]) -> AgentVersion:
    """Parses a version from the row that `version_row` returned.

    Raises:
        AgentDefinitionError: a newer version of Holdfast wrote it, with fields that this version does not know.
    """
    fields = json.loads(row["text"])
    try:
        definition = AgentDefinition.model_validate({**fields, "version": row["version"]})
    except ValidationError as error:
        where = ", ".join(place_of(item) for item in error.errors())
        raise AgentDefinitionError(
            f"agent {fields.get('name')!r}, version {row['version']}, was registered by a newer version of Holdfast: "
            f"this version does not understand {where}. Update Holdfast"
        ) from None
    registered_at: datetime = row["registered_at"]
    return AgentVersion(definition=definition, registered_at=registered_at.astimezone(UTC), origin=row.get("origin"))


def _without_nul(text: str) -> str:
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
