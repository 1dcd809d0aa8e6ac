"""Calls that an MCP server keeps open in one of several worker processes, while a person is asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetStickyTaskQueueRequest

from holdfast import RunHandle
from holdfast.progress import Wait
from holdfast.testing import ChatRequest, ChatToolCall, Reply
from tests.support.lab import eventually
from tests.support.mcp_shops import FOLDER, Shop
from tests.support.processes import TIMEOUT, Site

RUNS = 5
ANSWER = '{"day": "Monday"}'


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """What the servers of the workers write down."""
    (tmp_path / "shop").mkdir()
    return Shop(tmp_path / "shop")


@pytest.fixture
async def site(temporal_address: str, tmp_path: Path, shop: Shop) -> AsyncIterator[Site]:
    """Where the workers run, each with a store of its own."""
    async with Site.open(temporal_address, tmp_path) as site:
        site.environment |= {
            "HOLDFAST_AGENTS": "tests.support.mcp_desk",
            "STATE_PERSISTENCE_BACKEND": "memory",
            FOLDER: str(shop.folder),
        }
        site.server.respond = _book
        yield site


def _book(request: ChatRequest) -> Reply:
    """A model that books for the name that it is told, and says what it reads."""
    last = request.messages[-1]
    if last["role"] == "tool":
        return Reply(str(last["content"]))
    return Reply(tool_calls=[ChatToolCall("shop__book", {"name": str(last["content"])})])


async def question_of(run: RunHandle) -> Wait:
    """Waits until the server asks."""
    found: list[Wait] = []

    async def asks() -> bool:
        found[:] = (await run.status()).waits_for
        return bool(found)

    await eventually(asks)
    return found[0]


async def outcome_of(run: RunHandle) -> str | None:
    """How the result of a run's only call is known."""
    [known] = [entry.data.get("outcome") async for entry in run.entries() if entry.kind == "tool_result"]
    assert known is None or isinstance(known, str)
    return known


async def is_searched(site: Site, run: RunHandle) -> bool:
    """Whether a worker got the answer that does not keep the call open."""
    history = await site.client.get_workflow_handle(run.id).fetch_history()
    started = [event.activity_task_started_event_attributes for event in history.events]
    return any("does not keep this call open" in each.last_failure.message for each in started)


async def forget_worker(site: Site, run: RunHandle) -> None:
    """Lets any worker have the next workflow task of a run, as if the run were not in the memory of one any more."""
    execution = WorkflowExecution(workflow_id=run.id)
    request = ResetStickyTaskQueueRequest(namespace=site.client.namespace, execution=execution)
    await site.client.workflow_service.reset_sticky_task_queue(request)


async def test_an_answer_reaches_the_worker_that_keeps_the_call_open(site: Site, shop: Shop) -> None:
    """With several workers on one task queue, an answer goes to the one whose server waits for it. If that was killed,
    nobody knows what the call did; one that may be repeated is made by another worker, with the answer.
    """
    holder = await site.worker()
    runs, questions = [], []
    for number in range(RUNS):  # one by one: over standard streams, a question does not name its call
        runs.append(await site.holdfast.start("mcp_clerk", f"guest-{number}"))
        questions.append(await question_of(runs[-1]))
    repeated = await site.holdfast.start("trusting_clerk", "regular")
    asked = await question_of(repeated)
    await site.worker()
    for run, wait in zip(runs[1:], questions[1:], strict=True):
        await forget_worker(site, run)
        await run.answer(wait.id, ANSWER)
    results = await asyncio.gather(*(run.result(TIMEOUT) for run in runs[1:]))
    assert [result.content for result in results] == ["booked Monday for 2"] * (RUNS - 1)
    assert not any([await is_searched(site, run) for run in runs[1:]])
    holder.kill()
    await runs[0].answer(questions[0].id, ANSWER)
    await repeated.answer(asked.id, ANSWER)
    assert "it is unknown whether the call took effect" in (await runs[0].result(2 * TIMEOUT)).content
    assert await outcome_of(runs[0]) == "unknown"
    assert (await repeated.result(2 * TIMEOUT)).content == "booked Monday for 2"
    guests = [f"guest-{number} Monday 2" for number in range(1, RUNS)]
    assert sorted(shop.notes("booked")) == [*guests, "regular Monday 2"]
