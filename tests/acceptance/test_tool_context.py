"""Reports of a tool while it runs, and what it learns of its run."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from holdfast import Agent, Event, ToolContext, ToolProgress, UsageError, tool
from holdfast.agents.tool import Tool
from tests.support.lab import TIMEOUT, Lab, eventually
from tests.support.log_lines import log_lines

STAGES = [("analyzing", 10), ("generating", 30), ("building", 60), ("deploying", 90), ("completed", 100)]


class Gates:
    """Lets the tool below go from one stage to the next."""

    def __init__(self) -> None:
        self.reached = [asyncio.Event() for _ in STAGES]
        self.open = [asyncio.Event() for _ in STAGES]

    def tool(self) -> Tool:
        """A tool that reports five stages and waits after each."""

        @tool(read_only=True)
        async def build(context: ToolContext) -> str:
            """Builds."""
            for number, (name, progress) in enumerate(STAGES):
                context.stage(name, progress)
                self.reached[number].set()
                await self.open[number].wait()
            return "built"

        return build


async def test_stage_name_progress_is_shown_live_and_recorded_last(lab: Lab) -> None:
    """Observers receive each stage in order, `status` shows the current one, and the log has the last one."""
    gates = Gates()
    lab.server.call_tools(("build", {}))
    lab.server.say("Done.")
    seen: list[Event] = []
    async with lab.worker(Agent(name="builder", tools=[gates.tool()])):
        run = await lab.holdfast.start("builder", "Build.")

        async def follow() -> None:
            async for event in run.events():
                seen.append(event)  # noqa: PERF401 - it is looked at meanwhile

        following = asyncio.create_task(follow())
        for number, (name, progress) in enumerate(STAGES):
            await gates.reached[number].wait()

            async def is_seen(wanted: str = f"{name} · {progress}%") -> bool:
                return wanted in map(str, seen)

            await eventually(is_seen)
            if name == "generating":

                async def is_shown() -> bool:
                    return [str(made) for made in (await run.status()).progress] == ["generating · 30%"]

                await eventually(is_shown)
            gates.open[number].set()
        async with asyncio.timeout(TIMEOUT):
            await following
        entries = await lab.entries(run.id)
    assert [str(event) for event in seen if isinstance(event, ToolProgress)] == [
        f"{name} · {done}%" for name, done in STAGES
    ]
    [result] = [entry for entry in entries if entry.kind == "tool_result"]
    assert result.data["progress"] == {"stage": "completed", "percent": 100.0}


async def test_a_tool_that_reports_nothing_leaves_no_trace_of_it(lab: Lab) -> None:
    """The result of a call that uses none of this has the fields that it always had."""

    @tool(read_only=True)
    def plain(context: ToolContext) -> str:
        """Says so."""
        return context.tool

    lab.server.call_tools(("plain", {}))
    lab.server.say("Done.")
    async with lab.worker(Agent(name="plain", tools=[plain])):
        result = await lab.holdfast.run("plain", "Go.")
        [entry] = [entry for entry in await lab.entries(result.run_id) if entry.kind == "tool_result"]
    assert entry.data["message"]["content"] == "plain"
    assert entry.data.keys() == {"message", "tool", "error", "files", "seconds"}


async def test_emit_wakes_a_run_that_waits(lab: Lab) -> None:
    """An event that a tool emits reaches the runs that wait for it, once, before the result of the call."""

    @tool(read_only=True, retries=1)
    def ship(context: ToolContext) -> str:
        """Ships."""
        context.emit("shipped", {"order": 7})
        if context.attempt == 1:
            raise ConnectionError("again")
        return "ok"

    lab.server.call_tools(("ship", {}))
    lab.server.say("Shipped.")
    async with lab.worker(Agent(name="shipper", tools=[ship])):
        result = await lab.holdfast.run("shipper", "Ship.")
        assert result.success
        topic = lab.client.get_workflow_handle(f"event/{lab.settings.temporal_task_queue}/shipped")
        signals = [
            event
            async for event in topic.fetch_history_events()
            if event.HasField("workflow_execution_signaled_event_attributes")
        ]
    payloads: list[Any] = [
        (await lab.client.data_converter.decode(event.workflow_execution_signaled_event_attributes.input.payloads))[0]
        for event in signals
    ]
    assert [payload["data"] for payload in payloads] == [{"order": 7}] * 2
    assert len({payload["id"] for payload in payloads}) == 1, "so that the second one is not emitted again"


async def test_cancel_reaches_a_tool_in_a_thread(lab: Lab) -> None:
    """A plain function sees that the run was cancelled, cleans up, and what it returns is kept."""
    begun, cleaned = threading.Event(), threading.Event()

    @tool
    def wait(context: ToolContext) -> str:
        """Waits."""
        context.on_cancel(cleaned.set)
        begun.set()
        while not context.is_cancelled:
            cleaned.wait(0.05)
        return "stopped in good order"

    lab.server.call_tools(("wait", {}))
    async with lab.worker(Agent(name="waiter", tools=[wait])):
        run = await lab.holdfast.start("waiter", "Wait.")
        await asyncio.to_thread(begun.wait, TIMEOUT)
        await run.cancel()
        result = await run.result(TIMEOUT)
        [entry] = [entry for entry in await lab.entries(run.id) if entry.kind == "tool_result"]
    assert result.status == "cancelled"
    assert entry.data["message"]["content"] == "stopped in good order"
    assert cleaned.is_set()


async def test_the_logger_names_run_and_tool(lab: Lab) -> None:
    """Each line that a tool writes with the logger of its context has the run and the tool."""

    @tool(read_only=True)
    def chatty(context: ToolContext) -> str:
        """Logs."""
        context.logger.warning("counted", rows=3)
        return "ok"

    lab.server.call_tools(("chatty", {}))
    lab.server.say("Done.")
    with log_lines() as lines:
        async with lab.worker(Agent(name="chatty", tools=[chatty])):
            result = await lab.holdfast.run("chatty", "Go.")
    [line] = [line for line in lines if line["event"] == "counted"]
    assert (line["run_id"], line["tool"], line["rows"]) == (result.run_id, "chatty", 3)


async def test_context_reaches_the_tools_of_a_run_its_children_and_its_forks(lab: Lab) -> None:
    """What a run is started with as `context=` is a read-only mapping for its tools, and never part of a request."""

    @tool(read_only=True)
    def whoami(context: ToolContext) -> str:
        """Names the customer."""
        return f"customer {context.context['customer']}, {type(context.context).__name__}"

    told = "customer 7, mappingproxy"
    helper = Agent(name="helper", tools=[whoami])
    clerk = Agent(name="clerk", tools=[whoami], agents=[helper])
    lab.server.call_tools(("whoami", {}))
    lab.server.call_tools(("ask_helper", {"input": "Who?"}))
    lab.server.call_tools(("whoami", {}))
    for text in ("Yours.", "You.", "You still."):
        lab.server.say(text)
    async with lab.worker(clerk, helper):
        run = await lab.holdfast.start("clerk", "Who am I?", context={"customer": 7, "note": "for tools only"})
        result = await run.result(TIMEOUT)
        lab.server.call_tools(("whoami", {}))
        lab.server.say("You once more.")
        fork = await run.fork(1, message="Again?")
        await fork.result(TIMEOUT)
        [child] = result.run.children
        logs = [await lab.entries(each) for each in (run.id, child.run, fork.id)]
    for log in logs:
        answers = [entry.data["message"]["content"] for entry in log if entry.data.get("tool") == "whoami"]
        assert answers[-1] == told
    assert "for tools only" not in str(lab.server.requests)
    with pytest.raises(UsageError, match="context"):
        await lab.holdfast.start("clerk", "Go.", context={"when": object()})  # type: ignore[dict-item]
    with pytest.raises(UsageError, match="65,536"):
        await lab.holdfast.start("clerk", "Go.", context={"much": "x" * 70_000})
