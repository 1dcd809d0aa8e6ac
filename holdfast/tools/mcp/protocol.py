"""Conversions between the MCP SDK's types and Holdfast's."""

from __future__ import annotations

from typing import Any

import mcp_types
from mcp import Client, MCPError

from holdfast.agents.tool import ToolError
from holdfast.elicitation import Elicitation, ServerAnswer, ServerQuestion
from holdfast.tools.mcp.calls import ListedTool
from holdfast.tools.mcp.results import causes

MAX_PAGES = 100  # of the list of tools
MAX_STATE = 64 * 1024  # characters that a server wants to be told again


async def listed(client: Client) -> list[ListedTool]:
    """Returns the tools of a server, from all pages of its list."""
    found: list[ListedTool] = []
    cursor: str | None = None
    for _ in range(MAX_PAGES):
        page = await client.session.list_tools(params=mcp_types.PaginatedRequestParams(cursor=cursor))
        found += map(_as_listed, page.tools)
        cursor = page.next_cursor
        if cursor is None:
            break
    return found


def _as_listed(tool: mcp_types.Tool) -> ListedTool:
    hints = tool.annotations or mcp_types.ToolAnnotations()
    return ListedTool(
        name=tool.name,
        description=tool.description or tool.title or hints.title or "",
        schema=dict(tool.input_schema),
        read_only=hints.read_only_hint is True,
        idempotent=hints.idempotent_hint is True,
        destructive=hints.destructive_hint is True,
    )


def question_of(key: str, params: Any) -> ServerQuestion:
    """Returns what a server asks.

    Args:
        key: by which the server knows the question.
        params: of its request.
    """
    if isinstance(params, mcp_types.ElicitRequestURLParams):
        return ServerQuestion(key=key, message=params.message, url=params.url)
    return ServerQuestion(key=key, message=params.message, form=dict(params.requested_schema))


def asked(server: str, requests: mcp_types.InputRequests, state: str | None, before: Elicitation | None) -> Elicitation:
    """Returns what a server asks before it continues a call.

    Args:
        server: name of the server.
        requests: its requests by their keys.
        state: what it wants to be told again.
        before: what was asked before in the same call.

    Raises:
        ToolError: it asks for something else than a person's answer.
    """
    wrong = [each for each in requests.values() if not isinstance(each, mcp_types.ElicitRequest)]
    if wrong:
        raise ToolError(f"MCP server {server!r} asks for {wrong[0].method}, which is not offered to servers here")
    given = before.answers if before else []
    questions = [question_of(key, request.params) for key, request in requests.items()]
    return Elicitation(server=server, questions=questions, answers=given, earlier=len(given), state=state or "")


def responses_of(elicitation: Elicitation) -> dict[str, Any]:
    """Returns the answers to the newest questions by the keys of these."""
    return {answer.question.key: in_protocol(answer) for answer in elicitation.answers[elicitation.earlier :]}


def in_protocol(answer: ServerAnswer) -> mcp_types.ElicitResult:
    """Returns an answer as a server reads it."""
    return mcp_types.ElicitResult(action=answer.action, content=answer.content)


def checked_state(server: str, state: str | None) -> str | None:
    """Returns what a server wants to be told again.

    Raises:
        ToolError: it is too large to be kept in the run.
    """
    if state is not None and len(state) > MAX_STATE:
        raise ToolError(
            f"MCP server {server!r} wants to be told {len(state):,} characters again with the answer; "
            f"at most {MAX_STATE:,} are kept"
        )
    return state


def reason_of(error: BaseException) -> str:
    """Returns why a server cannot be used, in a sentence."""
    first = next(causes(error))
    if isinstance(first, MCPError) and first.code == mcp_types.CONNECTION_CLOSED:
        return "it ended before it answered"
    if isinstance(first, MCPError):
        return first.message
    return f"{type(first).__name__}: {first}" if str(first) else type(first).__name__
