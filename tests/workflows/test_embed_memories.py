"""Embedding of memories in the background, with crashes of the worker and faults of the embedding model."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy

from holdfast import Agent
from holdfast._util.background import background_tasks
from holdfast.models.embeddings import OpenAIEmbedder
from holdfast.ops.embedding import EmbeddingWatch, workflow_id
from holdfast.protocol import EmbedRequest
from holdfast.storage.memory import Embedding, TextMemory
from holdfast.storage.persistence import Persistence, open_persistence
from holdfast.testing import EmbeddingFault
from holdfast.tools.memory import remember, search_memory
from holdfast.types import RunStatus
from tests.support.lab import Lab, eventually

NAMESPACES = ("shared", "agent/scribe")
scribe = Agent(name="scribe", system_prompt="You remember.", tools=[remember, search_memory])


@pytest.fixture
async def persistence(lab: Lab) -> AsyncIterator[Persistence]:
    """What is kept, in memory, with the lab's model server as embedding model."""
    opened = open_persistence(
        "memory://", embedder=OpenAIEmbedder(api_key="test", base_url=lab.server.url, model="test", dimensions=32)
    )
    yield opened
    await opened.close()


@asynccontextmanager
async def serving(lab: Lab, persistence: Persistence) -> AsyncIterator[None]:
    """A worker that also looks for memories to embed."""
    embedding = Embedding(persistence.memories)
    watch = EmbeddingWatch(lab.client, lab.settings.temporal_task_queue, embedding, interval=0.05)
    async with lab.worker(scribe, memories=persistence.memories), background_tasks(watch):
        yield


@pytest.fixture(autouse=True)
async def one_test_after_the_other(lab: Lab) -> AsyncIterator[None]:
    """Ends what a test leaves open: the workflows' ids are those of the namespaces, which tests share."""
    yield
    for namespace in NAMESPACES:
        async for found in lab.client.list_workflows(
            f"WorkflowId = '{workflow_id(lab.settings.temporal_task_queue, namespace)}'"
        ):
            if found.close_time is None:
                await lab.client.get_workflow_handle(found.id).terminate()


async def unembedded(memories: TextMemory, namespace: str = "shared") -> int:
    """How many memories have no vector."""
    return sum(memory.embedded_by is None for memory in await memories.list(namespace, limit=1000))


async def wait_embedded(memories: TextMemory, namespace: str = "shared") -> None:
    """Waits until none is left."""

    async def done() -> bool:
        return await unembedded(memories, namespace) == 0

    await eventually(done)


async def start(lab: Lab, request: object) -> WorkflowHandle[object, int]:
    """Starts the workflow as Temporal's own tools can."""
    return await lab.client.start_workflow(
        "EmbedMemories",
        request,
        id=workflow_id(lab.settings.temporal_task_queue, "shared"),
        task_queue=lab.settings.temporal_task_queue,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        result_type=int,
    )


async def test_what_is_added_is_embedded(lab: Lab, persistence: Persistence) -> None:
    """Added memories are embedded without a request."""
    memories = persistence.memories
    async with serving(lab, persistence):
        await memories.add("shared", "Deployments happen on Tuesdays.", id="deploy")
        await wait_embedded(memories)
        await memories.add("agent/scribe", "The coffee machine is broken.")
        await wait_embedded(memories, "agent/scribe")
        [match] = await memories.search("redeployments", 1, namespaces=["shared"])
    assert (match.id, match.found_by) == ("deploy", ["vector"])


async def test_many_go_in_batches_over_several_executions(lab: Lab, persistence: Persistence) -> None:
    """Many memories are embedded in batches, and the workflow continues as new."""
    memories = persistence.memories
    await memories.add_many("shared", [f"note {number}" for number in range(200)])
    async with lab.worker(memories=memories):  # no watch starts the workflow
        handle = await start(lab, EmbedRequest(namespace="shared", batches=2))
        assert await handle.result() == 200
    assert await unembedded(memories) == 0
    assert [len(request.body["input"]) for request in lab.server.embedding_requests] == [64, 64, 64, 8]
    first = await lab.client.get_workflow_handle(handle.id, run_id=handle.first_execution_run_id).fetch_history()
    assert first.events[-1].HasField("workflow_execution_continued_as_new_event_attributes")


async def test_an_embedding_model_that_is_unavailable_for_a_while(lab: Lab, persistence: Persistence) -> None:
    """Embedding waits while the model is unavailable, as long as it asks for, and then completes."""
    memories = persistence.memories
    lab.server.fail_embeddings(
        EmbeddingFault(status=429, headers={"Retry-After": "1"}), EmbeddingFault(status=500), EmbeddingFault(count=0)
    )
    async with serving(lab, persistence):
        await memories.add("shared", "Deployments happen on Tuesdays.")
        await wait_embedded(memories)
    times = [request.received_at for request in lab.server.embedding_requests]
    assert len(times) == 4
    assert times[1] - times[0] >= 1


async def test_a_worker_that_goes_leaves_nothing_behind(lab: Lab, persistence: Persistence) -> None:
    """A batch in flight is completed by the next worker."""
    memories = persistence.memories
    lab.server.hold()
    await memories.add_many("shared", [f"note {number}" for number in range(70)])
    async with serving(lab, persistence):

        async def asked() -> bool:
            return len(lab.server.embedding_requests) > 0

        await eventually(asked)
        lab.server.release()
    async with serving(lab, persistence):
        await wait_embedded(memories)


async def test_what_is_added_while_a_batch_is_on_its_way(lab: Lab, persistence: Persistence) -> None:
    """Memories added during the last batch are embedded too."""
    memories = persistence.memories
    async with serving(lab, persistence):
        for number in range(30):
            await memories.add("shared", f"note {number}")
        await wait_embedded(memories)


@pytest.mark.parametrize("wrong", [None, "shared", {"namespace": ""}, {"name": "shared"}, 7])
async def test_a_malformed_start_fails_in_words(lab: Lab, persistence: Persistence, wrong: object) -> None:
    """A malformed input fails the workflow with a reason."""
    async with serving(lab, persistence):
        handle = await lab.client.start_workflow(
            "EmbedMemories",
            wrong,
            id=f"wrong-{lab.settings.temporal_task_queue}",
            task_queue=lab.settings.temporal_task_queue,
        )
        with pytest.raises(WorkflowFailureError) as failure:
            await handle.result()
    assert "namespace" in str(failure.value.cause)


async def test_an_agent_remembers_and_finds_again(lab: Lab, persistence: Persistence) -> None:
    """An agent's tools store and find memories in its own namespace."""
    lab.server.call_tools(("remember", {"text": "The customer Meyer pays late."}), ("remember", {"text": " "}))
    lab.server.call_tools(("search_memory", {"query": "customer"}), ("search_memory", {"query": "zebra"}))
    lab.server.say("Meyer pays late.")
    await persistence.memories.add("agent/other", "The customer Schulze pays early.")
    async with serving(lab, persistence):
        result = await lab.holdfast.run("scribe", "Who pays late?")
    assert result.status is RunStatus.COMPLETED
    told = [message["content"] for message in lab.server.requests[-1].messages if message["role"] == "tool"]
    assert told[0].startswith("remembered as ")
    assert "not blank" in told[1]
    assert "Meyer" in told[2]
    assert "Schulze" not in told[2]
    assert await persistence.memories.count("agent/scribe") == 1
