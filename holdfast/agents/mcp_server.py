"""MCP servers as developers name them: how they are started or reached, and how far they are trusted."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from holdfast.bounds import MAX_SECONDS
from holdfast.errors import AgentDefinitionError, MCPServerUnavailable
from holdfast.names import MCP_PREFIX, MCP_SEPARATOR
from holdfast.types import ToolSpec

Protocol = Literal["auto", "legacy"]
OnUnknown = Literal["tell", "ask"]

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]|_(?!_))*")
_MAX_NAME = 32  # characters: half of what providers accept as the name of a tool
_VARIABLE = re.compile(r"\$\{(\w+)\}")


@dataclass(frozen=True, kw_only=True, repr=False)
class _Options:
    command: str | None = None
    args: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    cwd: str | None = None
    url: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    protocol: Protocol = "auto"
    start_timeout: float = 30.0


class MCPServer:
    """An MCP server whose tools an agent may call, as `<name>__<tool>`.

    It is started as a process, or reached over HTTP, by the process that has the agent's code: a worker, or the program
    that runs the agent. Nothing of how it is reached is part of a run. In `args`, `env`, `url` and `headers`,
    `${NAME}` stands for a variable of that process's environment.

    Two servers with the same options are the same connection.

    Attributes:
        name: part of the names of its tools.
        tools: the tools that the model may call, as the server names them; `None` means all.
        timeout: maximum seconds of a call.
        trust_annotations: whether tools that the server calls read-only or idempotent are called again after a crash.
        on_unknown: what happens if a call is lost that must not run twice, as for `tool`.
    """

    def __init__(
        self,
        name: str,
        *,
        command: str | None = None,
        args: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        cwd: str | Path | None = None,
        url: str | None = None,
        headers: Mapping[str, str] | None = None,
        tools: Sequence[str] | None = None,
        timeout: float = 60.0,
        start_timeout: float = 30.0,
        trust_annotations: bool = False,
        on_unknown: OnUnknown = "tell",
        protocol: Protocol = "auto",
    ) -> None:
        """Names a server. Nothing is started yet.

        Args:
            name: 1 to 32 letters, digits, `-` and single `_`.
            command: the program of a server that is a process and speaks over its standard input and output.
            args: its arguments.
            env: its variables, beside HOME, LOGNAME, PATH, SHELL, TERM and USER; it inherits no others.
            cwd: its working directory; `None` means that of this process.
            url: the address of a server that speaks streamable HTTP, instead of `command`.
            headers: sent with each request to it, such as `{"Authorization": "Bearer ${DOCS_TOKEN}"}`.
            tools: the tools that the model may call, as the server names them; `None` means all.
            timeout: maximum seconds of a call, without the time that a person takes to answer.
            start_timeout: maximum seconds until it answers the first request.
            trust_annotations: whether to believe the server which tools are read-only or idempotent, so that their
                calls are repeated after a crash. Without it, no call is repeated.
            on_unknown: what happens if a call is lost that must not run twice: "tell" tells the model, "ask" asks a
                person.
            protocol: "auto" negotiates; "legacy" uses the protocol of 2025, although the server also knows the newer
                one, as its tools ask questions in the middle of a call.

        Raises:
            AgentDefinitionError: an option is not accepted.
        """
        if not isinstance(name, str) or len(name) > _MAX_NAME or not _NAME.fullmatch(name):
            raise AgentDefinitionError(
                f"MCP server {name!r:.80}: a name has 1 to {_MAX_NAME} letters, digits, '-' and single '_', the first "
                "one a letter or a digit"
            )
        self.name = name
        self.tools = None if tools is None else _texts(self.name, "tools", tools)
        self.timeout = _seconds(name, "timeout", timeout)
        self.trust_annotations = trust_annotations
        self.on_unknown = _one_of(name, "on_unknown", on_unknown, get_args(OnUnknown))
        self._options = _Options(
            command=command if command is None else _text(name, "command", command),
            args=_texts(name, "args", args),
            env=_pairs(name, "env", env),
            cwd=None if cwd is None else str(cwd),
            url=url if url is None else _address(name, url),
            headers=_pairs(name, "headers", headers),
            protocol=_one_of(name, "protocol", protocol, get_args(Protocol)),
            start_timeout=_seconds(name, "start_timeout", start_timeout),
        )
        self._check_transport()

    @property
    def key(self) -> object:
        """What makes servers the same: how they are started or reached."""
        return self.name, self._options

    def connection(self) -> Connection:
        """Returns how the server is started or reached, with the values of variables.

        Raises:
            MCPServerUnavailable: a variable is not set.
        """
        options = self._options
        return Connection(
            command=options.command,
            args=[self._filled(arg) for arg in options.args],
            env={name: self._filled(value) for name, value in options.env},
            cwd=options.cwd,
            url=None if options.url is None else self._filled(options.url),
            headers={name: self._filled(value) for name, value in options.headers},
            protocol=options.protocol,
            start_timeout=options.start_timeout,
        )

    def __repr__(self) -> str:
        options = self._options
        place = options.command if options.url is None else (urlsplit(options.url).hostname or "")
        return f"<MCPServer {self.name!r}: {place}>"

    def _check_transport(self) -> None:
        options = self._options
        if (options.command is None) == (options.url is None):
            raise AgentDefinitionError(f"MCP server {self.name!r}: pass either `command` or `url`")
        others = (
            {"headers": options.headers}
            if options.url is None
            else {"args": options.args, "env": options.env, "cwd": options.cwd}
        )
        if wrong := [option for option, value in others.items() if value]:
            kind = "a command" if options.url is None else "a URL"
            raise AgentDefinitionError(f"MCP server {self.name!r}: `{wrong[0]}` has no meaning for {kind}")

    def _filled(self, text: str) -> str:
        def value(match: re.Match[str]) -> str:
            found = os.environ.get(match[1])
            if found is None:
                raise MCPServerUnavailable(
                    f"MCP server {self.name!r} needs the variable {match[1]}, which is not set in this process"
                )
            return found

        return _VARIABLE.sub(value, text)


@dataclass(frozen=True, kw_only=True)
class Connection:
    """How a server is started or reached; its values may be secret."""

    command: str | None
    args: list[str] = field(repr=False)
    env: dict[str, str] = field(repr=False)
    cwd: str | None
    url: str | None = field(repr=False)
    headers: dict[str, str] = field(repr=False)
    protocol: Protocol
    start_timeout: float


def checked_servers(agent: str, servers: object) -> tuple[MCPServer, ...]:
    """Returns the servers of an agent.

    Raises:
        AgentDefinitionError: one is not a server, or two have the same name.
    """
    if not isinstance(servers, list | tuple):
        raise AgentDefinitionError(f"agent {agent!r}: mcp must be a list of MCPServer, not {servers!r:.80}")
    for place, server in enumerate(servers):
        if not isinstance(server, MCPServer):
            raise AgentDefinitionError(f"agent {agent!r}: mcp[{place}]={server!r:.80} is not an MCPServer")
        if server.name in [other.name for other in servers[:place]]:
            raise AgentDefinitionError(f"agent {agent!r} has two MCP servers named {server.name!r}; rename one of them")
    return tuple(servers)


def is_server_tool(tool: ToolSpec) -> bool:
    """Whether a tool is one of an MCP server."""
    return tool.activity.startswith(MCP_PREFIX)


def server_of(tool: str) -> str:
    """Returns the name of the server in the name of a tool; "" if it is the name of another tool."""
    server, separator, _ = tool.partition(MCP_SEPARATOR)
    return server if separator else ""


def _text(name: str, option: str, value: object) -> str:
    if not isinstance(value, str) or not value or "\0" in value:
        raise AgentDefinitionError(f"MCP server {name!r}: {option} must be text, not {type(value).__name__}")
    return value


def _texts(name: str, option: str, values: object) -> tuple[str, ...]:
    if not isinstance(values, list | tuple) or not all(isinstance(value, str) for value in values):
        raise AgentDefinitionError(f"MCP server {name!r}: {option} must be a list of texts")
    return tuple(values)


def _pairs(name: str, option: str, values: Any) -> tuple[tuple[str, str], ...]:
    if values is None:
        return ()
    if not isinstance(values, Mapping) or not all(isinstance(text, str) for pair in values.items() for text in pair):
        raise AgentDefinitionError(f"MCP server {name!r}: {option} must map texts to texts")
    return tuple(values.items())


def _seconds(name: str, option: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= MAX_SECONDS:
        raise AgentDefinitionError(
            f"MCP server {name!r}: {option}={value!r:.80} is not accepted: seconds above 0, up to {MAX_SECONDS:,}, are"
        )
    return float(value)


def _one_of(name: str, option: str, value: Any, accepted: tuple[str, ...]) -> Any:
    if value not in accepted:
        known = " and ".join(f'"{each}"' for each in accepted)
        raise AgentDefinitionError(f"MCP server {name!r}: {option}={value!r:.80} is not accepted; {known} are")
    return value


def _address(name: str, url: object) -> str:
    text = _text(name, "url", url)
    if not text.startswith("${") and urlsplit(text).scheme not in ("http", "https"):
        raise AgentDefinitionError(f"MCP server {name!r}: the url must begin with http:// or https://")
    return text
