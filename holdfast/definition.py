"""Declarative definitions of agents: data only, with tools by name."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationInfo,
    field_validator,
)

from holdfast.answers import MAX_REPAIRS, OUTPUT_RETRIES
from holdfast.approval import ALL, Required
from holdfast.bounds import Json, Models, Seconds, Text, Turns, Window, name_fault
from holdfast.budgets import Budget, checked_budget, plain_budget
from holdfast.errors import AgentDefinitionError, NotAnAgent
from holdfast.names import MCP_SEPARATOR
from holdfast.types import Data

MAX_DEFINITION_BYTES = 512 * 1024
"""Largest definition, in bytes of JSON: it is part of the run's payloads, and Temporal accepts 2 MB per payload."""

ASK_PREFIX = "ask_"
TRANSFER_PREFIX = "transfer_to_"
MAX_TOOL_NAME = 64  # characters; providers of models accept no more

_VERSIONED = re.compile(r"(?P<name>.+)@(?P<version>[0-9]{1,9})", re.DOTALL)


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
    if fault := name_fault(name):
        return fault
    if _VERSIONED.fullmatch(name):
        return "it ends like a version, and NAME@3 refers to version 3 of NAME"
    return None


def split_version(reference: str) -> tuple[str, int | None]:
    """Splits `NAME` or `NAME@3` into the name and the version, which is `None` in `NAME`."""
    match = _VERSIONED.fullmatch(reference)
    return (match["name"], int(match["version"])) if match else (reference, None)


def ask_tool_name(agent: str) -> str:
    """Returns the name of the tool that asks an agent: `ask_web-researcher`."""
    return _tool_name(ASK_PREFIX, agent)


def transfer_tool_name(agent: str) -> str:
    """Returns the name of the tool that hands the run to an agent: `transfer_to_refunds`."""
    return _tool_name(TRANSFER_PREFIX, agent)


def _tool_name(prefix: str, agent: str) -> str:
    name = prefix + re.sub(r"[^a-zA-Z0-9_-]+", "_", split_version(agent)[0])
    if len(name) > MAX_TOOL_NAME:
        name = f"{name[: MAX_TOOL_NAME - 9]}_{hashlib.sha256(agent.encode()).hexdigest()[:8]}"
    return name


def _is_of(tool: str, servers: Sequence[str]) -> bool:
    """Whether a tool is one of these MCP servers, by its name; which tools they have is known when a run starts."""
    return any(tool.startswith(f"{server}{MCP_SEPARATOR}") for server in servers)


class AgentDefinition(Data):
    """An agent as data, as files and registries store it; any worker that serves its tools can run it."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    name: Annotated[str, AfterValidator(check_name)]
    description: Text = ""
    """What the agent does, for people."""
    system_prompt: Text = ""
    """The system message, first in each request to the model."""
    model: Models | None = None
    """A model, or several of which the first that is available answers; `None` means the worker's default model."""
    model_settings: dict[Text, Json] = {}
    """Further fields of the request to the model, such as `temperature` or `max_tokens`."""
    context_window: Window | None = None
    """The most tokens that the model accepts; `None` means what Holdfast knows of the model."""
    tools: list[Annotated[str, Field(min_length=1)]] = []
    """Names of tools that the worker serves, such as `read_file`, or `AgentName.method` for a method of an agent."""
    agents: Annotated[list[Annotated[str, Field(min_length=1)]], Field(exclude_if=lambda agents: not agents)] = []
    """Names of agents that it may ask, with or without a version, each by a tool `ask_<name>`."""
    handoffs: Annotated[list[Annotated[str, Field(min_length=1)]], Field(exclude_if=lambda others: not others)] = []
    """Names of agents to which it may hand off, likewise, each by a tool `transfer_to_<name>`."""
    mcp: Annotated[list[Annotated[str, Field(min_length=1)]], Field(exclude_if=lambda servers: not servers)] = []
    """Names of MCP servers that the worker knows, whose tools it may call, as `<server>__<tool>`."""
    max_turns: Turns = 50
    """Maximum number of model calls in a run."""
    timeout: Seconds | None = None
    """Maximum seconds of a run; `None` means the worker's AGENT_EXECUTION_TIMEOUT."""
    budget: Annotated[Budget, BeforeValidator(checked_budget), PlainSerializer(plain_budget)] | None = None
    """What a run and its children may use; `None` means no limit."""
    approvals: dict[str, Required] = {}
    """`always` by the name, as in `tools`, of each tool whose calls a person must approve; `all` stands for every tool
    that has effects outside of the run."""
    output_schema: Annotated[dict[Text, Json] | None, Field(exclude_if=lambda schema: schema is None)] = None
    """JSON schema of its answers; `None` means text."""
    output_retries: Annotated[int, Field(ge=0, le=MAX_REPAIRS, exclude_if=lambda times: times == OUTPUT_RETRIES)] = (
        OUTPUT_RETRIES
    )
    """Times that the model may repair an answer that does not match it; then the run fails."""
    version: int | None = None
    """Assigned by the registry; `None` means that it is not registered."""

    @field_validator("tools", "agents", "handoffs", "mcp")
    @classmethod
    def _without_repeats(cls, tools: list[str]) -> list[str]:
        for place, tool in enumerate(tools):
            if tool in tools[:place]:
                raise ValueError(f"{tool!r} is named twice")
        return tools

    @field_validator("approvals")
    @classmethod
    def _of_own_tools(cls, approvals: dict[str, Required], info: ValidationInfo) -> dict[str, Required]:
        others = [*map(ask_tool_name, info.data.get("agents", ()))]
        others += map(transfer_tool_name, info.data.get("handoffs", ()))
        known, servers = {*info.data.get("tools", approvals), *others, ALL}, info.data.get("mcp", ())
        if unknown := sorted(name for name in approvals.keys() - known if not _is_of(name, servers)):
            raise ValueError(f"{unknown[0]!r} is not one of its tools")
        return approvals

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
