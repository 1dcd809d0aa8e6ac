"""Rates of model calls: the server limits them over all workers, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest

from holdfast import Agent, tool
from holdfast.agents.catalog import AgentCatalog
from holdfast.composition import worker
from holdfast.composition.models import configured_models
from holdfast.storage.persistence import Persistence
from holdfast.temporal.connection import connect_temporal
from holdfast.testing import ModelServer, Reply
from holdfast.types import RunId
from holdfast.workflows import options
from tests.support.lab import Lab

RATE = 5.0  # calls per second
BURST = 6  # calls that the server hands out at once: those of one second, and the next one
TOOLS = 20


@tool(read_only=True)
async def look(number: int) -> str:
    """Looks."""
    return f"saw {number}"


asker = Agent(name="asker", tools=[look])
chooser = Agent(name="chooser", model=["first", "other/second"])


def with_providers(lab: Lab, **settings: Any) -> Lab:
    """The lab with a provider of its own."""
    wanted = {"openai_api_key": SecretStr("test"), "openai_base_url": lab.server.url, "openai_model": "default"}
    return replace(lab, settings=lab.settings.model_copy(update={**wanted, **settings}))


@asynccontextmanager
async def serving(lab: Lab, *agents: Agent, sandboxed: bool = True) -> AsyncIterator[None]:
    """Runs a worker with a connection and models of its own."""
    client = await connect_temporal(lab.settings.temporal_address or "")
    model = configured_models(lab.settings)
    running = worker.build_worker(
        client,
        lab.settings,
        catalog=AgentCatalog(agents),
        model=model,
        persistence=Persistence(database=None, store=lab.store, bus=lab.bus),
        sandboxed=sandboxed,
    )
    async with running:
        yield
    await model.close()


async def queues(lab: Lab, run_id: RunId) -> list[str]:
    """The task queues of a run's activities, in order."""
    return [
        event.activity_task_scheduled_event_attributes.task_queue.name
        async for event in lab.client.get_workflow_handle(run_id).fetch_history_events()
        if event.HasField("activity_task_scheduled_event_attributes")
    ]


def most_within(seconds: float, moments: Sequence[float]) -> int:
    """The largest number of moments within so many seconds."""
    return max(sum(start <= moment < start + seconds for moment in moments) for start in moments)


async def test_two_workers_one_rate(lab: Lab) -> None:
    """Two workers together make as many model calls as the rate allows; their tools are not slowed down."""
    lab = with_providers(lab, model_calls_per_second=f"{RATE:g}")
    lab.server.call_tools(*(("look", {"number": number}) for number in range(TOOLS)))
    async with AsyncExitStack() as workers:
        for _ in range(2):
            await workers.enter_async_context(serving(lab, asker))
        result = await lab.holdfast.run("asker", "Look.")
        assert (result.success, result.run.tool_calls) == (True, TOOLS), result.error
        first, second = lab.server.requests
        assert second.received_at - (first.finished_at or 0) < (TOOLS - BURST) / RATE, "the tools were not limited"
        asked = [lab.holdfast.run("asker", "Are you there?") for _ in range(BURST + 5)]
        assert all(result.success for result in await asyncio.gather(*asked))
    moments = sorted(request.received_at for request in lab.server.requests)
    assert len(moments) == BURST + 7
    assert most_within(0.9, moments) <= BURST + RATE
    assert moments[-1] - moments[0] > 5 / RATE * 0.9


async def test_a_provider_without_a_rate_is_not_limited(lab: Lab) -> None:
    """The rate of one provider does not concern another one, and its runs have no other task queue."""
    async with ModelServer() as other:
        lab = with_providers(lab, model_calls_per_second="other=0.1", model_providers=f"other={other.url}")
        async with serving(lab, asker):
            asked = [lab.holdfast.run("asker", "Are you there?") for _ in range(6)]
            assert all(result.success for result in await asyncio.gather(*asked))
        assert not other.requests


async def test_the_server_keeps_the_rate(lab: Lab) -> None:
    """The rate is a property of the task queue, which operators see and may change."""
    lab = with_providers(lab, model_calls_per_second="7.5")
    async with serving(lab, asker):
        found = await lab.client.workflow_service.describe_task_queue(
            DescribeTaskQueueRequest(
                namespace="default",
                task_queue=TaskQueue(name=f"{lab.settings.temporal_task_queue}/models/openai"),
                task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
                report_config=True,
            )
        )
    assert found.config.queue_rate_limit.rate_limit.requests_per_second == 7.5
    assert found.config.queue_rate_limit.metadata.reason == "MODEL_CALLS_PER_SECOND"


@pytest.mark.parametrize("rates", ["50", "other=50", "openai=50"])
async def test_fallback_is_counted(lab: Lab, rates: str) -> None:
    """Each request is counted at its own provider, also those of fallback; the reply says what was tried."""
    async with ModelServer(lambda _request: Reply("I am the second.")) as other:
        lab = with_providers(lab, model_calls_per_second=rates, model_providers=f"other={other.url}")
        lab.server.reply(Reply("I am the first, and break off.", cut_after=1))
        async with serving(lab, chooser):
            result = await lab.holdfast.run("chooser", "Are you there?")
            assert (result.content, result.usage.requests) == ("I am the second.", 2)
            entries = await lab.entries(result.run_id)
            [reply] = [entry.data for entry in entries if entry.message and entry.message.role == "assistant"]
            assert [tried["model"] for tried in reply["tried"]] == ["first"]
            assert "attempts" not in reply
            await lab.assert_mirrored(result.run_id)
    assert (len(lab.server.requests), len(other.requests)) == (1, 1)


async def test_all_models_are_asked_again_if_none_answers(lab: Lab) -> None:
    """With rates, too, a call for which no model answers begins again with the first one, and counts its attempts."""
    async with ModelServer() as other:
        lab = with_providers(lab, model_calls_per_second="50", model_providers=f"other={other.url}")
        lab.server.reply(Reply.error(503))
        other.reply(Reply.error(503, headers={"Retry-After": "0.2"}))
        async with serving(lab, chooser):
            result = await lab.holdfast.run("chooser", "Are you there?")
            assert result.success
            entries = await lab.entries(result.run_id)
            [reply] = [entry.data for entry in entries if entry.message and entry.message.role == "assistant"]
            assert (reply["attempts"], "tried" in reply) == (2, False)
    assert (len(lab.server.requests), len(other.requests)) == (2, 1)


async def test_a_run_from_before_the_setting_is_limited(lab: Lab) -> None:
    """A run that began without a rate continues in the task queue with the rate."""
    lab = with_providers(lab)
    lab.server.reply(Reply.error(503, headers={"Retry-After": "1"}))
    async with serving(lab, asker):
        run = await lab.holdfast.start("asker", "Are you there?")
        await lab.server.wait_for_requests(1)
    async with serving(with_providers(lab, model_calls_per_second="50"), asker):
        assert (await run.result(60)).success
    assert await queues(lab, run.id) == [
        lab.settings.temporal_task_queue,
        f"{lab.settings.temporal_task_queue}/models/openai",
    ]


async def test_a_run_from_before_the_setting_was_removed_continues(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run whose calls nobody takes any more, as the rate was removed, calls in its own task queue after a while."""
    monkeypatch.setattr(options, "RATED_CALL_TIMEOUT", timedelta(seconds=1))
    lab.server.reply(Reply.error(503, headers={"Retry-After": "1"}))
    lab.server.call_tools(("look", {"number": 1}))
    async with serving(with_providers(lab, model_calls_per_second="50"), asker, sandboxed=False):
        run = await lab.holdfast.start("asker", "Look.")
        await lab.server.wait_for_requests(1)
    async with serving(with_providers(lab), asker, sandboxed=False):
        result = await run.result(60)
        assert (result.success, result.run.tool_calls) == (True, 1)
    own = lab.settings.temporal_task_queue
    assert await queues(lab, run.id) == [f"{own}/models/openai", own, own, own]
