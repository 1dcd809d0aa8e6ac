"""Calls of tools without a run: what a `ToolRun` workflow takes."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from holdfast.bounds import MAX_NAME, MAX_PATH, Json, Name, Text
from holdfast.data import Tolerant
from holdfast.definition import AgentDefinition
from holdfast.run_context import RunContext
from holdfast.types import AgentSpec


class ToolRunRequest(Tolerant):
    """The input of a `ToolRun` workflow."""

    agent: Annotated[Name | AgentDefinition | AgentSpec, Field(union_mode="left_to_right")]
    """The agent whose tool it is, as in `RunOptions`."""
    tool: Annotated[Text, Field(min_length=1, max_length=MAX_NAME)]
    arguments: dict[Text, Json] = {}
    approve: bool = False
    """Whether the person who makes the call approves it, if the tool needs that."""
    workspace: Annotated[Text, Field(max_length=MAX_PATH)] | None = None
    """As in `RunOptions`."""
    context: RunContext | None = None
    """As in `RunRequest`."""
