"""MCP servers of openai-agents as those of Holdfast, recognized by their attributes, as tools are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from holdfast.agents.mcp_server import MCPServer
from holdfast.errors import AgentDefinitionError

_KINDS = {"MCPServerStdio": ("command", "args", "env", "cwd"), "MCPServerStreamableHttp": ("url", "headers")}
"""What is needed of the parameters of each kind."""
_OTHERWISE = {"tool_filter": "name the tools in `tools=[...]`", "tool_meta_resolver": "leave it out"}
_MAX_NAME = 32  # characters


def foreign_server(agent: str, thing: Any) -> MCPServer:
    """Returns the server for one of openai-agents.

    Raises:
        AgentDefinitionError: it is of another kind, or has something that Holdfast would not do; the message says what
            to write.
    """
    if isinstance(thing, MCPServer):
        return thing
    kind = type(thing).__name__
    if kind not in _KINDS:
        raise AgentDefinitionError(
            f"agent {agent!r}: {kind} cannot be converted; write mcp=[MCPServer(name, command=...)], or "
            "MCPServer(name, url=...) for streamable HTTP"
        )
    for field, advice in _OTHERWISE.items():
        if getattr(thing, field, None) is not None:
            raise AgentDefinitionError(
                f"agent {agent!r}: its MCP server has {field}, which only openai-agents knows; write "
                f"mcp=[MCPServer(...)] and {advice}"
            )
    params = thing.params
    given = params if isinstance(params, Mapping) else vars(params)
    options = {field: given[field] for field in _KINDS[kind] if given.get(field)}
    return MCPServer(_name(str(getattr(thing, "name", kind))), **options)


def _name(text: str) -> str:
    """Returns the name of a server in the form that is part of the names of tools."""
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")[:_MAX_NAME].rstrip("-") or "server"
