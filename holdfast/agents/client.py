"""Clients that agents bring for their model calls."""

from __future__ import annotations

from typing import Any, TypeGuard
from urllib.parse import urlsplit

from holdfast.bounds import MAX_NAME
from holdfast.errors import AgentDefinitionError

PACKAGE = "openai"


def client_host(agent: str, client: Any) -> str | None:
    """Returns the host that a client sends requests to; `None` without a client.

    Args:
        agent: name of the agent, for messages.
        client: as the agent was defined with it.

    Raises:
        AgentDefinitionError: it is not a client of the `openai` package.
    """
    if client is None:
        return None
    if not _is_client(client):
        raise AgentDefinitionError(
            f"agent {agent!r}: client={client!r:.80} is not a client of the package openai: "
            "pass an instance of AsyncOpenAI or OpenAI"
        )
    return urlsplit(str(client.base_url)).netloc.rpartition("@")[2][:MAX_NAME] or "unknown"


def _is_client(client: object) -> TypeGuard[Any]:
    if isinstance(client, type):
        return False
    kinds = {(kind.__module__.partition(".")[0], kind.__name__) for kind in type(client).__mro__}
    return bool(kinds & {(PACKAGE, "AsyncOpenAI"), (PACKAGE, "OpenAI")})
