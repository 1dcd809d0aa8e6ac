"""Sessions, concurrent agents, training data: each test is a capability that the project promises by this name."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import BaseModel

from holdfast import (
    Agent,
    AgentDefinitionError,
    RunNotFound,
    UsageError,
    get_model_response,
    run_agents_concurrently,
    tool,
)
from holdfast.testing import AgentServer, Called, ChatRequest, ModelServer, Reply
from holdfast.testing.killed_worker import Moment
from holdfast.tools import read_file, run_shell, write_file
from tests.support.cli_stack import CliStack
from tests.support.sandboxes import working
from tests.support.scripts import Scripts


def clerk() -> Agent:
    """An agent that looks after a stock."""

    @tool(read_only=True)
    def stock(article: str) -> int:
        """Pieces in stock."""
        return 12

    return Agent(name="clerk", system_prompt="You answer about the stock.", tools=[stock])


async def test_chat_goes_on_over_calls_and_over_crashes(
    model: ModelServer, serve: AgentServer, kill_at: Callable[[str, Moment], None]
) -> None:
    """`chat(message)` returns a `reply`, and each message sees the ones before, also when the worker was killed."""
    serve()
    agent = clerk()
    model.say("Hello, Ann.")
    assert (await agent.chat("I am Ann.")).reply == "Hello, Ann."
    kill_at("model.call", "before")
    model.say("You are Ann.")
    assert (await agent.chat("Who am I?")).reply == "You are Ann."
    assert [message["content"] for message in model.requests[-1].messages] == [
        "You answer about the stock.",
        "I am Ann.",
        "Hello, Ann.",
        "Who am I?",
    ]


async def test_a_blocking_agent_beside_the_async_one(model: ModelServer, serve: AgentServer) -> None:
    """`agent.sync` blocks, works beside `await agent.run`, and refuses in an event loop, in plain words."""
    serve()
    agent = clerk()
    model.reply(Reply("Twelve."), Reply("Twelve."))
    results = await asyncio.gather(agent.run("How many?"), asyncio.to_thread(agent.sync.run, "How many?"))
    assert [result.content for result in results] == ["Twelve.", "Twelve."]
    with pytest.raises(UsageError, match=r"an event loop is running here.*await Agent.run"):
        agent.sync.run("How many?")


async def test_ten_agents_at_once_take_the_time_of_one(model: ModelServer, serve: AgentServer) -> None:
    """All ten models are asked before the first one has answered."""
    serve()
    agents = [Agent(name=f"clerk {number}") for number in range(10)]
    model.hold()
    asked = [asyncio.create_task(agent.run("How many?")) for agent in agents]
    await model.wait_for_requests(10, timeout=60)
    model.reply(*[Reply("Twelve.")] * 10)
    model.release()
    assert [result.content for result in await asyncio.gather(*asked)] == ["Twelve."] * 10


async def test_run_agents_concurrently_keeps_the_order_and_survives_one_failure(
    model: ModelServer, serve: AgentServer
) -> None:
    """Results come back in the order of the agents; one that fails does not affect the rest."""
    serve()
    agents = [Agent(name=name) for name in ("one", "two", "three")]

    def respond(request: ChatRequest) -> Reply:
        [said] = [message["content"] for message in request.messages if message["role"] == "user"]
        return Reply.error(400, "no such word") if said == "b" else Reply(said.upper())

    model.respond = respond
    results = await run_agents_concurrently(agents, ["a", "b", "c"])
    assert [(result.success, result.content) for result in results] == [(True, "A"), (False, ""), (True, "C")]
    assert "no such word" in (results[1].error or "")


class Knot(BaseModel):
    """A knot."""

    name: str


async def test_get_model_response_returns_text_or_a_model(model: ModelServer, serve: AgentServer) -> None:
    """A message or messages, with a system prompt; with a `schema`, a value of that type."""
    serve()
    model.say("A knot.")
    asked = await get_model_response(message="What is a bowline?", system_prompt="You know knots.", model="small")
    assert asked == "A knot."
    assert [message["content"] for message in model.requests[0].messages] == ["You know knots.", "What is a bowline?"]
    assert model.requests[0].body["model"] == "small"
    model.say('{"name": "bowline"}')
    messages = [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": "Hello."}]
    messages.append({"role": "user", "content": "Which knot?"})
    assert await get_model_response(messages=messages, schema=Knot) == Knot(name="bowline")
    assert [message["content"] for message in model.requests[1].messages if message["role"] != "system"] == [
        "Hi.",
        "Hello.",
        "Which knot?",
    ]


async def test_generate_continues_a_prompt(model: ModelServer, serve: AgentServer) -> None:
    """`generate(prompt, max_length=…)` returns at most that many tokens."""
    serve()
    model.say("hemp")
    assert await Agent(name="clerk").generate("A rope is made of", max_length=20) == "hemp"
    body = model.requests[0].body
    assert 20 in (body.get("max_tokens"), body.get("max_completion_tokens"))


SAVING = """
import asyncio
import json
from holdfast import Agent, UsageError, tool

@tool(read_only=True)
def stock(article: str) -> int:
    \"\"\"Pieces in stock.\"\"\"
    return 12

clerk = Agent(name="clerk", system_prompt="You answer about the stock.", tools=[stock])

async def main():
    await clerk.chat('Is "rope" in stock?', id="saved-1")
    print(await clerk.save_conversation("saved-1"))
    await clerk.run('Is "anchor" in stock?', id="saved-2")
    await clerk.save_conversation("saved-2", log=False)
    await clerk.chat("Thank you.", id="saved-1")
    for _ in range(2):
        print(await clerk.save_conversation("saved-1", log=True))

asyncio.run(main())
"""


def test_save_conversation(cli: CliStack, tmp_path: Path) -> None:
    """`save_conversation(log=True)` writes a line in OpenAI's chat format, as an export does, and a row."""
    scripts = Scripts(cli, tmp_path)
    done = scripts.run(scripts.write(SAVING))
    assert done.code == 0, done.err
    file = cli.home / "conversations" / "clerk.jsonl"
    assert set(done.out.splitlines()) == {str(file)}
    longer, other = file.read_text().splitlines()
    for run_id, line in [("saved-1", longer), ("saved-2", other)]:
        export = cli("export", run_id, "--format", "openai")
        assert export.out == f"{line}\n", export.err
    said = [message["content"] for message in json.loads(longer)["messages"] if message["role"] == "user"]
    assert said == ['Is "rope" in stock?', "Thank you."]
    wanted = "SELECT agent, run, messages, text, at FROM conversation WHERE agent = 'clerk'"
    [[row]] = cli("sql", wanted, "--json").json
    assert (row["run"], row["messages"]) == ("run:⟨saved-1⟩", len(json.loads(longer)["messages"]))
    assert row["text"] == f"{longer}\n"
    assert cli("cancel", "saved-1").code == 0


async def test_what_is_no_conversation_is_not_saved(model: ModelServer, serve: AgentServer, tmp_path: Path) -> None:
    """Without a conversation or an answer nothing is written, and the error says so; the own chat needs no id."""
    serve()
    agent, file = clerk(), tmp_path / "talk.jsonl"
    with pytest.raises(UsageError, match=r"agent 'clerk' has no conversation to save: `chat` begins one"):
        await agent.save_conversation(file=file)
    with pytest.raises(RunNotFound, match="no run 'unknown'"):
        await agent.save_conversation("unknown", file=file)
    with pytest.raises(UsageError, match="the run id 3 is not accepted"):
        await agent.save_conversation(3)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="log='yes' is not accepted"):
        await agent.save_conversation("unknown", log="yes")  # type: ignore[arg-type]
    model.hold()
    model.say("Twelve.")
    run = await agent.start("How many?")
    with pytest.raises(UsageError, match="has no answer yet"):
        await run.save_conversation(file=file)
    assert not file.exists()
    model.release()
    assert (await run.result()).content == "Twelve."
    model.say("Hello, Ann.")
    await agent.chat("I am Ann.")
    assert await asyncio.to_thread(agent.sync.save_conversation, file=str(file)) == file
    assert await run.save_conversation(file=file) == file
    own, counted = [json.loads(line)["messages"] for line in file.read_text().splitlines()]
    assert [message["content"] for message in own] == ["You answer about the stock.", "I am Ann.", "Hello, Ann."]
    assert [message["content"] for message in counted][1:] == ["How many?", "Twelve."]


async def test_each_agent_has_its_own_memory_directory(model: ModelServer, serve: AgentServer, called: Called) -> None:
    """The model creates, reads and edits files there, later runs find them, and nothing escapes the directory."""
    keeper, other = Agent(name="keeper", memory_path="keeper"), Agent(name="other", memory_path="other")
    serve(keeper, other)
    model.call_tools(memory_write={"name": "customers.md", "content": "Meyer pays late."})
    model.call_tools(memory_edit={"name": "customers.md", "old": "late", "new": "in time"})
    model.say("Noted.")
    assert (await keeper.run("Note it.")).success
    for name in ("customers.md", "../keeper/customers.md", "/etc/passwd"):
        model.call_tools(memory_read={"name": name})
    model.say("Read.")
    seen = await keeper.run("Read it.")
    assert "Meyer pays in time." in str(called(seen, "memory_read", name="customers.md")[0].result)
    assert all(called(seen, "memory_read", name=name)[0].failed for name in ("../keeper/customers.md", "/etc/passwd"))
    model.call_tools(memory_list={})
    model.say("Nothing.")
    assert called(await other.run("List."), "memory_list")[0].result == "(no files yet)"


async def test_two_agents_on_one_memory_path_are_told_so(serve: AgentServer) -> None:
    """A worker that has both does not start."""
    with pytest.raises(AgentDefinitionError, match="have the same memory_path"):
        serve(Agent(name="one", memory_path="shared"), Agent(name="two", memory_path="shared"))


async def test_a_process_based_sandbox(model: ModelServer, serve: AgentServer) -> None:
    """The shell tool runs a program that sees its workspace, and not the home of the person who runs it."""
    await working("bwrap")
    serve()
    coder = Agent(name="coder", tools=[run_shell])
    ran = await coder.execute_tool("run_shell", command="pwd; ls ~; echo $((6 * 7))")
    assert ran.error is None
    assert "42" in ran.text
    assert str(Path.home()) not in ran.text


async def test_tools_are_async(serve: AgentServer, tmp_path: Path) -> None:
    """Shipped tools are awaited, several at once."""
    serve()
    agent = Agent(name="writer", tools=[write_file, read_file])
    files = {name: f"{name}\n" for name in ("a.txt", "b.txt", "c.txt")}
    written = [
        agent.execute_tool("write_file", path=name, content=text, workspace=tmp_path) for name, text in files.items()
    ]
    assert [call.error for call in await asyncio.gather(*written)] == [None] * 3
    read = await asyncio.gather(*(agent.execute_tool("read_file", path=name, workspace=tmp_path) for name in files))
    assert all(text.strip() in call.text for call, text in zip(read, files.values(), strict=True))
