"""Readers, which make values of the answers of agents that this process knows."""

from __future__ import annotations

from holdfast.agent_result import Read
from holdfast.agents.agent import Agent
from holdfast.agents.team import members


class Readers:
    """What makes values of the answers of an agent, and of those that may take over from it.

    Args:
        agent: the agent, as this process has it.
    """

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    def of(self, active: str | None) -> Read | None:
        """Returns what makes values of the answers of an agent; `None` if it has no type, or is not known here.

        Args:
            active: name of the agent that has taken over; `None` means none.
        """
        found = self._agent if active is None else members(self._agent).get(active)
        typed = found.typed_output if isinstance(found, Agent) else None
        return typed.read if typed else None


def reader_of(agent: object) -> Readers | None:
    """Returns what makes values of an agent's answers; `None` if it is known by its name only."""
    return Readers(agent) if isinstance(agent, Agent) else None
