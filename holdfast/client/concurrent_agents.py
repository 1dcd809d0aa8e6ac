"""Several agents of a program at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Unpack, cast

from holdfast.agent_result import AgentResult
from holdfast.agents import services
from holdfast.agents.agent import Agent
from holdfast.client.inputs import RunInput
from holdfast.errors import HoldfastError, UsageError
from holdfast.option_names import RUN, unknown_options
from holdfast.start_options import AnyOptions, StartOptions

if TYPE_CHECKING:
    from holdfast.client.agent_runner import AgentRunner

MAX_CONCURRENT = 10
"""As many runs as a worker executes at once by default; further ones would only wait there."""


async def run_agents_concurrently(
    agents: Agent | str | Sequence[Agent | str],
    messages: str | Sequence[RunInput],
    *,
    max_concurrent: int = MAX_CONCURRENT,
    id: str | None = None,  # noqa: A002 - the field's word
    **options: Unpack[AnyOptions],
) -> list[AgentResult]:
    """Runs several agents at once, and returns their results in the same order.

    A run that fails, or cannot be started, does not affect the others: its result has `success=False` and an `error`.
    If the call is cancelled, so are the runs that are active.

    Args:
        agents: one agent for each message, or one for all messages; a name is that of an agent of a worker.
        messages: one message for each agent, or one text for all agents.
        max_concurrent: runs that are active at the same time.
        id: the runs have the ids `id-1`, `id-2` and so on, so that a program that is started again finds them. `None`
            means new ids.
        options: of each run; see `Holdfast.start`.

    Raises:
        UsageError: an argument is not accepted.
    """
    if unknown := [name for name in options if name not in AnyOptions.__annotations__]:
        known = [*AnyOptions.__annotations__, "max_concurrent", "id"]
        raise unknown_options("run_agents_concurrently", unknown, known, RUN)
    if not isinstance(max_concurrent, int) or isinstance(max_concurrent, bool) or max_concurrent < 1:
        raise UsageError(f"max_concurrent must be a number from 1 on, not {max_concurrent!r:.80}")
    pairs = _pairs(agents, messages)
    runner: AgentRunner = await asyncio.to_thread(services.agent_runner)
    free = asyncio.Semaphore(max_concurrent)

    async def result(place: int, agent: Agent | str, message: RunInput) -> AgentResult:
        run_id = None if id is None else f"{id}-{place}"
        given = cast("StartOptions", {**options, "id": run_id})
        async with free:
            try:
                return await runner.run(agent, message, given)
            except HoldfastError as error:
                return AgentResult.not_started(_name(agent), run_id, error)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(result(place, *pair)) for place, pair in enumerate(pairs, start=1)]
    return [task.result() for task in tasks]


def _pairs(agents: Any, messages: Any) -> list[tuple[Agent | str, RunInput]]:
    """Returns each agent with its message.

    Raises:
        UsageError: there are not as many messages as agents, or they are something else.
    """
    one_agent, one_message = isinstance(agents, Agent | str), isinstance(messages, str)
    if not one_agent and not isinstance(agents, list | tuple):
        raise UsageError(f"agents must be an agent or a list of agents, not {agents!r:.80}")
    if not one_message and not isinstance(messages, list | tuple):
        raise UsageError(f"messages must be text or a list of texts, not {messages!r:.80}")
    if wrong := [agent for agent in ([agents] if one_agent else agents) if not isinstance(agent, Agent | str)]:
        raise UsageError(f"{wrong[0]!r:.80} is not an agent; agents must be instances of Agent, or names")
    if not one_agent and not one_message and len(agents) != len(messages):
        raise UsageError(
            f"there are {len(agents)} agents for {len(messages)} messages; pass one message for each agent, one agent "
            "for all messages, or one message for all agents"
        )
    number = len(messages) if one_agent and not one_message else 1 if one_agent else len(agents)
    return list(
        zip([agents] * number if one_agent else agents, [messages] * number if one_message else messages, strict=True)
    )


def _name(agent: Agent | str) -> str:
    return agent if isinstance(agent, str) else agent.name
