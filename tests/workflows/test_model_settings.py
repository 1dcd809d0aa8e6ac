"""Settings of the model per agent and per run, and tool calls one by one."""

from __future__ import annotations

import pytest

from holdfast import Agent, tool
from holdfast.errors import UsageError
from holdfast.testing import Reply
from holdfast.testing.replies import call_tools
from tests.support.lab import Lab, contents

ORDER: list[str] = []


@tool(read_only=True)
async def step(name: str) -> str:
    """Takes a step."""
    ORDER.append(name)
    return f"{name} done"


walker = Agent(
    name="walker",
    system_prompt="walker",
    tools=[step],
    model_settings={"temperature": 0.5, "seed": 7, "top_p": 0.9},
    max_turns=4,
)


async def test_settings_of_a_run_override_those_of_its_agent(lab: Lab) -> None:
    """Each setting of a run replaces that of the agent, `None` leaves one out, and the others stay."""
    lab.server.say("Done.")
    lab.server.say("Done.")
    async with lab.worker(walker):
        handle = await lab.holdfast.start("walker", "Walk.", model_settings={"temperature": 0, "seed": None, "n": 1})
        await handle.result(60)
        session = lab.holdfast.session("settings-1", walker, model_settings={"temperature": 1})
        await session.ask("Walk.")
        await session.run.cancel()
        recorded = (await lab.entries(handle.id))[0].data["agent"]["model_settings"]
        with pytest.raises(UsageError, match="model_settings"):
            await lab.holdfast.start("walker", "Walk.", model_settings=["temperature"])  # type: ignore[arg-type]
    first, second = (request.body for request in lab.server.requests)
    assert recorded == {"temperature": 0, "top_p": 0.9, "n": 1}
    assert {name: first.get(name) for name in ("temperature", "seed", "top_p", "n")} == recorded | {"seed": None}
    assert (second["temperature"], second["seed"]) == (1, 7)


async def test_calls_are_made_one_by_one_if_the_agent_says_so(lab: Lab) -> None:
    """`parallel_tool_calls` is sent with tools; a server that asks for several calls anyway gets them one by one."""
    ORDER.clear()
    lab.server.reply(call_tools(*(("step", {"name": name}) for name in "abc")))
    lab.server.say("Done.")
    async with lab.worker(walker, max_cached_workflows=100):
        handle = await lab.holdfast.start("walker", "Walk.", model_settings={"parallel_tool_calls": False})
        result = await handle.result(60)
        assert result.success, result.error
        history = await lab.client.get_workflow_handle(handle.id).fetch_history()
        entries = await lab.entries(handle.id)
    events = [
        (kind, getattr(event, f"activity_task_{kind}_event_attributes"))
        for event in history.events
        for kind in ("scheduled", "completed")
        if event.HasField(f"activity_task_{kind}_event_attributes")  # type: ignore[arg-type]
    ]
    steps = [
        each.activity_id for kind, each in events if kind == "scheduled" and each.activity_type.name == "tool.step"
    ]
    assert len(steps) == 3
    begun = {event.event_id: event.activity_task_scheduled_event_attributes.activity_id for event in history.events}
    seen = [
        (kind, each.activity_id if kind == "scheduled" else begun[each.scheduled_event_id]) for kind, each in events
    ]
    of_steps = [(kind, activity) for kind, activity in seen if activity in steps]
    assert of_steps == [(kind, activity) for activity in steps for kind in ("scheduled", "completed")]
    assert list("abc") == ORDER
    assert [text for role, text in contents(entries) if role == "tool"] == ["a done", "b done", "c done"]
    assert lab.server.requests[0].body["parallel_tool_calls"] is False


async def test_a_server_that_refuses_the_setting_is_asked_without_it(lab: Lab) -> None:
    """A server that does not know `parallel_tool_calls` is asked without it; so is any without tools."""
    plain = Agent(name="plain", system_prompt="plain", model_settings={"parallel_tool_calls": False})
    lab.server.reply(Reply.error(400, "Unrecognized request argument supplied: parallel_tool_calls"))
    lab.server.say("Done.")
    lab.server.say("Done.")
    async with lab.worker(walker, plain):
        for name in ("walker", "plain"):
            handle = await lab.holdfast.start(name, "Walk.", model_settings={"parallel_tool_calls": False})
            assert (await handle.result(60)).content == "Done."
    assert ["parallel_tool_calls" in request.body for request in lab.server.requests] == [True, False, False]
