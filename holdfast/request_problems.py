"""Problems of a request for a run, in words for the person who wrote it."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from holdfast.definition import AgentDefinition
from holdfast.rejection import reason_of
from holdfast.types import AgentSpec


def request_problems(error: ValidationError) -> list[tuple[str, str, Any]]:
    """Returns what is wrong with a RunRequest: field, reason and value, of the form of `agent` that was meant."""
    items = error.errors()
    given = next(
        (item["input"] for item in items if item["loc"][:1] == ("agent",) and "str" in str(item["loc"][1:2])), None
    )
    tools = given.get("tools") if isinstance(given, dict) else None
    is_named = isinstance(tools, list) and any(isinstance(tool, str) for tool in tools)
    meant = "str" if not isinstance(given, dict) else AgentDefinition.__name__ if is_named else AgentSpec.__name__
    found = []
    for item in items:
        place = item["loc"]
        if place[:1] == ("agent",) and len(place) > 1:
            if meant not in str(place[1]):
                continue
            place = place[:1] + place[2:]
        found.append((".".join(str(part) for part in place), reason_of(item), item["input"]))
    return found
