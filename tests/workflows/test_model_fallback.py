"""Fallback: another model of the list answers if one is not available, at the same provider or at another one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
from pydantic import SecretStr

from holdfast import Agent, Entry, Event, Notice, RunStatus, TextDelta
from holdfast.agent_result import AgentResult
from holdfast.composition.models import configured_models
from holdfast.model_reply import OverflowReport
from holdfast.testing import ModelServer, Reply
from tests.support.lab import TIMEOUT, Lab, eventually

asker = Agent(name="asker", system_prompt="You ask.", model=["first", "other/second"])
WORDS = " ".join(f"word{number}" for number in range(180))


@dataclass(frozen=True)
class Providers:
    """A lab with two providers: its own model server, and `other`."""

    lab: Lab
    other: ModelServer

    @asynccontextmanager
    async def worker(self, *agents: Agent, **settings: Any) -> AsyncIterator[None]:
        """Runs a worker with the models of both providers."""
        wanted = self.lab.settings.model_copy(
            update={
                "openai_api_key": SecretStr("test"),
                "openai_base_url": self.lab.server.url,
                "openai_model": "default",
                "model_providers": f"other={self.other.url}",
                **settings,
            }
        )
        model = configured_models(wanted)
        async with replace(self.lab, settings=wanted).worker(
            *(agents or (asker,)), model=model, max_cached_workflows=100
        ):
            yield
        await model.close()

    async def ask(self, agent: str = "asker", **options: Any) -> AgentResult:
        """Runs an agent."""
        return await self.lab.holdfast.run(agent, "Are you there?", **options)

    async def reply(self, result: AgentResult) -> dict[str, Any]:
        """What the log has about the first reply."""
        entries = await self.lab.entries(result.run_id)
        return next(entry.data for entry in entries if entry.message and entry.message.role == "assistant")

    def models(self) -> tuple[list[str], list[str]]:
        """The models that were asked at each provider."""
        first, other = ([one.body["model"] for one in server.requests] for server in (self.lab.server, self.other))
        return first, other


@pytest.fixture
async def providers(lab: Lab) -> AsyncIterator[Providers]:
    """Two providers; the second one says that it is."""
    async with ModelServer(lambda _request: Reply("I am the second.")) as other:
        yield Providers(lab, other)


@dataclass(frozen=True)
class Fault:
    name: str
    reply: Reply
    reason: str


FAULTS = [
    Fault("500", Reply.error(500), "server_error"),
    Fault("503 that asks to wait", Reply.error(503, headers={"Retry-After": "300"}), "server_error"),
    Fault("429 beyond its patience", Reply.error(429, headers={"Retry-After": "300"}), "rate_limited"),
    Fault("402", Reply.error(402, "pay"), "no_credit"),
    Fault("429 without credit", Reply.error(429, error_code="insufficient_quota"), "no_credit"),
    Fault("504", Reply.error(504), "timeout"),
    Fault("silence", Reply(hang=True), "timeout"),
    Fault("cut stream", Reply(WORDS, cut_after=2), "connection"),
    Fault("unfinished stream", Reply("one two", unfinished=True), "broken_reply"),
    Fault("error in the stream", Reply("one", stream_error=True, error_message="overloaded"), "server_error"),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_the_next_model_answers(providers: Providers, fault: Fault) -> None:
    """The next model answers in the same attempt; the reply says which model was tried, and why."""
    providers.lab.server.reply(fault.reply)
    async with providers.worker(model_idle_timeout=0.3):
        result = await providers.ask()
        assert (result.success, result.content) == (True, "I am the second."), result.error
        reply = await providers.reply(result)
        assert [(one["model"], one["reason"]) for one in reply["tried"]] == [("first", fault.reason)]
        assert reply["model"] == "second"
        assert "attempts" not in reply
        await providers.lab.assert_mirrored(result.run_id)
    assert providers.models() == (["first"], ["second"])


async def test_a_rate_limit_within_its_patience_is_waited_for(providers: Providers) -> None:
    """A model with a short rate limit is asked again before the next one is."""
    providers.lab.server.reply(Reply.error(429, headers={"Retry-After": "0.3"}))
    providers.lab.server.say("I am the first.")
    async with providers.worker():
        result = await providers.ask()
        assert result.content == "I am the first."
        reply = await providers.reply(result)
        assert (reply["attempts"], "tried" in reply) == (2, False)
    assert providers.models() == (["first", "first"], [])


async def test_patience_ends(providers: Providers) -> None:
    """A rate limit that stays is waited for as long as the setting says, then the next model answers."""
    providers.lab.server.respond = lambda _request: Reply.error(429, headers={"Retry-After": "0.3"})
    async with providers.worker(model_patience=0.5):
        result = await providers.ask()
        assert result.content == "I am the second."
        assert (await providers.reply(result))["attempts"] == 2
    assert providers.models() == (["first", "first"], ["second"])


async def test_each_turn_begins_with_the_first_model(providers: Providers) -> None:
    """A model that is available again answers the next call."""
    asks_twice = Agent(name="asker", model=["first", "other/second"])
    providers.lab.server.reply(Reply.error(500))
    providers.lab.server.say("I am the first.")
    async with providers.worker(asks_twice):
        assert (await providers.ask()).content == "I am the second."
        assert (await providers.ask()).content == "I am the first."


async def test_all_models_are_asked_again_if_none_answers(providers: Providers) -> None:
    """If every model fails, the call is repeated from the first one on, after the shortest pause that was asked for."""
    providers.lab.server.reply(Reply.error(503, headers={"Retry-After": "60"}))
    providers.other.reply(Reply.error(503, headers={"Retry-After": "0.2"}))
    providers.lab.server.say("I am the first.")
    async with providers.worker():
        result = await providers.ask()
        assert result.content == "I am the first."
    assert providers.models() == (["first", "first"], ["second"])


async def test_no_model_has_credit(providers: Providers) -> None:
    """A run fails if no model can ever answer, and says what each of them said."""
    providers.lab.server.reply(Reply.error(402, "the first wants money"))
    providers.other.reply(Reply.error(402, "the second wants money"))
    async with providers.worker():
        result = await providers.ask()
        assert result.run.error
        assert result.run.error.type == "ModelRefused"
        assert "the first wants money" in result.run.error.message
        assert "the second wants money" in result.run.error.message


async def test_a_refusal_of_the_first_model_fails_the_run(providers: Providers) -> None:
    """A wrong request or key is not hidden by another model."""
    providers.lab.server.reply(Reply.error(401, "bad key"))
    async with providers.worker():
        result = await providers.ask()
        assert (result.status, "bad key" in (result.error or "")) == (RunStatus.FAILED, True)
    assert providers.models() == (["first"], [])


async def test_a_refusal_of_a_later_model_is_passed_over(providers: Providers) -> None:
    """A model that refuses does not fail a run whose first model is down only for a while."""
    providers.lab.server.reply(Reply.error(503), Reply.error(503))
    providers.other.reply(Reply.error(404, "no such model"))
    providers.lab.server.say("I am the third.")
    async with providers.worker():
        result = await providers.ask(model=["first", "other/second", "third"])
        assert result.success is True
    assert providers.models() == (["first", "third", "first"], ["second"])


async def test_a_run_overrides_the_list(providers: Providers) -> None:
    """A run may name one model, or a list of its own."""
    providers.lab.server.respond = lambda request: Reply(f"I am {request.body['model']}.")
    async with providers.worker():
        assert (await providers.ask(model="other/fourth")).content == "I am the second."
        assert (await providers.ask(model=["third", "first"])).content == "I am third."
        status = await providers.lab.holdfast.run("asker", "Hi", model=["third", "first"])
        assert status.run.model == "third"
    assert providers.models() == (["third", "third"], ["fourth"])


async def test_the_overflow_of_a_context_is_not_passed_over(providers: Providers) -> None:
    """A context that is too large for the first model is reported with its limit, and not sent to the next one."""
    providers.lab.server.reply(Reply.overflow())
    async with providers.worker():
        result = await providers.ask()
        assert result.run.error
        assert result.run.error.type == "ContextOverflow"
        history = providers.lab.client.get_workflow_handle(result.run_id).fetch_history_events()
        [failed] = [event async for event in history if event.HasField("activity_task_failed_event_attributes")]
        details = failed.activity_task_failed_event_attributes.failure.application_failure_info.details.payloads
        [report] = await providers.lab.client.data_converter.decode(details, [OverflowReport])
        assert (report.limit, report.size) == (8192, 9000)
    assert providers.models() == (["first"], [])


async def test_mid_stream_fallback(providers: Providers) -> None:
    """A reply that breaks off is replaced by that of the next model, from its beginning; followers are told."""
    providers.lab.server.reply(Reply(WORDS, piece_delay=0.04, cut_after=12))
    providers.other.reply(Reply(WORDS.upper(), piece_delay=0.04))
    async with providers.worker():
        handle = await providers.lab.holdfast.start("asker", "Write.")
        async with asyncio.timeout(TIMEOUT):
            events: list[Event] = [event async for event in handle.events()]
        result = await handle.result(TIMEOUT)
        assert result.content == WORDS.upper()
        assert result.usage.requests == 2, "what the first one wrote is counted"
        assert (await providers.reply(result))["tried"][0]["model"] == "first"
    deltas = [event for event in events if isinstance(event, TextDelta)]
    first = "".join(delta.text for delta in deltas if delta.attempt == 1)
    second = "".join(delta.text for delta in deltas if delta.attempt == 2)
    assert first
    assert WORDS.startswith(first)
    assert second
    assert WORDS.upper().startswith(second), "the deltas of the second begin anew"
    [notice] = [event for event in events if isinstance(event, Notice)]
    assert "'first' did not answer (connection)" in notice.text
    place = events.index(notice)
    assert events.index(next(delta for delta in deltas if delta.attempt == 2)) == place + 1
    assert all(event.attempt == 1 for event in events[:place] if isinstance(event, TextDelta))
    [*_, last] = [event.message for event in events if isinstance(event, Entry) and event.message]
    assert last.content == WORDS.upper()


async def test_a_cancel_keeps_the_text_of_the_model_that_was_writing(providers: Providers) -> None:
    """After a cancel, the reply is the part of the second model's text, and says that the first one was tried."""
    providers.lab.server.reply(Reply(WORDS, piece_delay=0.02, cut_after=5))
    providers.other.reply(Reply(WORDS.upper(), piece_delay=0.02, hang_after=10))
    async with providers.worker():
        handle = await providers.lab.holdfast.start("asker", "Write.")
        async with asyncio.timeout(TIMEOUT):
            async for event in handle.events():
                if isinstance(event, TextDelta) and event.attempt == 2 and "WORD20" in event.text:
                    await handle.cancel()
        result = await handle.result(TIMEOUT)
        assert result.status == RunStatus.CANCELLED
        assert result.content.startswith("WORD0 ")
        assert (await providers.reply(result))["tried"][0]["model"] == "first"
    assert providers.other.requests[0].disconnected_at


async def test_half_open_single_probe(providers: Providers) -> None:
    """With an open breaker, the next model answers at once; then one call tries whether the first one is back."""
    providers.lab.server.respond = lambda _request: Reply.error(503)
    limits = {"model_breaker_failures": 3, "model_breaker_seconds": 2}
    async with providers.worker(**limits):
        for _ in range(3):
            assert (await providers.ask()).content == "I am the second."
        result = await providers.ask()
        assert (await providers.reply(result))["tried"][0]["reason"] == "breaker_open"
        assert len(providers.lab.server.requests) == 3, "the provider was not asked"
        providers.lab.server.hold()
        providers.lab.server.respond = lambda _request: Reply("I am the first.")
        await asyncio.sleep(2)  # until the breaker lets a call through
        asked = [asyncio.create_task(providers.ask()) for _ in range(6)]

        async def others_have_ended() -> bool:
            return sum(task.done() for task in asked) == 5

        await eventually(others_have_ended)
        assert len(providers.lab.server.requests) == 4, "one of them is the probe"
        providers.lab.server.release()
        answers = [result.content for result in await asyncio.gather(*asked)]
        assert sorted(answers) == ["I am the first."] + 5 * ["I am the second."]
        assert (await providers.ask()).content == "I am the first."


async def test_without_another_model_an_open_breaker_is_waited_for(providers: Providers) -> None:
    """A call whose provider is down waits until it is up, says why, and does not ask it meanwhile."""
    providers.lab.server.respond = lambda _request: Reply.error(503, "down for maintenance")
    limits = {"model_breaker_failures": 1, "model_breaker_seconds": 1.5}
    async with providers.worker(Agent(name="asker", model="first"), **limits):
        handle = await providers.lab.holdfast.start("asker", "Are you there?")
        async with asyncio.timeout(TIMEOUT):
            async for event in handle.events():
                if isinstance(event, Notice) and "'openai' is not called" in event.text:
                    assert "down for maintenance" in event.text
                    providers.lab.server.respond = None
        assert (await handle.result(TIMEOUT)).content == "done"
    assert len(providers.lab.server.requests) <= 3


async def test_concurrent_calls_of_a_provider_are_limited(providers: Providers) -> None:
    """MAX_CONCURRENT_MODEL_CALLS limits the calls of one worker at a provider; those beyond wait."""
    providers.lab.server.hold()
    async with providers.worker(max_concurrent_model_calls="openai=2"):
        asked = [asyncio.create_task(providers.ask(model="first")) for _ in range(5)]
        await providers.lab.server.wait_for_requests(2)
        assert (await providers.ask(model="other/second")).success, "another provider has a limit of its own"
        assert len(providers.lab.server.requests) == 2
        providers.lab.server.release()
        assert all(result.success for result in await asyncio.gather(*asked))
    assert len(providers.lab.server.requests) == 5
