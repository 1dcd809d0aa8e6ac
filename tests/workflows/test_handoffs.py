"""Handoffs: an agent hands its run to another one, which continues the conversation under its own definition."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel
from temporalio.api.sdk.v1 import WorkflowMetadata

from holdfast import Agent, AgentDefinition, Block, RunHandle, RunStatus, names, tool
from holdfast.context import context_of
from holdfast.errors import AgentDefinitionError
from holdfast.testing import ChatRequest, Reply
from holdfast.testing.replies import call_tools
from tests.support.lab import Lab, contents, eventually
from tests.support.lab_cli import command_line
from tests.support.moments import has_status
from tests.support.trees import Cast, assert_replays

CACHED = 100
"""Workflows in a worker's memory: the tests replay the runs at their end, once for all steps."""


class Decision(BaseModel):
    """What was decided about a refund."""

    granted: bool


@tool(read_only=True)
async def order_status(order: str) -> str:
    """The state of an order."""
    return f"{order} has arrived"


@tool
async def pay_back(order: str) -> str:
    """Pays an order back."""
    return f"{order} was paid back"


refunds = Agent(
    name="refunds",
    description="Decides about refunds.",
    system_prompt="refunds",
    tools=[pay_back],
    model="refund-model",
    model_settings={"temperature": 0.25},
    output_type=Decision,
    handoffs=["triage"],
)
triage = Agent(name="triage", system_prompt="triage", tools=[order_status], handoffs=[refunds])


def check_calls_are_answered(messages: list[dict[str, Any]]) -> None:
    """Asserts that each call of a request has its result, right after the message that made it."""
    for place, message in enumerate(messages):
        asked = [call["id"] for call in message.get("tool_calls") or ()]
        answers = [each.get("tool_call_id") for each in messages[place + 1 : place + 1 + len(asked)]]
        assert answers == asked


async def test_handoff_answers_its_call(lab: Lab) -> None:
    """Every call of the turn has its result before the other agent acts, with its own prompt, tools, model and type."""
    asks = call_tools(
        ("transfer_to_refunds", {"reason": "They want their money."}),
        ("order_status", {"order": "o-7"}),
        ("transfer_to_refunds", {}),
    )
    decides = [call_tools(("pay_back", {"order": "o-7"})), Reply('{"granted": true}')]
    Cast(lab, triage=[asks], refunds=decides)
    async with lab.worker(triage, max_cached_workflows=CACHED):
        handle = await lab.holdfast.start(triage, "I want my money back.")
        result = await handle.result(60)
        assert result.output == Decision(granted=True)
        assert result.active_agent == "refunds"
        assert (result.run.agent, result.run.active_agent) == ("triage", "refunds")
        progress = await handle.status()
        assert (progress.agent, progress.active_agent) == ("triage", "refunds")
        entries = await lab.entries(handle.id)
        await assert_replays(lab, handle)
        await lab.assert_mirrored(handle.id)
    first, second, third = lab.server.requests
    check_calls_are_answered(second.messages)
    check_calls_are_answered(third.messages)
    assert [each["content"] for each in second.messages[3:]] == [
        "The conversation was transferred to the agent 'refunds'.",
        "o-7 has arrived",
        "error: not done: only the first transfer of a turn counts, which is to 'refunds'",
    ]
    assert [each["function"]["name"] for each in first.body["tools"]] == ["order_status", "transfer_to_refunds"]
    assert "Decides about refunds." in first.body["tools"][1]["function"]["description"]
    assert [each["function"]["name"] for each in second.body["tools"]] == ["pay_back", "transfer_to_triage"]
    assert (second.body["model"], second.body["temperature"]) == ("refund-model", 0.25)
    assert "response_format" in second.body
    assert "response_format" not in first.body
    assert second.messages[0]["content"] == "refunds"
    assert second.messages[1] == first.messages[1], "the conversation so far"
    [row] = [await lab.store.summary(handle.id)]
    assert row is not None
    assert row.active_agent == "refunds"
    assert [entry.data["tool"] for entry in entries if entry.data.get("handoff")] == ["transfer_to_refunds"]
    assert context_of(entries).active == "refunds"


async def summaries(lab: Lab, handle: RunHandle) -> list[str]:
    """What Temporal's UI shows of the model calls of a run."""
    history = await lab.client.get_workflow_handle(handle.id).fetch_history()
    return [
        json.loads(event.user_metadata.summary.data)
        for event in history.events
        if event.activity_task_scheduled_event_attributes.activity_type.name == names.MODEL_CALL
    ]


async def test_people_see_the_model_of_the_agent_that_took_over(lab: Lab) -> None:
    """Once a run is handed over, everything that people see names the model that is asked next, named or not."""
    model = {"openai_api_key": "test", "openai_base_url": lab.server.url, "openai_model": "test-model"}
    lab = replace(lab, settings=lab.settings.model_copy(update=model))
    Cast(lab, refunds=call_tools(("transfer_to_triage", {})), triage=Reply(hang=True))
    async with lab.worker(triage, max_cached_workflows=CACHED):
        handle = await lab.holdfast.start("refunds", "Where is my order?")
        await lab.server.wait_for_requests(2)
        assert await summaries(lab, handle) == ["turn 1 · refund-model", "turn 2 · test-model"]
        progress = await handle.status()
        assert (progress.model, progress.next_model) == ("refund-model", "test-model")
        metadata: WorkflowMetadata = await lab.client.get_workflow_handle(handle.id).query(
            "__temporal_workflow_metadata", result_type=WorkflowMetadata
        )
        assert "- agent `refunds`, handed to agent `triage`, model `test-model`\n" in metadata.current_details
        assert "next model  test-model\n" in (await command_line(lab).run("show", handle.id)).out
        await handle.cancel()
        assert (await handle.result(60)).run.model == "test-model", "that of its last reply, which was cut off"
        assert (await handle.status()).next_model is None
        await assert_replays(lab, handle)


async def test_agents_that_hand_off_to_each_other_stop_at_ten(lab: Lab) -> None:
    """A circle of agents is one definition; after ten transfers, the model reads that it must answer by itself."""

    def respond(request: ChatRequest) -> Reply:
        last = request.messages[-1]
        if "the limit" in str(last["content"]):
            return Reply('{"granted": false}')
        [transfer] = [
            each["function"]["name"]
            for each in request.body["tools"]
            if each["function"]["name"].startswith("transfer_to_")
        ]
        return call_tools((transfer, {}))

    lab.server.respond = respond
    async with lab.worker(triage, max_cached_workflows=CACHED):
        handle = await lab.holdfast.start("triage", "Who decides?")
        result = await handle.result(60)
        assert result.content == '{"granted": false}'
        assert result.run.turns == 12
        assert result.run.active_agent is None, "ten transfers between two agents end where they began"
        start = (await lab.entries(handle.id))[0].data["agent"]
        assert list(start["team"]) == ["refunds"]
        await assert_replays(lab, handle)


async def test_a_session_stays_with_the_agent_that_took_over(lab: Lab) -> None:
    """The next message goes to the agent that answered last; restores and forks go back to the one that acted there."""
    clerk = Agent(name="clerk", system_prompt="clerk")
    desk = Agent(name="desk", system_prompt="desk", handoffs=[clerk])
    Cast(
        lab,
        desk=[Reply("Hello."), call_tools(("transfer_to_clerk", {})), Reply("Back at the desk."), Reply("Again.")],
        clerk=Reply("I am the clerk."),
    )
    async with lab.worker(desk, max_cached_workflows=CACHED):
        session = lab.holdfast.session("handed-session", desk)
        assert (await session.ask("Hi")).content == "Hello."
        assert (await session.ask("The clerk, please")).content == "I am the clerk."
        assert (await session.ask("Still there?")).content == "I am the clerk."
        assert (await session.run.status()).active_agent == "clerk"
        later = await session.run.fork(message="And now?")
        earlier = await session.run.fork(at="turn-1", message="And then?")
        await session.run.restore("turn-1")

        async def is_back() -> bool:
            return (await session.run.status()).active_agent is None

        await eventually(is_back)
        assert (await session.ask("Who is there?")).content in {"Back at the desk.", "Again."}
        await has_status(later, RunStatus.WAITING)
        await has_status(earlier, RunStatus.WAITING)
        assert (await later.status()).active_agent == "clerk"
        assert (await earlier.status()).active_agent is None
        assert contents(await lab.entries(later.id))[-1] == ("assistant", "I am the clerk.")
        for run in (session.run, later, earlier):
            await run.cancel()
            await run.result(60)
            await lab.assert_mirrored(run.id)
        await assert_replays(lab, session.run, later, earlier)


async def test_a_handed_run_survives_a_worker_and_a_new_history(short_histories: Lab) -> None:
    """The agent that took over acts in later executions and on another worker, and its code is that of its own."""
    lab = short_histories
    counter = Agent(name="counter", system_prompt="counter", tools=[order_status])
    front = Agent(name="front", system_prompt="front", handoffs=[counter])
    turns = [call_tools(("order_status", {"order": f"o-{number}"})) for number in range(45)]
    Cast(lab, front=[call_tools(("transfer_to_counter", {}))], counter=[*turns, Reply("All have arrived.")])
    async with lab.worker(front, max_cached_workflows=CACHED):
        handle = await lab.holdfast.start("front", "Where are my orders?", max_turns=60)
        await lab.server.wait_for_requests(6)
    async with lab.worker(front, max_cached_workflows=CACHED):
        result = await handle.result(90)
        assert result.content == "All have arrived."
        assert result.run.active_agent == "counter"
        executions = [each async for each in lab.client.list_workflows(f"WorkflowId = '{handle.id}'")]
        assert len(executions) > 1
        await assert_replays(lab, handle)
    assert {str(each.messages[0]["content"]) for each in lab.server.requests[1:]} == {"counter"}


async def test_approvals_and_guards_belong_to_the_agent_that_acts(lab: Lab) -> None:
    """A run's approvals hold for every agent; the guards of the one that takes over see what people said before."""

    def no_curses(text: str) -> Block | None:
        return Block("cursing") if "damned" in text else None

    payer = Agent(name="payer", system_prompt=lambda: "payer", tools=[pay_back], input_guards=[no_curses])
    host = Agent(name="host", system_prompt="host", handoffs=[payer], approvals={"transfer_to_payer": "always"})
    pays = [call_tools(("pay_back", {"order": "o-1"})), Reply("Paid.")]
    Cast(lab, host=call_tools(("transfer_to_payer", {})), payer=pays)
    async with lab.worker(host, max_cached_workflows=CACHED):
        handle = await lab.holdfast.start("host", "Pay me.", approve=["pay_back"])

        async def approve(run: RunHandle, tool: str) -> None:
            async def asks() -> bool:
                return any(tool in wait.what for wait in (await run.status()).waits_for)

            await eventually(asks)
            [wait] = (await run.status()).waits_for
            await run.approve(wait.id)

        await approve(handle, "transfer_to_payer")
        await approve(handle, "pay_back")
        assert (await handle.result(60)).content == "Paid."
        blocked = await lab.holdfast.start("host", "Pay me, damned.")
        await approve(blocked, "transfer_to_payer")
        ended = await blocked.result(60)
        assert ended.run.error is not None
        assert ended.run.error.type == "GuardBlocked"
        last = lab.server.requests[-1].messages
        assert last[0]["content"] == "host", "the model of the other agent is not asked"
        await assert_replays(lab, handle, blocked)


async def test_agents_that_nobody_knows_are_waited_for(lab: Lab) -> None:
    """A run waits for a worker that knows the agents to which it may hand off; what is no agent is refused at once."""
    with pytest.raises(AgentDefinitionError, match="cannot take over"):
        Agent(name="odd", handoffs=[7])  # type: ignore[list-item]
    with pytest.raises(AgentDefinitionError, match="itself"):
        Agent(name="odd", handoffs=["odd"])
    with pytest.raises(AgentDefinitionError, match="both tools"):
        Agent(name="odd", handoffs=["a b", "a_b"])
    desk = AgentDefinition(name="front-desk", system_prompt="front-desk", handoffs=["back-office@1"])
    async with lab.worker(max_cached_workflows=CACHED):
        waiting = await lab.holdfast.start(desk, "Hello?", timeout=1.5)
        result = await waiting.result(60)
        assert result.run.status == RunStatus.FAILED
        assert result.run.error is not None
        assert "back-office@1" in result.run.error.message
