"""Large payloads: no size makes a run fail."""

from __future__ import annotations

import base64
import random
from collections.abc import AsyncIterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowHistory

from holdfast import Agent, RunStatus, ToolContext, UsageError, WaitTimedOut, tool
from holdfast.storage.payloads.chunk_table import ChunkTable
from holdfast.testing import Reply
from tests.support.lab import Lab
from tests.support.stored_lab import open_stored_lab
from tests.support.surreal_server import PASSWORD, USERNAME, SurrealServer

MB = 1_000_000


@cache
def prose(size: int, seed: int = 1) -> str:
    """Text that does not repeat itself, with characters that JSON escapes."""
    text = base64.b64encode(random.Random(seed).randbytes(size)).decode()[:size]
    return text.translate({ord("a"): '"', ord("b"): "\n", ord("c"): "é"})


@tool(read_only=True)
def dump(context: ToolContext, size: int, seed: int = 1) -> str:
    """Makes a checkpoint, and gives much.

    Args:
        context: makes the checkpoint.
        size: how much, in characters.
        seed: which.
    """
    context.create_checkpoint("dumped", {"size": size})
    return prose(size, seed)


hoarder = Agent(name="hoarder", system_prompt="You hoard.", tools=[dump])


@pytest.fixture
async def stored(temporal_address: str, tmp_path: Path) -> AsyncIterator[tuple[Lab, ChunkTable]]:
    """A lab with an embedded database."""
    async with open_stored_lab(temporal_address, tmp_path) as lab_and_store:
        yield lab_and_store


async def history_of(lab: Lab, run_id: str) -> WorkflowHistory:
    """What Temporal has of a run."""
    return await lab.client.get_workflow_handle(run_id).fetch_history()


def size_of(history: WorkflowHistory) -> int:
    """Bytes of a history."""
    return sum(event.ByteSize() for event in history.events)


async def test_large_results_and_inputs_and_transcripts(stored: tuple[Lab, ChunkTable]) -> None:
    """A run with an input of 5 MB, two results of 3 MB and a reply over 1 MB completes and can be read."""
    lab, payloads = stored
    question = "Read this: " + prose(5 * MB, 9)
    answer = prose(MB + MB // 2, 8)
    lab.server.call_tools(("dump", {"size": 3 * MB, "seed": 1}))
    lab.server.call_tools(("dump", {"size": 3 * MB, "seed": 2}))
    lab.server.say(answer)
    async with lab.worker(hoarder, max_cached_workflows=100):
        handle = await lab.holdfast.start("hoarder", question)
        result = await handle.result(60)
        assert (result.status, result.content) == (RunStatus.COMPLETED, answer)
        messages = [message.content async for message in handle.transcript()]
        assert messages[1] == question
        assert [messages[3], messages[5]] == [prose(3 * MB, 1), prose(3 * MB, 2)]
        await lab.assert_mirrored(handle.id)
        history = await history_of(lab, handle.id)
    assert size_of(history) < 100_000, "references, not contents"
    assert [len(m["content"] or "") for m in lab.server.requests[2].messages if m["role"] == "tool"] == [3 * MB, 3 * MB]
    everything = len(question) + 6 * MB + len(answer)
    assert 0.5 * everything < (await payloads.amount()).bytes < 1.3 * everything


async def test_a_result_beyond_the_limit_is_an_error_for_the_model(stored: tuple[Lab, ChunkTable]) -> None:
    """A result beyond the limit is reported to the model, and the run continues, with the checkpoint of its tool."""
    lab, _ = stored
    lab.settings.max_payload_bytes = 2 * MB
    lab.server.call_tools(("dump", {"size": 2 * MB + 500}))
    lab.server.say("I shall ask for less.")
    async with lab.worker(hoarder, max_cached_workflows=100):
        handle = await lab.holdfast.start("hoarder", "All of it!")
        assert (await handle.result(60)).content == "I shall ask for less."
        assert [point.data for point in await handle.checkpoints() if point.name == "dumped"] == [{"size": 2_000_500}]
    told = [m["content"] for m in lab.server.requests[1].messages if m["role"] == "tool"]
    assert len(told) == 1
    assert "bytes; the maximum is 2,000,000: return less, or write a file" in told[0]


async def test_a_reply_beyond_the_limit_fails_the_run_with_a_reason(stored: tuple[Lab, ChunkTable]) -> None:
    """A reply beyond the limit fails the run, and the reason names both sizes."""
    lab, _ = stored
    lab.settings.max_payload_bytes = MB
    lab.server.say("x" * (MB + 1))
    async with lab.worker(hoarder, max_cached_workflows=100):
        result = await lab.holdfast.run("hoarder", "Speak!")
    assert result.status == RunStatus.FAILED
    assert result.error is not None
    assert "the maximum is 1,000,000: set max_tokens" in result.error


async def test_an_input_beyond_the_limit_is_refused_before_it_travels(stored: tuple[Lab, ChunkTable]) -> None:
    """An input beyond the limit is refused at the start."""
    lab, _ = stored
    with pytest.raises(UsageError, match="has 16,777,217 bytes, but at most 16,777,216 are accepted"):
        await lab.holdfast.start("hoarder", "x" * (16 * 1024 * 1024 + 1))


async def test_an_input_beyond_the_worker_s_limit_fails_the_run(stored: tuple[Lab, ChunkTable]) -> None:
    """An input beyond the worker's own limit fails the run with the reason."""
    lab, _ = stored
    lab.settings.max_payload_bytes = MB
    async with lab.worker(hoarder, max_cached_workflows=100):
        result = await lab.holdfast.run("hoarder", "x" * (MB + 1))
    assert result.status == RunStatus.FAILED
    assert result.error is not None
    assert "its input has 1,000,001 bytes; the maximum is 1,000,000" in result.error


async def test_without_a_store_the_limit_is_temporal_s(lab: Lab) -> None:
    """Without a payload store Temporal's limit applies; the model is told, and the run continues."""
    lab.server.call_tools(("dump", {"size": 3 * MB}))
    lab.server.reply(Reply(text="Less, then."))
    async with lab.worker(hoarder, max_cached_workflows=100):
        handle = await lab.holdfast.start("hoarder", "All of it!")
        assert (await handle.result(60)).content == "Less, then."
    told = [m["content"] for m in lab.server.requests[1].messages if m["role"] == "tool"]
    assert "the maximum is 1,000,000" in told[0]


async def test_a_store_that_is_unavailable_costs_no_run(temporal_address: str, tmp_path: Path) -> None:
    """While the store is unavailable, payloads that fit travel inline, larger ones wait, and no run fails."""
    with SurrealServer.find(tmp_path) as server:
        options: dict[str, Any] = {"url": server.url, "username": USERNAME, "password": PASSWORD}
        async with open_stored_lab(temporal_address, tmp_path, **options) as (lab, _):
            server.kill()
            lab.server.call_tools(("dump", {"size": MB // 2}))
            lab.server.say("Half a megabyte.")
            async with lab.worker(hoarder, max_cached_workflows=100):
                result = await lab.holdfast.run("hoarder", "Half!")
                assert result.content == "Half a megabyte."
                lab.server.call_tools(("dump", {"size": 3 * MB}))
                lab.server.say("Three megabytes.")
                handle = await lab.holdfast.start("hoarder", "Three!")
                await lab.server.wait_for_requests(3)
                with pytest.raises(WaitTimedOut):
                    await handle.result(3)
                server.start()
                assert (await handle.result(60)).content == "Three megabytes."
                await lab.assert_mirrored(handle.id)


async def test_reading_waits_for_a_store_that_is_unavailable(temporal_address: str, tmp_path: Path) -> None:
    """Workers and clients wait for payloads while the store is unavailable."""
    with SurrealServer.find(tmp_path) as server:
        options: dict[str, Any] = {"url": server.url, "username": USERNAME, "password": PASSWORD}
        async with open_stored_lab(temporal_address, tmp_path / "one", **options) as (lab, _):
            handle = await lab.holdfast.start("hoarder", prose(3 * MB))
            async with open_stored_lab(temporal_address, tmp_path / "two", **options) as (other, _):
                server.kill()
                other.settings = lab.settings
                async with other.worker(hoarder, max_cached_workflows=100):
                    with pytest.raises(WaitTimedOut):
                        await handle.result(3)
                    server.start()
                    assert (await handle.result(60)).content == "done"
