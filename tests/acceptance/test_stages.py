"""The stages that tools enter: in lists, in the mirror, in search attributes, and how little they cost."""

from __future__ import annotations

import asyncio

import pytest

from holdfast import Agent, Holdfast, RunStatus, ToolContext, UsageError, tool
from holdfast.agents.tool import Tool
from tests.support.lab import Lab, eventually
from tests.support.trees import asks


class Steps:
    """A tool that enters each stage that it is told to, and ends when it is told so."""

    def __init__(self) -> None:
        self.wanted: asyncio.Queue[tuple[str, float] | None] = asyncio.Queue()

    def tool(self) -> Tool:
        """The tool."""

        @tool(read_only=True)
        async def build(context: ToolContext) -> str:
            """Builds."""
            while (step := await self.wanted.get()) is not None:
                context.stage(*step)
            return "built"

        return build


async def listed(holdfast: Holdfast, stage: str) -> list[str]:
    """The ids of the runs that are listed by a stage."""
    return [run.run_id async for run in holdfast.list(stage=stage)]


async def stage_signals(lab: Lab, run_id: str) -> int:
    """How many signals of stages a run was sent."""
    history = lab.client.get_workflow_handle(run_id).fetch_history_events()
    return sum([event.workflow_execution_signaled_event_attributes.signal_name == "stage" async for event in history])


async def test_runs_are_found_by_their_stage(lab: Lab) -> None:
    """While a call runs, its stage is in `status`, in lists and in the mirror; a name with blanks is in no list."""
    steps = Steps()
    first, second = f"building.{lab.settings.temporal_task_queue}", f"deploying.{lab.settings.temporal_task_queue}"
    lab.server.call_tools(("build", {}))
    lab.server.say("Done.")
    async with lab.worker(Agent(name="builder", tools=[steps.tool()])):
        run = await lab.holdfast.start("builder", "Build.")
        for name, done in ((first, 60), (second, 90)):
            steps.wanted.put_nowait((name, done))

            async def is_found(name: str = name) -> bool:
                return await listed(lab.holdfast, name) == [run.id]

            await eventually(is_found)
            status, mirrored = await run.status(), await lab.store.summary(run.id)
            assert (status.stage, status.stage_progress) == (name, done)
            assert mirrored is not None
            assert (mirrored.stage, mirrored.stage_progress) == (name, done)
        assert await listed(lab.holdfast, first) == [], "it has left that stage"
        steps.wanted.put_nowait(("the invoice of Ms Meyer", 95))

        async def is_no_longer_found() -> bool:
            return await listed(lab.holdfast, second) == []

        await eventually(is_no_longer_found)
        assert (await run.listed()).stage is None
        steps.wanted.put_nowait(("completed", 100))
        steps.wanted.put_nowait(None)
        result = await run.result(60)
        assert result.success
        assert ((await run.status()).stage, (await run.listed()).stage) == ("completed", "completed")
        entries = await lab.entries(run.id)
        await lab.assert_mirrored(run.id)
    stages = [(entry.data["stage"], entry.data["percent"]) for entry in entries if entry.kind == "stage"]
    assert stages[:3] == [(first, 60), (second, 90), ("the invoice of Ms Meyer", 95)]
    with pytest.raises(UsageError, match="only names of at most 64 letters"):
        await listed(lab.holdfast, "the invoice of Ms Meyer")


async def test_many_stages_are_few_signals(lab: Lab) -> None:
    """A call that changes its stage all the time tells the newest, once a second; the last one is in its result."""

    @tool(read_only=True)
    async def hurry(context: ToolContext) -> str:
        """Hurries."""
        for number in range(300):
            context.stage(f"step-{number}", number / 3)
            await asyncio.sleep(0.005)
        return "done"

    @tool(read_only=True)
    async def flash(context: ToolContext) -> str:
        """Ends at once."""
        context.stage("short", 400)
        context.stage("shorter", float("nan"))
        return "done"

    lab.server.call_tools(("hurry", {}))
    lab.server.call_tools(("flash", {}))
    lab.server.say("Done.")
    async with lab.worker(Agent(name="hasty", tools=[hurry, flash])):
        began = asyncio.get_running_loop().time()
        result = await lab.holdfast.run("hasty", "Go.")
        took = asyncio.get_running_loop().time() - began
        status = await lab.holdfast.handle(result.run_id).status()
        assert (status.stage, status.stage_progress) == ("shorter", 100), "more than 100 is 100, NaN is ignored"
        results = [entry.data for entry in await lab.entries(result.run_id) if entry.kind == "tool_result"]
        assert 1 <= await stage_signals(lab, result.run_id) <= took + 2
    assert [data["progress"]["stage"] for data in results] == ["step-299", "shorter"]


async def test_a_stage_of_a_child_run_is_the_childs(lab: Lab) -> None:
    """A run is found by the stage of its own tools; its parent, which only waits for it, has none."""
    steps = Steps()
    name = f"looking.{lab.settings.temporal_task_queue}"
    below = Agent(name="below", tools=[steps.tool()])
    lab.server.reply(asks("below", "Build."))
    lab.server.call_tools(("build", {}))
    lab.server.say("Built.")
    lab.server.say("Done.")
    async with lab.worker(Agent(name="above", agents=[below])):
        run = await lab.holdfast.start("above", "Have it built.")
        steps.wanted.put_nowait((name, 10))
        child = f"{run.id}/1.0"

        async def is_found() -> bool:
            return await listed(lab.holdfast, name) == [child]

        await eventually(is_found)
        assert (await run.status()).stage is None
        await run.cancel()
        assert (await run.result(60)).status == RunStatus.CANCELLED
        ended = await lab.holdfast.handle(child).status()
        assert (ended.status, ended.stage) == (RunStatus.CANCELLED, name), "the stage at which it was cancelled"
