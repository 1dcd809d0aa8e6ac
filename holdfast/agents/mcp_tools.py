"""Tools of MCP servers: their specifications for a run, and the tools that call them."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from typing_extensions import override

from holdfast._util.logger import get_logger
from holdfast.agents.approvals import tightened
from holdfast.agents.foreign_tools import ForeignArguments
from holdfast.agents.mcp_server import MCPServer
from holdfast.agents.tool import Tool, ToolContext, ToolError
from holdfast.definition import MAX_TOOL_NAME
from holdfast.errors import AgentDefinitionError, MCPServerUnavailable, UsageError
from holdfast.names import MCP_PREFIX, MCP_SEPARATOR
from holdfast.rejection import reason_of
from holdfast.server_tools import ServerTools
from holdfast.tools.mcp.calls import ListedTool, ServerCall
from holdfast.tools.mcp.servers import servers
from holdfast.types import AgentSpec, ToolResult, ToolSpec

log = get_logger(__name__)

MAX_SCHEMA_BYTES = 64 * 1024
"""Largest JSON schema of a tool's arguments: it is part of each request to the model."""
CONTEXT = " context"  # passes the context of a call among its arguments, none of which begins with a space
DIGEST = 8  # characters that tell names apart which had to be changed

FindServer = Callable[[str], MCPServer | None]


def tool_name(server: str, tool: str) -> str:
    """Returns the name by which the model knows a tool: `docs__search`; one that providers accept, for any tool."""
    own = re.sub(r"[^a-zA-Z0-9_-]", "_", tool)
    name = f"{server}{MCP_SEPARATOR}{own}"
    if own == tool and len(name) <= MAX_TOOL_NAME:
        return name
    digest = hashlib.sha256(tool.encode(errors="surrogatepass")).hexdigest()[:DIGEST]
    return f"{name[: MAX_TOOL_NAME - DIGEST - 1]}_{digest}"


class ServerArguments(ForeignArguments):
    """The arguments of a tool of a server, which checks them itself."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        super().__init__(schema)
        self.injected = (CONTEXT,)

    @override
    def parse(self, text: str) -> dict[str, Any]:
        values: dict[str, Any] = super().parse(text)["values"]
        return values


class ServerTool(Tool):
    """A tool of a server, which does not know the workspace of the run."""

    @property
    @override
    def knows_context(self) -> bool:
        return False


async def with_server_tools(
    spec: AgentSpec, find: FindServer, *, queue: str | None = None, timeout: float | None = None
) -> AgentSpec:
    """Returns an agent with the tools that its MCP servers list now.

    Args:
        spec: the agent.
        find: returns a server by its name.
        queue: the task queue of the process that calls the tools; `None` means that of the run.
        timeout: maximum seconds for a list; `None` means those of the server.

    Raises:
        AgentDefinitionError: a server has no such tool as is named.
        MCPServerUnavailable: a server is unknown here, or cannot be started or reached.
    """
    if not spec.mcp:
        return spec
    found = await asyncio.gather(*(_read(spec.name, each, find, timeout) for each in spec.mcp))
    tools = [tool.model_copy(update={"task_queue": queue}) if queue else tool for tools in found for tool in tools]
    return spec.model_copy(update={"tools": [*spec.tools, *tools], "mcp": []})


def mcp_tool(server: MCPServer, name: str) -> Tool:
    """Returns the tool that calls a tool of a server.

    Args:
        server: the server.
        name: of the tool, as the model knows it.
    """

    async def call(**arguments: Any) -> ToolResult:
        context: ToolContext = arguments.pop(CONTEXT)
        wanted = ServerCall(
            tool=lambda listed: tool_name(server.name, listed.name) == name,
            name=name,
            arguments=arguments,
            key=context.idempotency_key,
            run_id=context.run_id,
            elicitation=context.elicitation,
            report=context.progress,
        )
        try:
            return await servers().call(server, wanted)
        except MCPServerUnavailable as error:
            raise ToolError(f"not called: {error}") from error

    call.__name__ = call.__qualname__ = name
    call.__module__ = "holdfast.tools.mcp"  # it runs apart from the user's tools
    spec = ToolSpec(
        name=name, activity=f"{MCP_PREFIX}{name}", timeout=server.timeout, claims=True, on_unknown=server.on_unknown
    )
    return ServerTool(call, spec, ServerArguments({"type": "object"}))


async def _read(agent: str, wanted: ServerTools, find: FindServer, timeout: float | None) -> list[ToolSpec]:
    server = find(wanted.server)
    if server is None:
        raise MCPServerUnavailable(
            f"agent {agent!r} names the MCP server {wanted.server!r}, which this process does not have: define it with "
            "MCPServer at the top level of a module that HOLDFAST_AGENTS names"
        )
    try:
        async with asyncio.timeout(timeout):
            listed = await servers().tools(server)
    except TimeoutError:
        raise MCPServerUnavailable(f"MCP server {server.name!r} has not answered within {timeout:g} s") from None
    found = specs_of(server, listed)
    try:
        return tightened(found, wanted.approve, f"agent {agent!r}")
    except UsageError as error:
        raise AgentDefinitionError(str(error)) from None


def specs_of(server: MCPServer, listed: Sequence[ListedTool]) -> list[ToolSpec]:
    """Returns the specifications of the tools that a server lists; one that no model can call is left out, and logged.

    Raises:
        AgentDefinitionError: the server does not have a tool that is chosen by its name, or it cannot be called.
    """
    if server.tools is not None and (missing := sorted({*server.tools} - {each.name for each in listed})):
        known = ", ".join(each.name for each in listed) or "none"
        raise AgentDefinitionError(f"MCP server {server.name!r} has no tool {missing[0]!r}; its tools are: {known}")
    found: dict[str, ToolSpec] = {}
    for each in listed:
        if server.tools is not None and each.name not in server.tools:
            continue
        try:
            spec = _spec(server, each)
            if spec.name in found:
                raise ValueError("the server lists it twice")
        except ValueError as error:
            reason = reason_of(error.errors()[0]) if isinstance(error, ValidationError) else str(error)
            if server.tools is not None:
                raise AgentDefinitionError(f"MCP server {server.name!r}: tool {each.name!r:.80}: {reason}") from error
            log.warning("a tool of an MCP server is left out", server=server.name, tool=each.name, reason=reason)
        else:
            found[spec.name] = spec
    return list(found.values())


def _spec(server: MCPServer, tool: ListedTool) -> ToolSpec:
    """Returns the specification of a tool.

    Raises:
        ValueError: no model can call it; the message says why.
    """
    schema = {"type": "object", "properties": {}} | {
        key: value for key, value in tool.schema.items() if key != "$schema"
    }
    if schema["type"] != "object" or not isinstance(schema["properties"], dict):
        raise ValueError("its arguments are not an object with properties")
    if (size := len(json.dumps(schema).encode())) > MAX_SCHEMA_BYTES:
        raise ValueError(f"the schema of its arguments has {size:,} bytes; at most {MAX_SCHEMA_BYTES:,} are accepted")
    trusted = server.trust_annotations
    read_only = trusted and tool.read_only
    name = tool_name(server.name, tool.name)
    spec = ToolSpec(
        name=name,
        description=tool.description,
        parameters=schema,
        activity=f"{MCP_PREFIX}{name}",
        read_only=read_only,
        idempotent=trusted and tool.idempotent,
        destructive=trusted and tool.destructive and not read_only,
        timeout=server.timeout,
    )
    if not spec.repeatable:
        spec.claims = True
        spec.on_unknown = server.on_unknown
    return spec
