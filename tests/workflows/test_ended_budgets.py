"""The budget of a run that has ended is shown as the run itself would tell it."""

from __future__ import annotations

from typing import Any

from holdfast import Agent, tool
from holdfast.progress import RunProgress
from holdfast.testing import ChatToolCall, Reply
from holdfast.types import Usage
from tests.support.lab import Lab
from tests.support.lab_cli import command_line
from tests.support.trees import Cast, asks

USED = Usage(input_tokens=20, output_tokens=100)
FACTS = ("budget", "spent", "max_turns", "turn", "tool_calls")


@tool(read_only=True)
def look() -> str:
    """Looks."""
    return "seen"


clerk = Agent(name="clerk", system_prompt="clerk", tools=[look], model_settings={"max_tokens": 100})
boss = Agent(
    name="boss",
    system_prompt="boss",
    agents=[clerk],
    model_settings={"max_tokens": 100},
    budget={"tool_calls": 9, "on_limit": "stop"},
)


async def told(lab: Lab, run_id: str) -> dict[str, Any]:
    """What a worker says of an ended run, which it replays for this."""
    answer = await lab.client.get_workflow_handle(run_id).query("status")
    progress = RunProgress.model_validate(answer).model_dump(mode="json")
    return {name: progress[name] for name in FACTS}


async def test_the_limits_of_an_ended_run_are_shown(lab: Lab) -> None:
    """`budget` shows the limits of an ended run as they were last raised, with what its children have used."""
    Cast(
        lab,
        boss=[asks("clerk", "What is there?"), Reply("Done.", usage=USED), Reply("Again.", usage=USED)],
        clerk=[Reply(tool_calls=[ChatToolCall("look", {})], usage=USED), Reply("A hut.", usage=USED)],
    )
    cli = command_line(lab)
    lab.server.hold()
    async with lab.worker(boss, max_cached_workflows=10):
        run = await lab.holdfast.start("boss", "Ask.", budget={"tokens": 10_000, "on_limit": "ask"})
        await lab.server.wait_for_requests(1)
        await run.raise_budget(tokens=20_000, turns=70)
        lab.server.release()
        assert (await run.result(60)).success
        fork = await run.fork(1, message="And now?")
        assert (await fork.result(60)).success
        for run_id in (run.id, f"{run.id}/1.0", fork.id):
            shown = (await cli.run("budget", run_id, "--json")).json
            assert {name: shown[name] for name in FACTS} == await told(lab, run_id)
        shown = (await cli.run("budget", run.id)).out
    assert "of 20,000 tokens" in shown
    assert "2 of 9 tool calls" in shown
    assert "of 70" in shown
    assert "ask a person" in shown
    assert "of 20,000 tokens · 2 of 9 tool calls" in (await cli.run("show", run.id)).out
