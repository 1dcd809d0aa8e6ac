"""Compaction of a run's context: the model's view shrinks, the transcript stays whole."""

from __future__ import annotations

import uuid
from typing import Any

from holdfast import Agent, Entry, RunHandle, RunStatus, ToolContext, names, tool
from holdfast.context import CLEARED, SUMMARY
from holdfast.storage.mirror.memory import MemoryStore
from holdfast.testing import ChatRequest, ChatToolCall, Reply
from holdfast.types import Usage
from tests.support.lab import Lab, eventually

WINDOW = 8_000  # tokens
CHARS_PER_TOKEN = 4


@tool(read_only=True)
async def read(number: int, chars: int = 4_000) -> str:
    """Reads."""
    return f"page {number} " + "x" * chars


@tool(read_only=True)
async def keep(context: ToolContext) -> str:
    """Reads what must be kept."""
    context.pin_result()
    return "the secret is 42 " + "y" * 400


reader = Agent(name="reader", system_prompt="You read.", tools=[read, keep], context_window=WINDOW, max_turns=200)


def size(request: ChatRequest) -> int:
    """The tokens of a request, as this provider counts."""
    return sum(len(message["content"] or "") for message in request.messages) // CHARS_PER_TOKEN


def is_summary(request: ChatRequest) -> bool:
    return "You write the summary" in request.messages[0]["content"]


class Provider:
    """A model that reads page after page; it counts tokens, and refuses what is too large.

    Args:
        pages: number of pages that it reads before it answers.
        chars: of each page.
        text: what it says beside each call.
        window: tokens that it accepts.
    """

    def __init__(self, pages: int, *, chars: int = 4_000, text: str = "", window: int = WINDOW) -> None:
        self.pages, self.chars, self.text, self.window = pages, chars, text, window
        self.read = 0
        self.sizes: list[int] = []
        self.summaries: list[str] = []
        self.refused = 0

    def __call__(self, request: ChatRequest) -> Reply:
        tokens = size(request)
        if tokens > self.window:
            self.refused += 1
            return Reply.overflow()
        usage = Usage(requests=1, input_tokens=tokens, output_tokens=10)
        if is_summary(request):
            self.summaries.append(request.messages[-1]["content"])
            return Reply(f"summary {len(self.summaries)}", usage=usage)
        self.sizes.append(tokens)
        if self.read < self.pages:
            self.read += 1
            return Reply(
                self.text, tool_calls=[ChatToolCall("read", {"number": self.read, "chars": self.chars})], usage=usage
            )
        return Reply("I have read everything.", usage=usage)


def compactions(entries: list[Entry]) -> list[dict[str, Any]]:
    return [entry.data for entry in entries if entry.kind == "compaction"]


def messages(lab: Lab, number: int = -1) -> list[str]:
    """What the model was sent with a request."""
    return [message["content"] or "" for message in lab.server.requests[number].messages]


async def test_old_results_are_cleared_at_80_percent(lab: Lab) -> None:
    """Before the context is full, old results are cleared, without a call of the model; the transcript keeps them."""
    lab.server.respond = provider = Provider(pages=20)
    async with lab.worker(reader, max_cached_workflows=100):
        handle = await lab.holdfast.start("reader", "Read.")
        result = await handle.result(60)
        assert result.content == "I have read everything."
        assert (provider.refused, provider.summaries) == (0, [])
        assert max(provider.sizes) < 0.95 * WINDOW
        assert result.usage.requests == len(provider.sizes) == len(lab.server.requests)
        done = compactions(await lab.entries(handle.id))
        assert 2 <= len(done) <= 6
        for each in done:
            assert each["reason"] == "window"
            assert each["tokens_before"] >= 0.8 * WINDOW - 1_100
            assert each["tokens_after"] < 0.5 * WINDOW
            assert "summary" not in each
        assert messages(lab).count(CLEARED) >= 10
        transcript = [message async for message in handle.transcript()]
        assert [len(message.content) > 4_000 for message in transcript if message.role == "tool"] == [True] * 20
        await lab.assert_mirrored(handle.id)


async def test_latest_request_survives_compaction(lab: Lab) -> None:
    """What was said is summarized; the system prompt, the person's newest message, pins and the last turn stay."""
    lab.server.respond = provider = Provider(pages=26, chars=10, text="I think. " * 250)
    async with lab.worker(reader, max_cached_workflows=100):
        handle = await lab.holdfast.start("reader", "An old request. " * 400, timeout=60)
        await lab.server.wait_for_requests(2)
        await handle.send("My name is Ann.", pin=True)
        await lab.server.wait_for_requests(4)
        await handle.send("The latest request.")
        result = await handle.result(60)
        assert result.content == "I have read everything."
        assert provider.refused == 0
        assert len(provider.summaries) >= 2
        assert provider.summaries[1].count("summary 1") == 1, "a summary is summarized with what came after it"
        last = messages(lab)
        assert last[0] == "You read."
        assert {"My name is Ann.", "The latest request."} <= set(last)
        assert last.count(f"{SUMMARY}summary {len(provider.summaries)}") == 1
        assert not any("An old request." in text for text in last)
        assert last[-1].startswith("page 26")
        entries = await lab.entries(handle.id)
        done = compactions(entries)
        assert [each["summary"] for each in done] == [f"summary {number + 1}" for number in range(len(done))]
        used = [Usage.model_validate(each["usage"]) for each in done]
        assert result.usage.requests == len(provider.sizes) + len(used) == len(lab.server.requests)
        assert (await handle.status()).turn == len(provider.sizes), "a compaction is no turn"
        assert all(use.input_tokens > 1_000 for use in used)
        await lab.assert_mirrored(handle.id)


async def test_a_pinned_result_stays(lab: Lab) -> None:
    """A tool keeps its result in the context, with the call that it answers."""
    provider = Provider(pages=12)

    def respond(request: ChatRequest) -> Reply:
        if len(request.messages) == 2:
            return Reply(tool_calls=[ChatToolCall("keep", {})], usage=Usage(requests=1, input_tokens=10))
        return provider(request)

    lab.server.respond = respond
    async with lab.worker(reader, max_cached_workflows=100):
        result = await lab.holdfast.run("reader", "Read.")
        assert result.success
        last = messages(lab)
        assert last.count(CLEARED) >= 3
        assert sum(text.startswith("the secret is 42") for text in last) == 1


async def test_thrash_stops(lab: Lab) -> None:
    """Two compactions within three turns that free too little end the run, with the reason."""
    lab.server.respond = provider = Provider(pages=50, chars=29_000)
    async with lab.worker(reader):
        handle = await lab.holdfast.start("reader", "Read.")
        result = await handle.result(60)
        assert result.status == RunStatus.FAILED
        error = (await handle.status()).error
        assert error is not None
        assert error.type == "ContextOverflow"
        assert "of at most 8,000 tokens" in error.message
        assert "compacting it frees too little" in error.message
        assert len(provider.sizes) <= 4
        assert len(compactions(await lab.entries(handle.id))) == 2
        await lab.assert_mirrored(handle.id)


async def test_an_overflow_compacts_and_retries(lab: Lab) -> None:
    """A context that the provider refuses is compacted, also if the size of the window is not known."""
    agent = Agent(name="unsuspecting", system_prompt="You read.", tools=[read], max_turns=200)
    lab.server.respond = provider = Provider(pages=12)
    async with lab.worker(agent):
        handle = await lab.holdfast.start("unsuspecting", "Read.")
        result = await handle.result(60)
        assert result.content == "I have read everything."
        assert provider.refused >= 1
        done = compactions(await lab.entries(handle.id))
        assert done[0]["reason"] == "overflow"
        assert result.usage.requests == len(provider.sizes) + len(provider.summaries)
        await lab.assert_mirrored(handle.id)


async def test_an_overflow_that_nothing_helps_against_fails(lab: Lab) -> None:
    """A request that alone is too large fails the run, with the provider's words."""
    agent = Agent(name="unsuspecting", system_prompt="You read.", tools=[read])
    lab.server.respond = provider = Provider(pages=3)
    async with lab.worker(agent):
        handle = await lab.holdfast.start("unsuspecting", "Read. " * 10_000)
        await handle.result(60)
        error = (await handle.status()).error
        assert error is not None
        assert error.type == "ContextOverflow"
        assert "maximum context length" in error.message
        assert provider.refused == len(lab.server.requests) == 1


async def test_compact_while_a_run_waits_for_a_budget(lab: Lab) -> None:
    """The receipt says that the context is compacted once the budget is raised; then it is, before the next call."""
    lab.server.respond = provider = Provider(pages=1)
    async with lab.worker(reader, max_cached_workflows=100):
        handle = await lab.holdfast.start("reader", "Read.", budget={"tokens": 9_000, "on_limit": "ask"})
        await eventually(lambda: _waits_for_budget(handle))
        receipt = await handle.compact("the prices", id="c1")
        assert receipt.note is not None
        assert "waits for a larger budget" in receipt.note
        assert (await handle.compact("the prices", id="c1")).note == receipt.note
        assert await _waits_for_budget(handle)
        assert compactions(await lab.entries(handle.id)) == []
        assert (await handle.raise_budget(tokens=100_000)).note is None
        await handle.result(60)
        assert len(provider.sizes) == 2
        kinds = [entry.kind for entry in await lab.entries(handle.id) if entry.kind in {"compaction", "message"}]
        assert kinds[-2:] == ["compaction", "message"]
        assert [done["reason"] for done in compactions(await lab.entries(handle.id))] == ["command"]


async def _waits_for_budget(handle: RunHandle) -> bool:
    progress = await handle.status()
    is_waiting = progress.status == RunStatus.WAITING
    return is_waiting and [wait.kind for wait in progress.waits_for] == ["budget"]


async def test_compact_command(lab: Lab) -> None:
    """A person compacts the context of a session that waits, and says what the summary keeps."""
    lab.server.respond = provider = Provider(pages=5, chars=400, text="I think. " * 40)
    async with lab.worker(reader, max_cached_workflows=100):
        handle = await started_session(lab, "Read.")
        await eventually(lambda: _is_waiting(handle))
        receipt = await handle.compact("the prices", by="Ada")
        assert receipt.state == "waiting"
        await eventually(lambda: _is_compacted(handle))
        assert "keeps in particular: the prices" in provider.summaries[0]
        [done] = compactions(await lab.entries(handle.id))
        assert (done["reason"], done["focus"], done["by"]) == ("command", "the prices", "Ada")
        await eventually(lambda: _is_waiting(handle))
        await handle.send("And now?")
        await eventually(lambda: _is_waiting(handle))
        assert messages(lab)[1:3] == ["Read.", f"{SUMMARY}summary 1"]
        assert messages(lab)[-1] == "And now?"
        await handle.cancel()
        await handle.result(60)
        await lab.assert_mirrored(handle.id)


async def test_a_compaction_that_is_stopped(lab: Lab) -> None:
    """An interrupt stops the call of the model; the context stays as it is, and the run can be resumed."""
    provider = Provider(pages=14, chars=10, text="I think. " * 250)
    hung: list[bool] = []

    def respond(request: ChatRequest) -> Reply:
        if is_summary(request) and not hung:
            hung.append(True)
            return Reply("A summary that does not end", hang_after=1)
        return provider(request)

    lab.server.respond = respond
    async with lab.worker(reader, max_cached_workflows=100):
        handle = await lab.holdfast.start("reader", "Read.", timeout=60)
        await eventually(lambda: _has_hung(hung))
        assert "compacting the context" in (await handle.status()).doing
        await handle.interrupt()
        await eventually(lambda: _is_paused(handle))
        assert compactions(await lab.entries(handle.id)) == []
        await handle.resume()
        result = await handle.result(60)
        assert result.content == "I have read everything."
        assert [message.partial for message in [m async for m in handle.transcript()] if message.partial] == []


async def test_compaction_over_continue_as_new(short_histories: Lab) -> None:
    """What was compacted stays so in later executions, whose workers have only the mirror."""
    lab = short_histories
    lab.server.respond = provider = Provider(pages=70)
    store = MemoryStore()
    async with lab.worker(reader, store=store, max_cached_workflows=100):
        handle = await lab.holdfast.start("reader", "Read.", timeout=300)
        result = await handle.result(120)
        assert result.content == "I have read everything."
        assert provider.refused == 0
        assert max(provider.sizes) < 0.95 * WINDOW
        assert [len(message.content) > 4_000 async for message in handle.transcript() if message.role == "tool"] == [
            True
        ] * 70
        await lab.assert_mirrored(handle.id, store)


async def started_session(lab: Lab, text: str) -> RunHandle:
    """A session whose agent answers a first message."""
    run_id = f"session-{uuid.uuid4().hex[:8]}"
    request = {"agent": "reader", "input": text, "session": True}
    queue = lab.settings.temporal_task_queue
    await lab.client.start_workflow(names.AGENT_RUN, request, id=run_id, task_queue=queue)
    return lab.holdfast.handle(run_id)


async def _is_waiting(handle: RunHandle) -> bool:
    return (await handle.status()).status == RunStatus.WAITING


async def _is_paused(handle: RunHandle) -> bool:
    return (await handle.status()).status == RunStatus.PAUSED


async def _is_compacted(handle: RunHandle) -> bool:
    return bool(compactions([entry async for entry in handle.entries()]))


async def _has_hung(hung: list[bool]) -> bool:
    return bool(hung)
