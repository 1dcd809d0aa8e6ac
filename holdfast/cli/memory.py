"""Options of commands on text memory, and what they mean."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from pydantic import JsonValue

from holdfast.definition import check_name
from holdfast.errors import UsageError
from holdfast.ports.retrieval import SHARED_NAMESPACE, agent_namespace
from holdfast.scripted.hashing import HASHING_MODEL

AgentOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="The memory of this agent, rather than the shared one.")
]
NamespaceOption = Annotated[str | None, typer.Option(metavar="NS", help="Another namespace of memories.")]
MetaOption = Annotated[
    list[str] | None,
    typer.Option("--meta", metavar="KEY=VALUE", help="Metadata; VALUE is JSON or else text; repeatable."),
]


def namespace_of(agent: str | None, namespace: str | None) -> str:
    """The namespace that the options name.

    Raises:
        UsageError: they name two.
    """
    if agent is not None and namespace is not None:
        raise UsageError("--agent and --namespace exclude each other")
    if agent is not None:
        check_name(agent)
        return agent_namespace(agent)
    return SHARED_NAMESPACE if namespace is None else namespace


def metadata_of(pairs: list[str] | None) -> dict[str, JsonValue]:
    """The metadata that the options give.

    Raises:
        UsageError: one has no key, or no value.
    """
    metadata: dict[str, JsonValue] = {}
    for pair in pairs or ():
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise UsageError(f"--meta {pair!r} is not accepted: write KEY=VALUE")
        try:
            metadata[key] = json.loads(value)
        except ValueError:
            metadata[key] = value
    return metadata


def embedder_note(embedder: str) -> str:
    """Names the embedding model, and says whether it is the scripted one."""
    scripted = embedder.startswith(HASHING_MODEL)
    return f"embeddings: {embedder}{' (scripted, not a language model)' if scripted else ''}"
