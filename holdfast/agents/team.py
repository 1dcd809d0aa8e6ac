"""Teams: the agents of this process that handoffs reach from an agent, also in circles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol, TypeVar

from holdfast.agents.code_place import peer
from holdfast.errors import AgentDefinitionError
from holdfast.types import AgentSpec

_defining: ContextVar[tuple[int, ...]] = ContextVar("defining", default=())


class Member(Protocol):
    """An agent of this process."""

    name: str
    code_queue: str
    handoffs: Sequence[Any]


M = TypeVar("M", bound=Member)


def members(agent: M) -> dict[str, M | AgentSpec]:
    """Returns the agents that handoffs reach from an agent, by name, itself first.

    A name may be that of another agent of the same file. One that is not known here is left out.

    Args:
        agent: the agent. Its `handoffs` are agents, definitions, and names.

    Raises:
        AgentDefinitionError: two of them have the same name.
    """
    found: dict[str, M | AgentSpec] = {agent.name: agent}
    left: list[M | AgentSpec] = [agent]
    named: list[tuple[M | AgentSpec, str]] = []
    while left or named:
        if not left:
            of, name = named.pop(0)
            if name not in found and not isinstance(of, AgentSpec) and (near := peer(of, name)):
                found[name] = near
                left.append(near)
            continue
        each = left.pop(0)
        for other in each.handoffs:
            if isinstance(other, str):
                named.append((each, other))
            elif other.name not in found:
                found[other.name] = other
                left.append(other)
            elif found[other.name] is not other:
                raise AgentDefinitionError(
                    f"two agents named {other.name!r} can be reached by handoffs from agent {agent.name!r}: rename one"
                )
    return found


def team_of(agent: M, found: dict[str, M | AgentSpec], define: Any) -> dict[str, AgentSpec]:
    """Returns the definitions of a team, by name, without that of the agent itself.

    Args:
        agent: the agent that the run begins with.
        found: see `members`.
        define: returns the definition of a member of this process, without its team.
    """
    team: dict[str, AgentSpec] = {}
    for name, member in found.items():
        if member is agent:
            continue
        if isinstance(member, AgentSpec):
            team |= {other: spec for other, spec in member.team.items() if other not in found}
            team[name] = member.model_copy(update={"team": {}})
        else:
            team[name] = define(member)
    return team


def checked_handoffs(agent: str, handoffs: Sequence[Any], kind: type) -> list[Any]:
    """Returns the agents to which an agent may hand off.

    Raises:
        AgentDefinitionError: they are not agents, one is named twice, or it is the agent itself.
    """
    if not isinstance(handoffs, list | tuple):
        raise AgentDefinitionError(f"agent {agent!r}: handoffs must be a list of agents, not {handoffs!r:.80}")
    names: list[str] = []
    for other in handoffs:
        if not isinstance(other, (kind, AgentSpec, str)) or not other:
            raise AgentDefinitionError(
                f"agent {agent!r}: {other!r:.80} cannot take over; handoffs=[...] takes instances of Agent and names"
            )
        name = str(getattr(other, "name", other))
        if name in names:
            raise AgentDefinitionError(f"agent {agent!r}: {name!r} is named twice in handoffs")
        if name == agent:
            raise AgentDefinitionError(f"agent {agent!r} cannot hand off to itself")
        names.append(name)
    return list(handoffs)


@contextmanager
def defining(agent: Member) -> Iterator[None]:
    """Guards the definition of an agent against itself: those that it asks are part of it.

    Raises:
        AgentDefinitionError: the agent is asked by one that it asks itself.
    """
    within = _defining.get()
    if id(agent) in within:
        raise AgentDefinitionError(
            f"agent {agent.name!r} is asked by agents that it can reach itself, so that its definition would have no "
            "end; name it in their agents=[...] as text"
        )
    token = _defining.set((*within, id(agent)))
    try:
        yield
    finally:
        _defining.reset(token)
