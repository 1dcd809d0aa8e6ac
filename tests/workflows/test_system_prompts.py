"""System prompts that a function of the agent writes."""

from __future__ import annotations

import asyncio
from typing import Any, Self

import pytest

from holdfast import Agent, RunContext, RunHandle, RunStatus
from holdfast.agents.own_code import has_code, spec_of
from holdfast.errors import AgentDefinitionError
from tests.support.lab import Lab, contents, eventually

asked: list[str] = []


def greeting(context: RunContext) -> str:
    """Greets who asks, and counts how often it was asked to."""
    asked.append(context.run_id)
    return f"You are {context.agent} and help {context.context.get('user', 'everybody')}."


class Dated(Agent):
    """Its prompt is a method, which uses what the agent has opened."""

    day = "no day"

    async def __aenter__(self) -> Self:
        """Opens the calendar."""
        self.day = "Friday"
        return self

    async def __aexit__(self, *_: object) -> None:
        """Closes it."""

    async def system_prompt(self) -> str:
        """Says what day it is."""
        await asyncio.sleep(0)
        return f"Today is {self.day}."


greeter = Agent(name="greeter", system_prompt=greeting)
dated = Dated(name="dated")


def broken() -> str:
    """Fails."""
    raise LookupError("no such user")


def wrong() -> Any:
    """Returns something else."""
    return 3


def large() -> str:
    """Returns too much."""
    return "x" * 30_000


async def test_system_prompt_is_written_once(lab: Lab) -> None:
    """A function writes the prompt at the start of a run; its text is in the log, which forks and reruns follow."""
    asked.clear()
    async with lab.worker(greeter, dated):
        handle = await lab.holdfast.start(greeter, "Hello!", context={"user": "Ada"})
        first = await handle.result()
        assert (await lab.holdfast.run(dated, "Which day is it?")).success
        fork = await handle.fork("turn-1", message="And now?")
        assert (await fork.result()).success
        again = await handle.rerun()
        assert (await again.result()).success
        session = lab.holdfast.session("greeter-session", greeter)
        await session.ask("One.")
        await session.ask("Two.")
        await lab.assert_mirrored(first.run_id)
        entries = await lab.entries(first.run_id)
    prompts = [request.messages[0]["content"] for request in lab.server.requests]
    told = "You are greeter and help Ada."
    everybody = "You are greeter and help everybody."
    assert prompts == [told, "Today is Friday.", told, told, everybody, everybody]
    assert asked == [first.run_id, "greeter-session"]
    assert contents(entries)[0] == ("system", told)
    assert entries[0].data["agent"]["system_prompt"] == told
    assert "system_prompt_function" not in entries[0].data["agent"]


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (broken, "the function 'broken' of the system prompt failed: LookupError: no such user"),
        (wrong, "the function 'wrong' of the system prompt returned 3; it must return text"),
        (large, "the system prompt of the function 'large' has 30,000 bytes; the maximum is 20,000"),
    ],
)
async def test_system_prompt_that_cannot_be_written_fails_the_run(lab: Lab, function: Any, said: str) -> None:
    """A function that fails, or returns no text, fails the run with its reason, and no request reaches the model."""
    lab.settings.max_payload_bytes = 20_000
    agent = Agent(name="speechless", system_prompt=function)
    async with lab.worker(agent):
        result = await lab.holdfast.run(agent, "Hello!")
        await lab.assert_mirrored(result.run_id)
    assert (result.status, result.run.error and result.run.error.type) == (RunStatus.FAILED, "SystemPromptFailed")
    assert result.error == said
    assert lab.server.requests == []


async def test_a_run_waits_for_the_function_of_its_prompt(lab: Lab) -> None:
    """Without a worker that has the function, or the process that does, a run says what it waits for."""
    elsewhere = spec_of(Agent(name="elsewhere", system_prompt=greeting))
    async with lab.worker(max_cached_workflows=10):
        handle = await lab.holdfast.start(greeter.spec(), "Hello!")
        script = await lab.holdfast.start(elsewhere, "Hello!")
        waits = "waiting for a worker that has the function 'greeting' of agent 'greeter'"
        for run, what in ((handle, waits), (script, "waiting for the process that serves elsewhere")):

            async def says_so(run: RunHandle = run, what: str = what) -> bool:
                progress = await run.status()
                return (progress.doing, progress.status) == (what, RunStatus.QUEUED)

            await eventually(says_so)
        await script.cancel()
        assert (await script.result()).status == RunStatus.CANCELLED
    async with lab.worker(greeter):
        assert (await handle.result()).success


def test_prompts_of_other_libraries() -> None:
    """`Agent.of` takes instructions that a function writes; functions with other parameters are refused."""

    class Theirs:
        name = "theirs"

        async def instructions(self, context: Any, agent: Theirs) -> str:
            return f"{agent.name} helps {context.context['user']}."

    ours = Agent.of(Theirs())
    assert ours.prompt is not None
    context = RunContext("r", "theirs", 0, {"user": "Ada"})
    assert asyncio.run(ours.prompt(context)) == "theirs helps Ada."
    assert (ours.prompt.name, ours.prompt.is_async, has_code(ours)) == ("instructions", True, True)
    with pytest.raises(AgentDefinitionError, match="must take nothing, or a RunContext"):
        Agent(name="a", system_prompt=lambda _a, _b: "x")
