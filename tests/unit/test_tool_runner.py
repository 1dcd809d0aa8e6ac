"""Threads and event loops of tools, and what happens to calls that do not end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from holdfast import Tool, ToolContext, ToolError, tool
from holdfast.activities.tool_loop import CallerLoop, ToolLoop
from holdfast.activities.tool_runner import ToolRunner
from holdfast.activities.tool_threads import ToolThreads, UnfinishedCall
from holdfast.storage.memory import TextMemory
from holdfast.storage.memory.in_process import InProcessTable
from holdfast.tools import list_files
from tests.support.lab import eventually
from tests.support.log_lines import log_lines

CONTEXT = ToolContext(run_id="r1", call_id="c1", agent="a", turn=1, attempt=1, workspace=Path("/nowhere"))


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """Ends the calls that hang, at the end of a test at the latest."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def log() -> Iterator[list[Any]]:
    """The log's lines."""
    with log_lines() as lines:
        yield lines


def hanging(release: threading.Event, timeout: float = 0.2) -> Tool:
    """A blocking tool that ends when it is released."""

    @tool(timeout=timeout)
    def hang() -> str:
        release.wait()
        return "released"

    return hang


@tool
def quick() -> str:
    """Returns at once."""
    return "quick"


async def call(runner: ToolRunner, called: Tool) -> str:
    """Calls a tool without arguments."""
    return (await runner.call(called, "{}", CONTEXT)).content


@pytest.mark.usefixtures("log")
async def test_calls_that_never_end_starve_no_other(release: threading.Event) -> None:
    """Blocking calls that never end starve neither later tools, nor the shipped ones, nor the loop's executor."""
    runner, hang = ToolRunner(ToolLoop()), hanging(release)
    hung = [asyncio.create_task(call(runner, hang)) for _ in range(64)]
    with pytest.raises(ToolError, match="the workspace is empty"):
        await runner.call(list_files, "{}", CONTEXT)
    assert await asyncio.get_running_loop().run_in_executor(None, lambda: "free") == "free"
    results = await asyncio.gather(*hung, return_exceptions=True)
    assert {str(result) for result in results} == {"the tool did not end within 0.2 s; it may still be running"}
    assert await call(runner, quick) == "quick"


async def test_a_call_that_finds_no_thread_says_so(release: threading.Event, log: list[Any]) -> None:
    """A call waits for a thread within its timeout, and then names the tools that have the threads."""
    threads = ToolThreads("test", calls=2)
    hung = [asyncio.create_task(threads.run("hang", release.wait, 60)) for _ in range(2)]
    await eventually(_async(threads._free.locked))
    with pytest.raises(UnfinishedCall, match=r"not called: none .* 2 threads became free within 0.05 s.* hang \(2\)"):
        await threads.run("late", lambda: "late", 0.05)
    assert [line["tool"] for line in log if "waits" in line["event"]] == ["late"]
    release.set()
    await asyncio.gather(*hung)
    assert await threads.run("late", lambda: "late", 1) == "late"


async def test_lost_threads_are_counted_until_their_calls_end(release: threading.Event, log: list[Any]) -> None:
    """A call that was given up is counted and logged with its tool; with too many, calls are refused."""
    threads = ToolThreads("test", calls=2, max_lost=3)
    for _ in range(3):
        with pytest.raises(UnfinishedCall):
            await threads.run("hang", release.wait, 0.01)
    assert threads.lost == 3
    assert [(line["tool"], line["busy_threads"]) for line in log if "keeps a thread" in line["event"]] == [
        ("hang", 1),
        ("hang", 2),
        ("hang", 3),
    ]
    with pytest.raises(UnfinishedCall, match=r"not called: 3 earlier calls never ended \(hang \(3\)\).*restarted"):
        await threads.run("late", lambda: "late", 1)
    release.set()
    await eventually(_async(lambda: threads.lost == 0))
    assert await threads.run("late", lambda: "late", 1) == "late"


async def test_an_async_tool_that_blocks_leaves_the_worker_free(release: threading.Event, log: list[Any]) -> None:
    """A tool that blocks its event loop does not block the caller's; the log names it and its place."""
    runner = ToolRunner(ToolLoop())

    @tool
    async def block() -> str:
        release.wait()
        return "blocked"

    called = asyncio.create_task(call(runner, block))
    await eventually(_async(lambda: any("blocks the event loop" in line["event"] for line in log)))
    assert not called.done()
    [line] = [line for line in log if "blocks the event loop" in line["event"]]
    assert line["tool"] == "block"
    assert "threading.py" in line["at"]
    release.set()
    assert await called == "blocked"
    await eventually(_async(lambda: any("free again" in line["event"] for line in log)))


async def test_later_calls_get_another_loop_than_a_blocked_one(
    release: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tool that blocks beyond its timeout is given up with the cause, and later async calls get a new loop."""
    monkeypatch.setattr("holdfast.activities.tool_loop.CANCEL_GRACE", 2.0)
    loop = ToolLoop()

    async def block() -> str:
        release.wait()
        return "never"

    async def hello() -> str:
        await asyncio.sleep(0)
        return "hello"

    with pytest.raises(UnfinishedCall, match=r"within 0.1 s: it blocks its event loop, so .* may still be running"):
        await loop.run("block", block, 0.1)
    assert await loop.run("hello", hello, 5) == "hello"


async def test_async_tools_end_at_their_timeout_and_may_clean_up() -> None:
    """A timeout cancels an async tool; its clean-up runs, and a result that it returns then is used."""
    cleaned: list[str] = []

    @tool(timeout=0.05)
    async def tidy() -> str:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            cleaned.append("tidy")
        return "never"

    @tool(timeout=0.05)
    async def stubborn() -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return "what I have"
        return "never"

    runner = ToolRunner(ToolLoop())
    with pytest.raises(UnfinishedCall, match=r"^the tool did not end within 0.05 s$"):
        await call(runner, tidy)
    assert cleaned == ["tidy"]
    assert await call(runner, stubborn) == "what I have"


@pytest.mark.parametrize("raised", [asyncio.CancelledError(), KeyboardInterrupt(), SystemExit(3), GeneratorExit()])
@pytest.mark.parametrize("loop", [ToolLoop, CallerLoop])
async def test_what_ends_loops_is_an_error_of_the_tool(raised: BaseException, loop: type[CallerLoop]) -> None:
    """CancelledError, KeyboardInterrupt and the like, raised by a tool itself, are its errors; later calls work."""

    @tool
    async def cooperative() -> str:
        raise raised

    @tool
    def blocking() -> str:
        raise raised

    runner = ToolRunner(loop())
    for raising in (cooperative, blocking):
        with pytest.raises(RuntimeError, match=r"^the tool (raised (\w+)|called sys.exit\(3\))"):
            await call(runner, raising)
    assert await call(runner, quick) == "quick"


async def test_a_tool_in_its_own_loop_uses_the_workers_memory() -> None:
    """Tools find the worker's text memory in context, which answers in whichever loop or thread they are."""
    mine = asyncio.get_running_loop()

    class Memories(TextMemory):
        async def add(self, namespace: str, text: str, *_args: Any, **_kwargs: Any) -> str:
            assert asyncio.get_running_loop() is mine
            return f"{namespace}: {text}"

    @tool
    async def note(context: ToolContext) -> str:
        assert asyncio.get_running_loop() is not mine
        assert context.memories is not None
        return await context.memories.add("notes", "a thing")

    @tool
    def note_in_thread(context: ToolContext) -> str:
        assert context.memories is not None
        return asyncio.run(context.memories.add("notes", "a thing"))

    context = replace(CONTEXT, memories=Memories(InProcessTable()))
    for tool_ in (note, note_in_thread):
        assert (await ToolRunner(ToolLoop()).call(tool_, "{}", context)).content == "notes: a thing"


def _async(condition: Callable[[], object]) -> Callable[[], Awaitable[bool]]:
    async def check() -> bool:
        return bool(condition())

    return check
