"""Declarative definitions of agents: data only, with tools by name."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field, JsonValue, field_validator

from holdfast.errors import AgentDefinitionError, NotAnAgent
from holdfast.types import Data, Text

MAX_NAME = 1000  # characters
MAX_DEFINITION_BYTES = 512 * 1024
"""Largest definition, in bytes of JSON: it is part of the run's payloads, and Temporal accepts 2 MB per payload."""

_VERSIONED = re.compile(r"(?P<name>.+)@(?P<version>[0-9]{1,9})", re.DOTALL)
_UNSHOWABLE = {"Cc": "a control character", "Cs": "half a surrogate pair"}


def check_name(name: object) -> str:
    """Returns an agent's name if it is valid; letters of any script, symbols and inner spaces are accepted.

    Raises:
        NotAnAgent: it is not text (also a TypeError).
        AgentDefinitionError: it is empty, too long, not printable, or ends like a version (a ValueError).
    """
    if not isinstance(name, str):
        raise NotAnAgent(f"the name of an agent must be text, not {name!r:.80}")
    fault = _fault(name)
    if fault:
        raise AgentDefinitionError(f"agent name {name[:80]!r}: {fault}")
    return name


def _fault(name: str) -> str | None:
    if not name or name != name.strip():
        return "it must not be empty, nor start or end with a space"
    if len(name) > MAX_NAME:
        return f"it has {len(name):,} characters, but at most {MAX_NAME:,} are accepted"
    for sign in name:
        if kind := _UNSHOWABLE.get(unicodedata.category(sign)):
            return f"it contains {kind}, {sign!a}"
    if _VERSIONED.fullmatch(name):
        return "it ends like a version, and NAME@3 refers to version 3 of NAME"
    return None


def split_version(reference: str) -> tuple[str, int | None]:
    """Splits `NAME` or `NAME@3` into the name and the version, which is `None` in `NAME`."""
    match = _VERSIONED.fullmatch(reference)
    return (match["name"], int(match["version"])) if match else (reference, None)


class AgentDefinition(Data):
    """An agent as data, as files and registries store it; any worker that serves its tools can run it."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    name: Annotated[str, AfterValidator(check_name)]
    description: Text = ""
    """What the agent does, for people."""
    system_prompt: Text = ""
    """The system message, first in each request to the model."""
    model: Annotated[Text, Field(min_length=1)] | None = None
    """`None` means the worker's default model."""
    model_settings: dict[str, JsonValue] = {}
    """Further fields of the request to the model, such as `temperature` or `max_tokens`."""
    tools: list[Annotated[str, Field(min_length=1)]] = []
    """Names of tools that the worker serves, such as `read_file`, or `AgentName.method` for a method of an agent."""
    max_turns: int = Field(default=50, ge=1)
    """Maximum number of model calls in a run."""
    timeout: float | None = Field(default=None, gt=0)
    """Maximum seconds of a run; `None` means the worker's AGENT_EXECUTION_TIMEOUT."""
    version: int | None = None
    """Assigned by the registry; `None` means that it is not registered."""

    @field_validator("tools")
    @classmethod
    def _without_repeats(cls, tools: list[str]) -> list[str]:
        for place, tool in enumerate(tools):
            if tool in tools[:place]:
                raise ValueError(f"{tool!r} is named twice")
        return tools

    def content(self) -> dict[str, Any]:
        """Returns everything except the version, as JSON values; equal definitions have equal contents."""
        return self.model_dump(mode="python", exclude={"version"})

    @property
    def text(self) -> str:
        """The content as JSON text in ASCII, which no database alters."""
        return json.dumps(self.content(), separators=(",", ":"))

    @property
    def digest(self) -> str:
        """sha256, hex, of the content."""
        return hashlib.sha256(json.dumps(self.content(), sort_keys=True).encode()).hexdigest()

    def check_size(self) -> None:
        """Checks that the definition fits into a payload.

        Raises:
            AgentDefinitionError: it is too large.
        """
        size = len(self.text)
        if size > MAX_DEFINITION_BYTES:
            raise AgentDefinitionError(
                f"agent {self.name!r}: its definition has {size:,} bytes, "
                f"but at most {MAX_DEFINITION_BYTES:,} are accepted; "
                "move long parts of the prompt to files of the workspace"
            )
