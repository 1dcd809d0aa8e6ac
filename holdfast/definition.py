"""A declarative agent: all data, its tools by name."""

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
"""Largest definition, in bytes of its JSON: it travels with its run, and Temporal takes 2 MB at once."""

_VERSIONED = re.compile(r"(?P<name>.+)@(?P<version>[0-9]{1,9})", re.DOTALL)
_UNSHOWABLE = {"Cc": "a control character", "Cs": "half a surrogate pair"}


def check_name(name: object) -> str:
    """Gives an agent's name back if it can be one; any script, signs and blanks inside are accepted.

    Raises:
        NotAnAgent: it is not text (also a TypeError).
        AgentDefinitionError: it is empty, too long, or cannot be shown or told from a version (a ValueError).
    """
    if not isinstance(name, str):
        raise NotAnAgent(f"an agent's name is text, not {name!r:.80}")
    fault = _fault(name)
    if fault:
        raise AgentDefinitionError(f"agent name {name[:80]!r}: {fault}")
    return name


def _fault(name: str) -> str | None:
    if not name or name != name.strip():
        return "it must not be empty, nor begin or end with a blank"
    if len(name) > MAX_NAME:
        return f"it has {len(name):,} characters, at most {MAX_NAME:,} are accepted"
    for sign in name:
        if kind := _UNSHOWABLE.get(unicodedata.category(sign)):
            return f"it contains {kind}, {sign!a}"
    if _VERSIONED.fullmatch(name):
        return "it ends like a version: NAME@3 is how version 3 of NAME is asked for"
    return None


def split_version(reference: str) -> tuple[str, int | None]:
    """What `NAME` or `NAME@3` asks for: the name, and the version or None."""
    match = _VERSIONED.fullmatch(reference)
    return (match["name"], int(match["version"])) if match else (reference, None)


class AgentDefinition(Data):
    """An agent as a person writes it down and a registry keeps it; a worker that serves its tools can run it."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    name: Annotated[str, AfterValidator(check_name)]
    description: Text = ""
    """For people: what the agent is good for."""
    system_prompt: Text = ""
    """What the model is told before anything else."""
    model: Annotated[Text, Field(min_length=1)] | None = None
    """None: the worker's default model."""
    model_settings: dict[str, JsonValue] = {}
    """Further fields of the request to the model, such as `temperature` or `max_tokens`."""
    tools: list[Annotated[str, Field(min_length=1)]] = []
    """Names of tools that the worker serves: `read_file`; for a method of an agent `AgentName.method`."""
    max_turns: int = Field(default=50, ge=1)
    """Model calls that a run may make."""
    timeout: float | None = Field(default=None, gt=0)
    """Seconds that a run may take; None: the worker's AGENT_EXECUTION_TIMEOUT."""
    version: int | None = None
    """Given by the registry; None: not registered."""

    @field_validator("tools")
    @classmethod
    def _without_repeats(cls, tools: list[str]) -> list[str]:
        for place, tool in enumerate(tools):
            if tool in tools[:place]:
                raise ValueError(f"{tool!r} is named twice")
        return tools

    def content(self) -> dict[str, Any]:
        """Everything but the version, as JSON values: what makes two definitions the same."""
        return self.model_dump(mode="python", exclude={"version"})

    @property
    def text(self) -> str:
        """The content as exact JSON text, in ASCII: nothing that stores it can change it."""
        return json.dumps(self.content(), separators=(",", ":"))

    @property
    def digest(self) -> str:
        """sha256, hex, of the content."""
        return hashlib.sha256(json.dumps(self.content(), sort_keys=True).encode()).hexdigest()

    def check_size(self) -> None:
        """Makes sure that a run can carry the definition.

        Raises:
            AgentDefinitionError: it is too large.
        """
        size = len(self.text)
        if size > MAX_DEFINITION_BYTES:
            raise AgentDefinitionError(
                f"agent {self.name!r}: the definition has {size:,} bytes, at most {MAX_DEFINITION_BYTES:,} are taken; "
                "move what is long from the prompt to files of the workspace"
            )
