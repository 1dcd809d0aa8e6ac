"""Runs that no worker serves at the moment: they wait, say for what, and continue."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from holdfast import Agent, Notice, RunHandle, RunStatus, tool
from holdfast.testing import ChatRequest, ChatToolCall, Reply
from tests.support.lab import Lab, contents, eventually


@tool
async def stamp(word: str) -> str:
    """Stamps a word."""
    return f"stamped {word}"


@tool(read_only=True)
async def look(word: str) -> str:
    """Looks."""
    return f"saw {word}"


BUSY = Reply.error(503, headers={"Retry-After": "1"})  # so that the next worker makes the first turn
clerk = Agent(name="clerk", tools=[stamp, look])
other = Agent(name="other", tools=[look])


async def waits(run: RunHandle, *words: str) -> None:
    """Waits until the run says what it waits for."""

    async def says() -> bool:
        doing = (await run.status()).doing
        return all(word in doing for word in words)

    await eventually(says)


async def until_notice(run: RunHandle) -> AsyncIterator[Notice]:
    """The first notice that followers of a run see."""
    async for event in run.events():
        if isinstance(event, Notice):
            yield event
            return


async def test_a_tool_is_waited_for(lab: Lab) -> None:
    """A run whose tool no worker serves waits for one, says so, and then makes the call once."""
    lab.server.reply(BUSY)
    lab.server.call_tools(("stamp", {"word": "a"}), ("look", {"word": "b"}))
    async with lab.worker(clerk):
        run = await lab.holdfast.start("clerk", "Go.")
        await lab.server.wait_for_requests(1)
    async with lab.worker(other):
        await waits(run, "waiting for a worker that serves tool 'stamp' of agent 'clerk'")
        assert (await run.status()).status == RunStatus.RUNNING
        async with asyncio.timeout(30):
            told = [event.text async for event in until_notice(run)]
    assert told == ["The run is waiting for a worker that serves tool 'stamp' of agent 'clerk'."]
    async with lab.worker(clerk):
        result = await run.result(60)
        assert result.success
        assert contents(await lab.entries(run.id))[3:5] == [("tool", "stamped a"), ("tool", "saw b")]


async def test_a_tool_that_never_comes_ends_at_the_time_limit(lab: Lab) -> None:
    """A run that waits for a tool until its time limit has timed out, and says what it waited for."""
    lab.server.reply(BUSY)
    lab.server.call_tools(("stamp", {"word": "a"}))
    async with lab.worker(clerk):
        run = await lab.holdfast.start("clerk", "Go.", timeout=6)
        await lab.server.wait_for_requests(1)
    async with lab.worker(other):
        result = await run.result(60)
    assert result.status == RunStatus.TIMED_OUT
    assert "it was waiting for a worker that serves tool 'stamp' of agent 'clerk'" in (result.error or "")


async def test_a_wait_can_be_cancelled(lab: Lab) -> None:
    """A run that waits is cancelled like any other."""
    lab.server.reply(BUSY)
    lab.server.call_tools(("stamp", {"word": "a"}))
    async with lab.worker(clerk):
        run = await lab.holdfast.start("clerk", "Go.")
        await lab.server.wait_for_requests(1)
    async with lab.worker(other):
        await waits(run, "tool 'stamp'")
        await run.cancel()
        assert (await run.result(60)).status == RunStatus.CANCELLED


async def test_an_agent_is_waited_for(lab: Lab) -> None:
    """A run of an agent that no worker serves waits for one, says so, and then completes."""
    async with lab.worker(other):
        run = await lab.holdfast.start("clerk", "Go.")
        await waits(run, "waiting for a worker that serves agent 'clerk'", "known: other")
        assert (await run.status()).status == RunStatus.QUEUED
    async with lab.worker(clerk):
        assert (await run.result(60)).success


@pytest.mark.parametrize("timeout", [1.5, None], ids=["of the run", "of the worker"])
async def test_an_agent_that_never_comes_ends_at_the_time_limit(lab: Lab, timeout: float | None) -> None:
    """The time limit of the run, or else of the worker, ends the wait for an agent; the reason names both."""
    lab.settings.agent_execution_timeout = 1.5
    async with lab.worker(other):
        result = await lab.holdfast.run("clerk", "Go.", timeout=timeout)
    assert result.status == RunStatus.FAILED
    assert "no worker served the run within 1.5 s: Agent 'clerk' not found; known: other" in (result.error or "")


def named(reply: str) -> Agent:
    """An agent with a tool of a name that another agent uses too."""

    @tool(name="stock")
    async def stock() -> str:
        """Counts the stock."""
        return f"the stock of {reply}"

    return Agent(name=reply, tools=[stock])


async def test_tools_of_one_name_are_told_apart(lab: Lab) -> None:
    """Each agent calls its own tool, also when the run began before another agent had a tool of this name."""
    lab.server.respond = calling(ChatToolCall("stock", {}))
    lab.server.reply(BUSY)
    shop, depot = named("shop"), named("depot")
    async with lab.worker(shop):
        early = await lab.holdfast.start("shop", "Count.")
        await lab.server.wait_for_requests(1)
    async with lab.worker(shop, depot):
        runs = [early, await lab.holdfast.start("depot", "Count."), await lab.holdfast.start(shop, "Count.")]
        for run in runs:
            assert (await run.result(60)).success
        told = [contents(await lab.entries(run.id))[3][1] for run in runs]
    assert told == ["the stock of shop", "the stock of depot", "the stock of shop"]


@pytest.mark.parametrize(("began", "now"), [("real", "scripted"), ("scripted", "real")])
async def test_a_run_keeps_its_kind_of_model(lab: Lab, began: str, now: str) -> None:
    """The scripted model does not continue a run of a real one, nor the other way round; the run waits, visibly."""
    models = {"real": "gpt", "scripted": "scripted"}
    url = lab.settings.openai_base_url = "https://user:secret@models.example/v1"
    lab.settings.openai_model = models[began]
    lab.server.reply(BUSY)
    async with lab.worker(other):
        run = await lab.holdfast.start("other", "Go.")
        await lab.server.wait_for_requests(1)
    lab.settings.openai_model = models[now]
    provider = {"real": "models.example", "scripted": "scripted"}[began]
    async with lab.worker(other):
        await waits(run, f"waiting for a worker with the models of {provider!r}, with which the run began")
        assert len(lab.server.requests) == 1
    lab.settings.openai_model = models[began]
    lab.settings.openai_base_url = url.replace("models", "elsewhere") if began == "real" else url
    async with lab.worker(other):
        assert (await run.result(60)).success


def many(count: int) -> Callable[[ChatRequest], Reply]:
    """One reply with this many calls, then the answer."""
    return calling(*(ChatToolCall("look", {"word": str(number)}) for number in range(count)))


def calling(*calls: ChatToolCall) -> Callable[[ChatRequest], Reply]:
    """One reply with these calls, then the answer."""
    return lambda request: Reply("done") if request.messages[-1]["role"] == "tool" else Reply(tool_calls=calls)


async def test_the_calls_of_a_turn_are_limited(lab: Lab) -> None:
    """A turn makes at most MAX_TOOL_CALLS_PER_TURN calls, and answers further ones with an error."""
    lab.settings.max_tool_calls_per_turn = 3
    lab.server.respond = many(1_500)
    async with lab.worker(other, max_cached_workflows=10):
        result = await lab.holdfast.run("other", "Go.")
        assert result.success
        told = [text for role, text in contents(await lab.entries(result.run_id)) if role == "tool"]
        await lab.assert_mirrored(result.run_id)
    assert told[:3] == ["saw 0", "saw 1", "saw 2"]
    assert len(told) == 1_000
    assert set(told[3:]) == {
        "error: not called: at most 3 calls are made in one turn; make this one in a later turn if you still need it"
    }
    [calls, *results] = [
        message for message in lab.server.requests[1].messages if message["role"] in ("assistant", "tool")
    ]
    assert [call["id"] for call in calls["tool_calls"]] == [message["tool_call_id"] for message in results]


async def test_a_long_turn_continues_as_new(short_histories: Lab) -> None:
    """A turn with more calls than a history takes continues as new between them; no call is lost or repeated."""
    lab = short_histories
    lab.settings.max_tool_calls_per_turn = 300
    lab.server.respond = many(300)
    async with lab.worker(other, max_cached_workflows=10):
        result = await lab.holdfast.run("other", "Go.")
        assert (result.success, result.run.turns, result.run.tool_calls) == (True, 2, 300)
        entries = [entry async for entry in lab.holdfast.handle(result.run_id).entries()]
        described = await lab.client.get_workflow_handle(result.run_id).describe()
    assert [text for role, text in contents(entries) if role == "tool"] == [f"saw {number}" for number in range(300)]
    assert described.raw_description.workflow_execution_info.first_run_id != described.run_id
