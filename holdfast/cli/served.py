"""Advice about an agent that the worker of the local stack does not serve; the client refuses its run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from holdfast.cli.program import command
from holdfast.errors import UnknownAgent

if TYPE_CHECKING:
    from holdfast.stack import WorkerComparison

REGISTRY_SETTINGS = frozenset(
    {"AGENT_REGISTRY", "STATE_PERSISTENCE_BACKEND", "SURREALDB_URL", "SURREALDB_NAMESPACE", "SURREALDB_DATABASE"}
)
"""A worker in which one of these differs has another registry than this command."""


@contextmanager
def advised(compared: WorkerComparison | None, agent: str) -> Iterator[None]:
    """Says in the refusal of an agent how the running worker differs from this command.

    Args:
        compared: the worker of the local stack; `None` if it is not known.
        agent: the name of the agent whose run the block starts.

    Raises:
        UnknownAgent: the block raised it, or the worker has another registry than this command, and the agent is not
            one of the worker's code.
    """
    if compared is None or compared.agents is None:
        yield
        return
    if agent not in compared.agents and REGISTRY_SETTINGS.intersection(compared.differences):
        raise _with_advice(UnknownAgent.named(agent, compared.agents), compared)
    try:
        yield
    except UnknownAgent as error:
        raise _with_advice(error, compared) from error


def _with_advice(error: UnknownAgent, compared: WorkerComparison) -> UnknownAgent:
    differing = sorted(({"HOLDFAST_AGENTS"} | REGISTRY_SETTINGS).intersection(compared.differences))
    if differing:
        what = f"The running worker has another value of {', '.join(differing)} than this command"
    elif compared.changed_files:
        what = "The running worker serves older code than the files"
    else:
        return error
    return UnknownAgent(f"{error}. {what}: `{command('up')}` restarts it")
