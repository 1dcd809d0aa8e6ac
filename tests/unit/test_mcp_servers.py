"""MCP servers as they are named, and the tools that they list."""

from __future__ import annotations

import base64
import subprocess
import sys
from typing import Any

import mcp_types
import pytest

from holdfast import Agent, AgentDefinition, AgentDefinitionError, MCPServer, MCPServerUnavailable
from holdfast.agents.catalog import AgentCatalog
from holdfast.agents.conversion import definition_of
from holdfast.agents.directory import AgentDirectory
from holdfast.agents.mcp_tools import specs_of, tool_name
from holdfast.agents.tool import tool
from holdfast.storage.registry.memory import InMemoryRegistry
from holdfast.tools.mcp.calls import ListedTool
from holdfast.tools.mcp.results import result_of
from tests.support.pictures import png

DOCS = MCPServer("docs", command="docs-server")


def listed(name: str = "search", **fields: Any) -> ListedTool:
    return ListedTool(**{"name": name, "description": "Searches.", "schema": {"type": "object"}, **fields})


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"name": "my docs", "command": "x"}, "a name has 1 to 32 letters"),
        ({"name": "a__b", "command": "x"}, "a name has 1 to 32 letters"),
        ({"name": 5, "command": "x"}, "a name has 1 to 32 letters"),
        ({}, "pass either `command` or `url`"),
        ({"command": "x", "url": "http://x"}, "pass either `command` or `url`"),
        ({"command": ["x"]}, "command must be text, not list"),
        ({"command": "x", "args": "-v"}, "args must be a list of texts"),
        ({"command": "x", "args": [1]}, "args must be a list of texts"),
        ({"command": "x", "env": {"A": 1}}, "env must map texts to texts"),
        ({"command": "x", "headers": {"A": "b"}}, "`headers` has no meaning for a command"),
        ({"url": "http://x", "cwd": "/"}, "`cwd` has no meaning for a URL"),
        ({"url": "ftp://x"}, "must begin with http:// or https://"),
        ({"command": "x", "timeout": 0}, "seconds above 0"),
        ({"command": "x", "start_timeout": "soon"}, "seconds above 0"),
        ({"command": "x", "protocol": "new"}, '"auto" and "legacy" are'),
        ({"command": "x", "on_unknown": "guess"}, '"tell" and "ask" are'),
        ({"command": "x", "tools": "search"}, "tools must be a list of texts"),
    ],
)
def test_a_wrong_option_is_refused(options: dict[str, Any], reason: str) -> None:
    """The message names the server and what is accepted."""
    with pytest.raises(AgentDefinitionError, match=reason):
        MCPServer(**{"name": "docs", **options})


@pytest.mark.parametrize(
    ("servers", "reason"),
    [
        (DOCS, "mcp must be a list of MCPServer"),
        (["docs"], "is not an MCPServer"),
        ([DOCS, MCPServer("docs", url="http://x")], "two MCP servers named 'docs'"),
    ],
)
def test_the_servers_of_an_agent_are_checked(servers: Any, reason: str) -> None:
    """Only servers are accepted, each under a name of its own."""
    with pytest.raises(AgentDefinitionError, match=reason):
        Agent(name="a", mcp=servers)


def test_secrets_are_neither_shown_nor_in_a_definition() -> None:
    """Neither the text of a server nor the data of its agent have what its values may contain."""
    server = MCPServer("docs", command="docs", args=["--key=k3y"], env={"KEY": "k3y"})
    web = MCPServer("web", url="https://user:k3y@example.com/mcp?key=k3y", headers={"Authorization": "k3y"})
    agent = Agent(name="a", mcp=[server, web])
    assert "k3y" not in f"{server!r} {web!r} {agent!r} {server.connection()!r} {web.connection()!r}"
    assert "k3y" not in agent.spec().model_dump_json()
    assert repr(web) == "<MCPServer 'web': example.com>"


def test_variables_are_read_when_a_server_is_connected(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that is not set is named."""
    server = MCPServer("docs", url="https://example.com/${PLACE}", headers={"Authorization": "Bearer ${DOCS_TOKEN}"})
    monkeypatch.setenv("PLACE", "mcp")
    with pytest.raises(MCPServerUnavailable, match="'docs' needs the variable DOCS_TOKEN, which is not set"):
        server.connection()
    monkeypatch.setenv("DOCS_TOKEN", "t0ken")
    made = server.connection()
    assert (made.url, made.headers) == ("https://example.com/mcp", {"Authorization": "Bearer t0ken"})


def test_names_are_those_that_providers_accept() -> None:
    """A plain name stays as it is; any other one is changed, and two that would be the same stay different."""
    assert tool_name("docs", "search") == "docs__search"
    changed = {tool_name("docs", name) for name in ("a.b", "a/b", "a b", "ä", "x" * 80, "x" * 81)}
    assert len(changed) == 6
    assert all(len(name) <= 64 and name.isascii() for name in changed)


def test_only_trusted_hints_count() -> None:
    """Without `trust_annotations` no call may be repeated; a claim protects it."""
    tools = [listed("a", read_only=True, destructive=True), listed("b", idempotent=True), listed("c", destructive=True)]
    assert [spec.repeatable for spec in specs_of(DOCS, tools)] == [False, False, False]
    assert all(spec.claims for spec in specs_of(DOCS, tools))
    trusted = specs_of(MCPServer("docs", command="x", trust_annotations=True, on_unknown="ask", timeout=5), tools)
    assert [spec.repeatable for spec in trusted] == [True, True, False]
    assert [(spec.destructive, spec.on_unknown) for spec in trusted] == [
        (False, "tell"),
        (False, "tell"),
        (True, "ask"),
    ]
    assert {spec.timeout for spec in trusted} == {5}


BAD = [
    listed("list", schema={"type": "array"}),
    listed("large", schema={"type": "object", "properties": {"a": {"description": "x" * 70_000}}}),
    listed("search"),
]


def test_what_no_model_can_call_is_left_out() -> None:
    """It is refused if it was chosen by its name."""
    assert [spec.name for spec in specs_of(DOCS, [listed("search"), *BAD])] == ["docs__search"]
    with pytest.raises(AgentDefinitionError, match="tool 'list': its arguments are not an object"):
        specs_of(MCPServer("docs", command="x", tools=["list"]), BAD)
    with pytest.raises(AgentDefinitionError, match="has no tool 'find'; its tools are: search"):
        specs_of(MCPServer("docs", command="x", tools=["find"]), [listed("search")])


def test_a_definition_names_servers() -> None:
    """What is registered has names only; approvals of their tools are kept until the tools are known."""
    agent = Agent(name="a", mcp=[DOCS], approvals={"docs__search": "always"})
    definition = definition_of(agent)
    assert definition.mcp == ["docs"]
    assert definition.approvals == {"docs__search": "always"}
    assert definition_of(agent.spec()) == definition
    assert "mcp" not in AgentDefinition(name="b").content()
    with pytest.raises(ValueError, match="'web__search' is not one of its tools"):
        AgentDefinition(name="b", mcp=["docs"], approvals={"web__search": "always"})
    with pytest.raises(AgentDefinitionError, match="requires approval for 'web__search'"):
        Agent(name="b", mcp=[DOCS], approvals={"web__search": "always"})


async def test_an_unknown_server_is_named() -> None:
    """A worker that does not have the server says where to define it."""
    with pytest.raises(MCPServerUnavailable, match="'b' names the MCP server 'docs', which this process does not have"):
        await AgentDirectory(AgentCatalog(), InMemoryRegistry()).find(AgentDefinition(name="b", mcp=["docs"]))


def test_a_tool_is_found_by_its_name() -> None:
    """The servers of the code are known by the agent, those of modules by every agent."""

    @tool
    def docs() -> str:
        """Has the name of a server."""
        return ""

    catalog = AgentCatalog([Agent(name="a", mcp=[DOCS], tools=[docs])], servers=[MCPServer("web", url="http://x")])
    found = [
        catalog.tool_of(*names) for names in (("a", "docs__any"), ("b", "web__any"), ("b", "docs__any"), ("a", "docs"))
    ]
    assert [each.spec.name if each else None for each in found] == ["docs__any", "web__any", None, "docs"]


class Params:
    """The parameters of openai-agents' server over standard streams."""

    command, args, env, cwd = "docs-server", ["-v"], None, None


class MCPServerStdio:
    """A server of openai-agents."""

    name, tool_filter = "stdio: docs-server", None

    def __init__(self) -> None:
        self.params = vars_of(Params)


class MCPServerStreamableHttp:
    """Another one."""

    name, tool_filter = "docs", None
    params = {"url": "http://localhost/mcp", "headers": {"A": "b"}, "timeout": 5}


class MCPServerSse:
    """One of a kind that is not supported."""

    name = "docs"


def vars_of(cls: type) -> Any:
    """Returns an object with the attributes of a class, as a model has them."""
    made = cls()
    vars(made).update({name: value for name, value in vars(cls).items() if not name.startswith("_")})
    return made


class Theirs:
    """An agent of openai-agents."""

    name, instructions = "clerk", "You sell ropes."

    def __init__(self, *servers: object) -> None:
        self.mcp_servers = list(servers)


def test_servers_of_openai_agents_are_converted() -> None:
    """What cannot be converted is refused, with what to write."""
    clerk = Agent.of(Theirs(MCPServerStdio(), MCPServerStreamableHttp()))
    assert [repr(server) for server in clerk.mcp] == [
        "<MCPServer 'stdio-docs-server': docs-server>",
        "<MCPServer 'docs': localhost>",
    ]
    with pytest.raises(AgentDefinitionError, match=r"MCPServerSse cannot be converted; write mcp=\[MCPServer"):
        Agent.of(Theirs(MCPServerSse()))
    with pytest.raises(AgentDefinitionError, match="define the servers in a module of HOLDFAST_AGENTS"):
        definition_of(Theirs(MCPServerStdio()))
    filtered = MCPServerStdio()
    vars(filtered)["tool_filter"] = {"allowed": ["search"]}
    with pytest.raises(AgentDefinitionError, match=r"has tool_filter.*name the tools in `tools=\[...\]`"):
        Agent.of(Theirs(filtered))


def test_the_sdk_is_loaded_when_a_server_is_connected() -> None:
    """Without it, the error names the extra."""
    script = """
import asyncio, sys
sys.modules["mcp"] = None
from holdfast import Agent, MCPServer
from holdfast.tools.mcp.servers import servers
assert "mcp_types" not in sys.modules
try:
    asyncio.run(servers().tools(MCPServer("docs", command="x")))
except Exception as error:
    print(type(error).__name__, error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("MCPServerUnavailable MCP server 'docs' needs the MCP SDK")
    assert "pip install 'holdfast-agents[mcp]'" in done.stdout


def test_images_of_servers_are_shown_if_models_accept_them() -> None:
    """A PNG is passed on with its content; what only claims to be one, and other types, are named."""
    data = base64.b64encode(png()).decode()
    parts = [
        mcp_types.ImageContent(data=data, mime_type="image/png"),
        mcp_types.ImageContent(data="aGVsbG8=", mime_type="image/png"),
        mcp_types.AudioContent(data="aGVsbG8=", mime_type="audio/ogg"),
    ]
    result = result_of(mcp_types.CallToolResult(content=parts))
    assert [(each.media_type, each.data) for each in result.attachments] == [("image/png", data)]
    assert result.content.count("it cannot be shown here") == 2
    failed = result_of(mcp_types.CallToolResult(content=parts, is_error=True))
    assert failed.attachments == []
