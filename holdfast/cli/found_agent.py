"""A definition of an agent, and where it was found."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from holdfast.definition import AgentDefinition

if TYPE_CHECKING:
    from holdfast.storage.registry import AgentVersion


@dataclass(frozen=True)
class FoundAgent:
    """An agent of the code, or one version of a registered agent."""

    definition: AgentDefinition
    source: str
    """`code` or `registry`."""
    origin: str | None = None
    """The file or module that defines it."""
    registered_at: datetime | None = None

    @classmethod
    def of(cls, version: AgentVersion) -> FoundAgent:
        """One version of a registered agent."""
        return cls(version.definition, "registry", version.origin, version.registered_at)

    def document(self) -> dict[str, Any]:
        """The agent as plain values."""
        registered_at = self.registered_at.isoformat() if self.registered_at else None
        origin = {"from": self.source, "origin": self.origin, "registered_at": registered_at}
        return {**self.definition.model_dump(mode="json"), **origin}
