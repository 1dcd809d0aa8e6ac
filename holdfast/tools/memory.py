"""Tools for the text memory of agents, which lasts over runs: remember, search."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from holdfast.agents.tool import ToolContext, ToolError, tool
from holdfast.errors import UsageError
from holdfast.ports.retrieval import SHARED_NAMESPACE, MemoryMatch, TextMemoryProtocol, agent_namespace

SHOWN_CHARS = 4_000  # of one memory in a result; the model can ask for more by a narrower query


@tool(idempotent=True, retries=3)
async def remember(text: str, shared: bool = False, *, context: ToolContext) -> str:
    """Store a text so that this run and later ones can find it. Storing the same text twice changes nothing.

    Args:
        text: One fact, decision or note that is understandable by itself.
        shared: Whether all agents can find it, rather than only you.
        context: Context of the call, with the agent whose memory is used.
    """
    memories = _memories(context)
    try:
        identity = await memories.add(SHARED_NAMESPACE if shared else agent_namespace(context.agent), text, wait=True)
    except UsageError as error:
        raise ToolError(str(error)) from None
    return f"remembered as {identity}"


@tool(read_only=True, retries=3)
async def search_memory(query: str, top_k: Annotated[int, Field(ge=1, le=20)] = 5, *, context: ToolContext) -> str:
    """Search your memories of all runs, and those that all agents share; best matches first.

    Args:
        query: Words or a sentence that describe what you are looking for.
        top_k: Maximum number of memories to return.
        context: Context of the call, with the agent whose memory is used.
    """
    try:
        found = await _memories(context).search(
            query, top_k, namespaces=[agent_namespace(context.agent), SHARED_NAMESPACE]
        )
    except UsageError as error:
        raise ToolError(str(error)) from None
    return "\n\n".join(_shown(number, match) for number, match in enumerate(found, start=1)) or "(nothing found)"


def _memories(context: ToolContext) -> TextMemoryProtocol:
    if context.memories is None:
        raise ToolError("this worker has no text memory")
    return context.memories


def _shown(number: int, match: MemoryMatch) -> str:
    left_out = len(match.text) - SHOWN_CHARS
    text = match.text if left_out <= 0 else f"{match.text[:SHOWN_CHARS]}… ({left_out} more characters)"
    return f"{number}. [{match.id}] {text}"
