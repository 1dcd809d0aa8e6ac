"""Faults of model providers: each has its defined outcome."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace

import pytest

from holdfast import Agent, RunStatus, tool
from holdfast.testing import ChatToolCall, Reply
from tests.support.lab import Lab

asker = Agent(name="asker", system_prompt="You ask.")


@tool(read_only=True)
def look() -> str:
    """Looks."""
    return "seen"


looker = Agent(name="looker", system_prompt="You look.", tools=[look])


@dataclass(frozen=True)
class PassingFault:
    name: str
    reply: Reply


PASSING = [
    PassingFault("500", Reply.error(500)),
    PassingFault("503", Reply.error(503)),
    PassingFault("rate limit", Reply.error(429, headers={"Retry-After": "0"})),
    PassingFault("cut stream", Reply(text="one two three four five six seven eight", cut_after=1)),
    PassingFault("malformed stream", Reply(text="one two", malformed=True)),
    PassingFault("finish reason error", Reply("one", finish_reason="error")),
    PassingFault("the provider's own cancelled", Reply("one", finish_reason="cancelled")),
    PassingFault("error in the stream", Reply(text="one", stream_error=True, error_message="overloaded")),
]


@pytest.mark.parametrize("fault", PASSING, ids=lambda fault: fault.name)
async def test_a_fault_that_passes_is_tried_again(lab: Lab, fault: PassingFault) -> None:
    """A temporary failure is retried, and the text of the failed attempt is dropped."""
    lab.server.reply(fault.reply)
    lab.server.say("Here I am.")
    async with lab.worker(asker):
        result = await lab.holdfast.run("asker", "Are you there?")
        assert (result.success, result.content) == (True, "Here I am.")
        assert result.usage.requests == (2 if fault.reply.text else 1), "text that was streamed is paid for"
        assert len(await lab.entries(result.run_id)) == 5
    assert len(lab.server.requests) == 2


async def test_retry_after_is_honoured(lab: Lab) -> None:
    """The next attempt waits as long as the provider requested."""
    lab.server.reply(Reply.error(429, headers={"Retry-After": "2"}))
    async with lab.worker(asker):
        assert (await lab.holdfast.run("asker", "Are you there?")).success
    first, second = lab.server.requests
    assert 1.9 <= second.received_at - first.received_at < 6


@dataclass(frozen=True)
class LastingFault:
    name: str
    reply: Reply
    type: str
    words: list[str] = field(default_factory=list)


LASTING = [
    LastingFault("400", Reply.error(400, "temperature is too hot"), "ModelRefused", ["temperature is too hot", "400"]),
    LastingFault("401", Reply.error(401, "bad key"), "ModelRefused", ["bad key", "OPENAI_API_KEY"]),
    LastingFault("403", Reply.error(403, "not for you"), "ModelRefused", ["not for you"]),
    LastingFault("404", Reply.error(404, "no such model"), "ModelRefused", ["no such model"]),
    LastingFault("overflow", Reply.overflow(), "ContextOverflow", ["8192"]),
]


@pytest.mark.parametrize("fault", LASTING, ids=lambda fault: fault.name)
async def test_a_fault_that_lasts_fails_the_run_in_the_providers_words(lab: Lab, fault: LastingFault) -> None:
    """A permanent failure fails the run at once, with the provider's reason."""
    lab.server.reply(fault.reply)
    async with lab.worker(asker):
        result = await lab.holdfast.run("asker", "Are you there?")
        assert (result.success, result.status) == (False, RunStatus.FAILED)
        for words in fault.words:
            assert words in (result.error or "")
        [*_, last] = await lab.entries(result.run_id)
        assert last.data["result"]["error"]["type"] == fault.type
        await lab.assert_mirrored(result.run_id)
    assert len(lab.server.requests) == 1


async def test_a_provider_that_stays_unavailable_ends_the_run_at_its_limit(lab: Lab) -> None:
    """A run whose provider stays unavailable ends at its limit with the provider's reason."""
    lab.server.respond = lambda _request: Reply.error(503, "down for maintenance")
    async with lab.worker(asker):
        result = await lab.holdfast.run("asker", "Are you there?", timeout=4)
    assert result.status == RunStatus.TIMED_OUT
    assert "down for maintenance" in (result.error or "")
    assert len(lab.server.requests) >= 2


async def test_a_provider_that_stays_unavailable_fails_the_run_after_the_minutes_that_are_set(lab: Lab) -> None:
    """MODEL_RETRY_MINUTES bounds the retries of a call, also in a run with a long time limit."""
    lab.server.respond = lambda _request: Reply.error(503, "down for maintenance")
    lab = replace(lab, settings=lab.settings.model_copy(update={"model_retry_minutes": 2 / 60}))
    async with lab.worker(asker):
        result = await lab.holdfast.run("asker", "Are you there?")
    assert (result.status, result.run.error and result.run.error.type) == (RunStatus.FAILED, "ModelUnavailable")
    assert "down for maintenance" in (result.error or "")
    assert "MODEL_RETRY_MINUTES" in (result.error or "")
    assert 1 <= len(lab.server.requests) <= 2


@dataclass(frozen=True)
class NoAnswer:
    """A last reply that is not an answer, and what the result has of it."""

    name: str
    reply: Reply
    type: str
    finish_reason: str
    content: str = ""


NO_ANSWERS = [
    NoAnswer("cut off", Reply("It begins", finish_reason="length"), "AnswerCutOff", "length", "It begins"),
    NoAnswer("filtered", Reply("It", finish_reason="content_filter"), "AnswerFiltered", "content_filter", "It"),
    NoAnswer("empty", Reply(""), "AnswerEmpty", "stop"),
    NoAnswer(
        "called tools without an end",
        Reply("I look.", tool_calls=[ChatToolCall("look", {})]),
        "MaxTurnsExceeded",
        "tool_calls",
    ),
]


@pytest.mark.parametrize("case", NO_ANSWERS, ids=lambda case: case.name)
async def test_what_is_not_an_answer_fails_the_run(lab: Lab, case: NoAnswer) -> None:
    """A run whose last reply is not an answer fails and says why; what has arrived is kept, and no earlier text."""
    lab.server.call_tools(("look", {}), text="Let me look.")
    lab.server.reply(case.reply)
    async with lab.worker(looker):
        result = await lab.holdfast.run("looker", "Are you there?", max_turns=2)
        assert (result.success, result.status, result.content) == (False, RunStatus.FAILED, case.content)
        assert result.run.error
        assert result.run.error.type == case.type
        assert result.run.finish_reason == case.finish_reason == result.metadata["finish_reason"]
        await lab.assert_mirrored(result.run_id)
    assert len(lab.server.requests) == 2


async def test_what_the_provider_added_is_sent_back(lab: Lab) -> None:
    """Fields that only the provider understands reach it again in the next turn, also through the mirror."""
    signed = {"google": {"thought_signature": "x"}}
    call = {"index": 0, "id": "a", "function": {"name": "look", "arguments": "[]"}, "extra_content": signed}
    delta = {"content": "I look.", "reasoning_content": "hm", "tool_calls": [call]}
    chunk = {"choices": [{"delta": delta, "finish_reason": "tool_calls"}]}
    lab.server.reply(Reply(body=f"data: {json.dumps(chunk)}\n\n".encode()))
    async with lab.worker(looker):
        result = await lab.holdfast.run("looker", "Are you there?")
        assert (result.success, result.run.finish_reason) == (True, "stop")
        await lab.assert_mirrored(result.run_id)
    sent = lab.server.requests[1].messages[2]
    assert sent["reasoning_content"] == "hm"
    assert sent["tool_calls"] == [
        {"id": "a", "type": "function", "function": {"name": "look", "arguments": "{}"}, "extra_content": signed}
    ]
