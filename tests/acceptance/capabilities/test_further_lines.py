"""Further capabilities, of memories and models: each test is one that the project promises by this name."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from holdfast import Agent, TaskAgent, TaskContext, ToolContext, UsageError, get_surrealdb_client, tool
from holdfast.client.holdfast import Holdfast
from holdfast.testing import AgentServer, ModelServer, Reply
from holdfast.testing.killed_worker import Moment
from tests.support.lab import TIMEOUT, Lab
from tests.support.switched_store import SwitchedStore


class Task(BaseModel):
    """What is to be done."""

    id: str
    articles: list[str]


@pytest.mark.parametrize(
    "given",
    [Task(id="task-1", articles=["rope"]), {"id": "task-1", "articles": ["rope"]}, ["rope", {"id": "task-1"}]],
    ids=["model", "dict", "list"],
)
async def test_input_is_structured(model: ModelServer, serve: AgentServer, given: Any) -> None:
    """A task is a model, a dict or a list; its id may be the run's id."""
    serve()
    model.say("Counted.")
    run_id = f"task-1-{type(given).__name__}"
    result = await Agent(name="clerk").run(given, id=run_id)
    assert (result.success, result.run_id) == (True, run_id)
    asked = str(model.requests[0].messages[-1]["content"])
    assert "rope" in asked
    assert "task-1" in asked


async def test_a_staged_agent_is_a_function_of_the_user(
    model: ModelServer, serve: AgentServer, hf: Holdfast, kill_at: Callable[[str, Moment], None]
) -> None:
    """`run_task` has stages, checkpoints, and calls of tools and models, which are not repeated after a crash."""
    counted: list[str] = []

    @tool
    def count(article: str) -> int:
        """Counts."""
        counted.append(article)
        return 12

    class Writer(TaskAgent):
        name = "writer"
        tools = [count]

        async def run_task(self, task: str, context: TaskContext) -> str:
            context.stage("counting", 30)
            pieces = await context.call(count, article="rope")
            context.create_checkpoint("counted", {"pieces": pieces})
            context.stage("writing", 60)
            return await context.model(f"{task}: {pieces}")

    kill_at("tool.count", "after")
    serve(Writer())
    model.say("A page about twelve ropes.")
    run = await hf.start("writer", "Write")
    result = await run.result(TIMEOUT)
    assert (result.success, result.content) == (True, "A page about twelve ropes.")
    assert counted == ["rope"]
    assert [made.name for made in await run.checkpoints() if made.data] == ["counted"]
    assert (await run.status()).stage == "writing"


async def test_a_checkpoint_that_cannot_be_stored_never_raises_into_the_agent(lab: Lab) -> None:
    """The tool and its run succeed without the store, which gets the checkpoint when it is back."""

    @tool
    def count(context: ToolContext) -> str:
        """Counts."""
        context.create_checkpoint("counted", {"pieces": 12})
        return "12"

    store = SwitchedStore(on=False)
    lab.server.call_tools(("count", {}))
    lab.server.say("Twelve.")
    async with lab.worker(Agent(name="clerk", tools=[count]), store=store):
        run = await lab.holdfast.start("clerk", "Count.")
        assert (await run.result(TIMEOUT)).content == "Twelve."
        store.on = True
        await lab.assert_mirrored(run.id, store)
        assert "counted" in [made.name for made in await run.checkpoints()]


async def test_each_agent_has_a_memory_of_its_own(serve: AgentServer) -> None:
    """What one agent stores, another one does not find."""
    serve()
    one, other = Agent(name="one"), Agent(name="other")
    await one.add_text_memory("Meyer pays late.", kind="fact")
    [found] = await one.search_text("Meyer")
    assert (found.text, found.metadata) == ("Meyer pays late.", {"kind": "fact"})
    assert await other.search_text("Meyer") == []


async def test_a_memory_is_findable_as_soon_as_adding_it_returned(serve: AgentServer) -> None:
    """For `await`, and for code without an event loop: `agent.sync.search_text`."""
    serve()
    clerk = Agent(name="clerk")
    for number in range(5):
        await clerk.add_text_memory(f"Customer {number} pays late.")
        assert len(await clerk.search_text("customer", top_k=10)) == number + 1
    assert len(await asyncio.to_thread(clerk.sync.search_text, "customer", top_k=10)) == 5


async def test_texts_are_embedded_by_a_public_call(
    model: ModelServer, serve: AgentServer, hf: Holdfast, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`hf.embed`, `agent.embed` and `agent.sync.embed` return a vector of each text; so does `embed` in a tool."""
    monkeypatch.setenv("EMBEDDING_MODEL", "test")
    monkeypatch.setenv("EMBEDDING_BASE_URL", model.url)
    monkeypatch.setenv("EMBEDDING_API_KEY", "sk-a-key")

    @tool(read_only=True)
    async def numbers(article: str) -> int:
        """Counts the numbers of a vector."""
        [vector] = await clerk.embed([article])
        return len(vector)

    clerk = Agent(name="clerk", tools=[numbers])
    serve(clerk)
    rope, anchor = await hf.embed(["rope", "anchor"])
    assert len(rope) == len(anchor) == 384
    assert await clerk.embed(["anchor"]) == [anchor]
    assert await asyncio.to_thread(clerk.sync.embed, ["rope"]) == [rope]
    model.call_tools(("numbers", {"article": "rope"}))
    model.say("Done.")
    await clerk.run("How many?")
    assert model.requests[-1].messages[-1]["content"] == "384"


async def test_a_tool_stores_rows_in_a_table_of_its_own(
    model: ModelServer, serve: AgentServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`get_surrealdb_client()` has `create`, `select` and `close`, in the configured database."""
    monkeypatch.setenv("STATE_PERSISTENCE_BACKEND", "surrealdb")
    monkeypatch.setenv("SURREALDB_URL", f"surrealkv://{tmp_path}/data")

    @tool(idempotent=True)
    async def order(article: str, context: ToolContext) -> str:
        """Orders."""
        async with get_surrealdb_client() as tables:
            return str((await tables.create(f"app_order:{context.call_id}", {"article": article}))["article"])

    serve()
    model.call_tools(("order", {"article": "rope"}))
    model.say("Ordered.")
    assert (await Agent(name="clerk", tools=[order]).run("Order a rope.")).success
    db = get_surrealdb_client()
    assert [row["article"] for row in await db.select("app_order")] == ["rope"]
    with pytest.raises(UsageError, match="'run' is one of Holdfast's"):
        await db.create("run:other", {"status": "completed"})
    await db.close()


async def test_concurrent_model_calls_are_limited_per_provider(model: ModelServer, serve: AgentServer) -> None:
    """With `MAX_CONCURRENT_MODEL_CALLS=1`, the second call is made when the first one has ended."""
    serve._settings.max_concurrent_model_calls = "1"
    serve()
    model.hold()
    runs = [asyncio.create_task(Agent(name=name).run("How many?")) for name in ("one", "two")]
    await model.wait_for_requests(1)
    model.reply(Reply("Twelve."), Reply("Twelve."))
    with pytest.raises(TimeoutError):
        await model.wait_for_requests(2, timeout=1)
    model.release()
    assert [result.content for result in await asyncio.gather(*runs)] == ["Twelve.", "Twelve."]


async def test_a_system_prompt_may_be_a_function(model: ModelServer, serve: AgentServer) -> None:
    """It is called once per run, where the agent's code is."""
    serve()
    model.say("Hello.")
    assert (await Agent(name="clerk", system_prompt=lambda: "You sell ropes today.").run("Hi.")).success
    assert model.requests[0].messages[0]["content"] == "You sell ropes today."
