"""Faults of model providers: each has its defined outcome."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from holdfast import Agent, RunStatus
from holdfast.testing import Reply
from tests.support.lab import Lab

asker = Agent(name="asker", system_prompt="You ask.")


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
        assert result.usage.requests == 1
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


async def test_a_provider_that_stays_away_ends_the_run_at_its_limit(lab: Lab) -> None:
    """A run whose provider stays unavailable ends at its limit with the provider's reason."""
    lab.server.respond = lambda _request: Reply.error(503, "down for maintenance")
    async with lab.worker(asker):
        result = await lab.holdfast.run("asker", "Are you there?", timeout=4)
    assert result.status == RunStatus.TIMED_OUT
    assert "down for maintenance" in (result.error or "")
    assert len(lab.server.requests) >= 2
