"""Durable state and events: each test is a capability that the project promises by this name."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from holdfast import (
    Agent,
    AgentResult,
    BusEvent,
    Entry,
    FrontendDeveloper,
    RunHandle,
    RunStatus,
    Settings,
    TaskExecutionMode,
    ToolContext,
    UsageError,
    event_bus,
    tool,
)
from holdfast.client.holdfast import Holdfast
from holdfast.testing import AgentServer, Called, ModelServer
from holdfast.tools import emit, wait_for_event, write_file
from tests.support.cli_stack import QUESTION, CliStack
from tests.support.lab import TIMEOUT, eventually
from tests.support.log_lines import log_lines

STAGES = [
    ("analyzing_requirements", 10),
    ("generating_components", 30),
    ("building_ui", 60),
    ("deploying", 90),
    ("completed", 100),
]


def test_the_environment_variables_have_their_names_and_defaults() -> None:
    """Code that was written for them finds the same configuration."""
    settings = Settings(_env_file=None)
    assert settings.surrealdb_namespace == "sentient_core"
    assert settings.surrealdb_database == "agents"
    assert settings.agent_execution_timeout == 3600
    assert settings.max_concurrent_agents == 10
    assert (settings.state_persistence_backend, settings.event_bus_backend) == ("surrealdb", "surrealdb")
    others = {"surrealdb_url", "surrealdb_username", "surrealdb_password", "log_level"}
    assert others <= set(Settings.model_fields)


async def test_blocking_streaming_and_background_execution(
    model: ModelServer, serve: AgentServer, hf: Holdfast
) -> None:
    """`run` returns the result, `stream` yields what happens, `start` returns at once."""
    serve()
    clerk = Agent(name="clerk")
    model.say("Twelve.")
    assert (await clerk.run("How many?")).content == "Twelve."
    model.say("Twelve.")
    events = [event async for event in clerk.stream("How many?")]
    assert [event.kind for event in events if isinstance(event, Entry)][-1] == "finish"
    model.hold()
    run = await clerk.start("How many?")
    assert (await run.status()).status in {RunStatus.QUEUED, RunStatus.RUNNING}
    model.say("Twelve.")
    model.release()
    assert (await hf.handle(run.id).result()).content == "Twelve."


@pytest.mark.parametrize("mode", [*TaskExecutionMode, "parallel"])
async def test_a_task_is_executed_in_a_mode(model: ModelServer, serve: AgentServer, hf: Holdfast, mode: str) -> None:
    """`execute_task` does what `run`, `stream` or `start` does, as its mode says; another mode is refused."""
    serve()
    clerk = Agent(name="clerk", tools=[write_file])
    if mode == "parallel":
        with pytest.raises(UsageError, match="the modes are blocking, streaming, background"):
            await clerk.execute_task("Note it.", mode)
        return
    model.call_tools(("write_file", {"path": "notes/a.md", "content": "Twelve."}))
    model.say("Noted.")
    run_id = f"noted-{uuid.uuid4().hex}"
    got = await clerk.execute_task("Note it.", mode, id=run_id)
    assert isinstance(got, {"blocking": AgentResult, "background": RunHandle, "streaming": AsyncIterator}[mode])
    if isinstance(got, AsyncIterator):
        assert [event.kind async for event in got if isinstance(event, Entry)][-1] == "finish"
    result = await hf.handle(run_id).result()
    [artifact] = result.artifacts
    assert artifact.read_text() == "Twelve."


async def test_stages_are_streamed_and_a_run_is_cancelled_at_any_of_them(
    model: ModelServer, serve: AgentServer, hf: Holdfast
) -> None:
    """Each stage with its progress is an event and in `status`; `cancel` ends the run at the stage where it is."""
    reached, last = asyncio.Queue[str](), "deploying"
    go_on = asyncio.Semaphore(0)

    @tool
    async def build(context: ToolContext) -> str:
        """Builds a page."""
        for name, progress in STAGES:
            context.stage(name, progress)
            reached.put_nowait(name)
            await go_on.acquire()
        return "built"

    serve()
    model.call_tools(build={})
    run = await Agent(name="builder", tools=[build]).start("Build a page.", id="capability-page-1")
    for name, progress in STAGES:
        assert await reached.get() == name

        async def is_shown(wanted: str = f"{name} · {progress}%") -> bool:
            return wanted in [str(made) for made in (await hf.handle("capability-page-1").status()).progress]

        await eventually(is_shown)
        if name == last:
            break
        go_on.release()
    await run.cancel()
    assert (await run.result(TIMEOUT)).status is RunStatus.CANCELLED


async def test_checkpoints_are_created_with_data_and_restored(
    model: ModelServer, serve: AgentServer, called: Called
) -> None:
    """A tool makes a checkpoint, `restore_from_checkpoint` returns whether the run went back, and the model forgets."""

    @tool(idempotent=True)
    def draw(context: ToolContext) -> str:
        """Draws."""
        context.create_checkpoint("drawn", {"files": 3})
        return "drawn"

    serve()
    painter = Agent(name="painter", tools=[draw])
    session = painter.session("capability-picture-1")
    model.call_tools(draw={})
    model.say("I have drawn.")
    await session.ask("Draw.")
    run = await session.run()
    model.say("It is red.")
    await session.ask("Make it red.")
    [made] = [each for each in await run.checkpoints() if each.name == "drawn"]
    assert made.data == {"files": 3}
    assert await run.restore_from_checkpoint(made.id)
    assert not await run.restore_from_checkpoint("no such checkpoint")
    model.say("It is blue.")
    await session.ask("Make it blue.")
    assert "Make it red." not in [message.get("content") for message in model.requests[-1].messages]
    await run.cancel()


def test_checkpoints_are_persisted_in_their_table(cli: CliStack) -> None:
    """Each is a row of `agent_checkpoint` with `id`, `agent_name`, `timestamp` and `data`, which anyone can query."""
    cli("chat", "researcher", "--id", "kept-1", "--message", QUESTION, "--workspace", str(cli.documents))
    made = cli("checkpoints", "kept-1", "--create", "before the storm", "--data", '{"boats": 3}')
    assert made.code == 0, made.err
    wanted = "SELECT agent_name, data, timestamp FROM agent_checkpoint WHERE data.name = 'before the storm'"
    [[row]] = cli.repeat("sql", wanted, until=lambda results: results[0])
    assert row["agent_name"] == "researcher"
    assert json.loads(row["data"]["text"])["data"] == {"boats": 3}
    assert datetime.fromisoformat(row["timestamp"]) <= datetime.now(UTC)
    assert cli("cancel", "kept-1").code == 0


async def test_a_tool_knows_its_execution_context(model: ModelServer, serve: AgentServer, hf: Holdfast) -> None:
    """The run's id, the agent and the attempt are there, and the run tells its start and status by its id."""
    seen: list[ToolContext] = []

    @tool
    async def look(context: ToolContext) -> str:
        """Looks."""
        seen.append(context)
        progress = await hf.handle(context.run_id).status()
        assert progress.started_at is not None
        return progress.status.value

    serve()
    model.call_tools(look={})
    model.say("Seen.")
    result = await Agent(name="watcher", tools=[look]).run("Look.", id="capability-task-7", context={"customer": 7})
    assert result.success
    [context] = seen
    assert (context.run_id, context.agent, context.attempt) == ("capability-task-7", "watcher", 1)
    assert context.context["customer"] == 7


async def test_the_front_end_developer_needs_a_sandbox_tool(model: ModelServer, serve: AgentServer) -> None:
    """It says so before a model is asked. For its page, see `tests/acceptance/test_frontend_developer.py`."""
    serve()
    result = await FrontendDeveloper(name="bare developer").run("A page for a rope shop")
    assert not result.success
    assert "Sandbox tool required" in (result.error or "")
    assert model.requests == []


async def test_an_event_bus_and_structured_logs(serve: AgentServer, model: ModelServer) -> None:
    """What one part publishes, another one receives; each line that a tool logs has the run's id."""

    @tool
    def count(context: ToolContext) -> str:
        """Counts."""
        context.logger.info("counted", pieces=12)
        return "12"

    serve()
    bus = event_bus()
    received = asyncio.create_task(_first(bus.subscribe("stock", after=0)))
    await bus.publish("stock", {"article": "rope"})
    assert (await asyncio.wait_for(received, TIMEOUT)).data == {"article": "rope"}
    model.call_tools(count={})
    model.say("Twelve.")
    with log_lines() as lines:
        await Agent(name="clerk", tools=[count]).run("Count.", id="capability-counted-1")
    [line] = [line for line in lines if line["event"] == "counted"]
    assert (line["run_id"], line["tool"], line["pieces"]) == ("capability-counted-1", "count", 12)


async def _first(events: AsyncIterator[BusEvent]) -> BusEvent:
    return await anext(aiter(events))


async def test_agents_react_to_events(model: ModelServer, serve: AgentServer) -> None:
    """A run that waits for an event by its name receives the data that another agent emits."""
    serve()
    watchman = Agent(name="watchman", tools=[wait_for_event])
    caller = Agent(name="caller", tools=[emit])
    model.call_tools(wait_for_event={"name": "storm"})
    waiting = await watchman.start("Wait for the storm.")

    async def waits() -> bool:
        return [wait.kind for wait in (await waiting.status()).waits_for] == ["event"]

    await eventually(waits)
    model.call_tools(emit={"name": "storm", "data": {"force": 9}})
    model.say("Told.")
    model.say("It blows.")
    assert (await caller.run("Tell them.")).success
    assert (await waiting.result(TIMEOUT)).success
    assert any(
        '"force"' in str(message) and "9" in str(message) for each in model.requests for message in each.messages
    )
