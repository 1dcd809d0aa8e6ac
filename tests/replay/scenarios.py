"""Scenarios whose histories are saved, one per behavior of AgentRun; `python -m tests.replay.record` records them."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import replace

from holdfast import Agent, Block, File, Image, RunHandle, RunStatus, TextDelta, ToolContext, tool
from holdfast.models.embeddings import OpenAIEmbedder
from holdfast.protocol import EmbedRequest
from holdfast.storage.database import open_database
from holdfast.storage.files import SurrealFiles
from holdfast.storage.ledger import MemoryLedger
from holdfast.storage.memory import InProcessTable, TextMemory
from holdfast.storage.memory.pending import BATCH
from holdfast.storage.vectors import MemoryVectors
from holdfast.testing import ChatRequest, ChatToolCall, EmbeddingFault, Reply, call_tools
from holdfast.tools import ask_human
from holdfast.tools.mcp.servers import close_servers, servers
from holdfast.types import Usage
from tests.support.lab import Lab, eventually
from tests.support.ledgers import LossyLedger, SwitchedLedger
from tests.support.mcp_shops import Shop
from tests.support.moments import has_status, streaming
from tests.support.pictures import png
from tests.support.switched_store import SwitchedStore
from tests.support.trees import LONG, Cast, asks, exists


@tool(read_only=True, timeout=20)
async def find(word: str) -> str:
    """Finds a word."""
    return f"{word}: found"


@tool
async def change(word: str) -> str:
    """Changes a word."""
    raise RuntimeError(f"{word} cannot be changed")


agent = Agent(name="recorded", system_prompt="You are recorded.", tools=[find, change], max_turns=4)

thinker = Agent(name="thinker", system_prompt="You think.", tools=[find], context_window=1_000)

asked = Agent(name="asked", system_prompt="asked")
asker = Agent(name="asker", system_prompt="asker", agents=[asked])
handed = Agent(name="handed", system_prompt="handed", tools=[change], handoffs=["hander"])
hander = Agent(name="hander", system_prompt="hander", tools=[find], handoffs=[handed])

Scenario = Callable[[Lab], Awaitable[RunHandle]]


async def answers_after_tools(lab: Lab) -> RunHandle:
    """Two tools side by side, one that fails, one that is unknown, then the answer."""
    lab.server.call_tools(("find", {"word": "a"}), ("change", {"word": "b"}), text="Looking.")
    lab.server.call_tools(("unknown", {}))
    lab.server.say("Found.")
    return await _ended(lab, await lab.holdfast.start("recorded", "Find it."))


async def claims_a_call(lab: Lab) -> RunHandle:
    """A call that is claimed in the ledger, and one that is made without a claim as the store is unavailable."""
    ledger = SwitchedLedger()
    turns = [call_tools(change={"word": "a"}), call_tools(change={"word": "b"}), Reply("Changed.")]

    def respond(request: ChatRequest) -> Reply:
        made = [message["role"] for message in request.messages].count("assistant")
        ledger.on = made == 0
        return turns[made]

    lab.server.respond = respond
    async with lab.worker(agent, ledger=ledger):
        handle = await lab.holdfast.start("recorded", "Change it.")
        await handle.result(60)
    return handle


async def asks_about_a_lost_call(lab: Lab) -> RunHandle:
    """A call that was lost with its worker, about which a person is asked."""

    @tool(on_unknown="ask")
    async def pay(amount: int) -> str:
        """Pays."""
        return f"paid {amount}"

    lab.server.call_tools(("pay", {"amount": 5}))
    lab.server.say("Paid.")
    async with lab.worker(Agent(name="payer", tools=[pay], max_turns=4), ledger=LossyLedger()):
        handle = await lab.holdfast.start("payer", "Pay.")

        await eventually(lambda: _is_calm(handle, "pay"))
        await handle.resolve("1/call_1_0", happened=True, result="receipt 7", id="resolved", by="Ada")
        await handle.result(60)
    return handle


@tool(read_only=True)
def draw() -> Image:
    """Draws."""
    return Image(png(), name="drawn.png")


async def receives_pictures(lab: Lab) -> RunHandle:
    """A request that carries its attachments, and a tool that returns an image."""
    lab.server.call_tools(("draw", {}))
    lab.server.say("Two pictures.")
    async with lab.worker(Agent(name="viewer", tools=[draw])):
        handle = await lab.holdfast.start("viewer", ["Look", Image(png(seed=1)), File(b"text", name="n.txt")])
        await handle.result(60)
    return handle


async def hands_off(lab: Lab) -> RunHandle:
    """A handoff among other calls, and one back."""
    turn = [ChatToolCall("transfer_to_handed", {}), ChatToolCall("find", {"word": "a"})]
    Cast(
        lab,
        hander=[Reply(tool_calls=[*turn, turn[0]]), Reply("Found.")],
        handed=Reply(tool_calls=[ChatToolCall("transfer_to_hander", {"reason": "done"})]),
    )
    async with lab.worker(hander):
        handle = await lab.holdfast.start("hander", "Find it.")
        await handle.result(60)
    return handle


async def calls_an_agent_by_a_tool(lab: Lab) -> RunHandle:
    """A tool that calls an agent, and leaves another one behind."""

    @tool(read_only=True)
    async def consult(context: ToolContext) -> str:
        """Consults another agent."""
        answer = await context.call_agent("asked", "Answer.")
        left = asyncio.create_task(context.call_agent("asked", "Wait."))
        await streaming(await exists(lab, f"{context.run_id}/1.0.2"))
        left.cancel()
        return answer.content

    def respond(request: ChatRequest) -> Reply:
        if request.messages[0]["content"] == "asked":
            return Reply("Here.") if request.messages[-1]["content"] == "Answer." else Reply(LONG, hang_after=1)
        is_done = request.messages[-1]["role"] == "tool"
        return Reply("Done.") if is_done else Reply(tool_calls=[ChatToolCall("consult", {})])

    lab.server.respond = respond
    async with lab.worker(Agent(name="consulter", tools=[consult]), asked, max_cached_workflows=100):
        handle = await lab.holdfast.start("consulter", "Consult.")
        await handle.result(60)
    return handle


async def gives_up(lab: Lab) -> RunHandle:
    """The turn limit."""
    for _ in range(2):
        lab.server.call_tools(("find", {"word": "a"}))
    return await _ended(lab, await lab.holdfast.start("recorded", "Find it.", max_turns=2))


async def is_refused(lab: Lab) -> RunHandle:
    """The provider refuses."""
    lab.server.reply(Reply.error(400, "no"))
    return await _ended(lab, await lab.holdfast.start("recorded", "Find it."))


async def falls_back_under_a_rate(lab: Lab) -> RunHandle:
    """The second model answers, whose request is counted in the task queue with a limited rate."""
    lab.server.reply(Reply.error(503))
    lab.server.say("Found.")
    rated = replace(lab, settings=lab.settings.model_copy(update={"model_calls_per_second": "50"}))
    return await _ended(rated, await lab.holdfast.start("recorded", "Find it.", model=["first", "second"]))


async def is_cancelled(lab: Lab) -> RunHandle:
    """A cancel in mid-stream."""
    lab.server.reply(Reply(text="one two three four five six seven eight", hang_after=1))
    async with lab.worker(agent, max_cached_workflows=100):
        handle = await lab.holdfast.start("recorded", "Find it.")
        async for event in handle.events():
            if isinstance(event, TextDelta):
                await handle.cancel()
        return handle


async def runs_out_of_time(lab: Lab) -> RunHandle:
    """The time limit, in mid-stream."""
    lab.server.reply(Reply(text="one two three four five six seven eight", hang_after=1))
    return await _ended(lab, await lab.holdfast.start("recorded", "Find it.", timeout=2))


async def outlives_its_worker_and_store(lab: Lab) -> RunHandle:
    """The store is unavailable and the worker restarts: the context is sent inline, and the mirror catches up later."""
    store = SwitchedStore(on=False)
    lab.server.call_tools(("find", {"word": "a"}))
    lab.server.reply(Reply.error(503, headers={"Retry-After": "1"}))
    lab.server.say("Found.")
    async with lab.worker(agent, store=store):
        handle = await lab.holdfast.start("recorded", "Find it.")
        await eventually(lambda: _has_told_a_result(lab))
    async with lab.worker(agent, store=store):
        await handle.result(60)
        store.on = True
        await lab.assert_mirrored(handle.id, store)
    return handle


async def embeds_memories(lab: Lab) -> RunHandle:
    """Two batches, and an embedding model that is briefly unavailable."""
    embedder = OpenAIEmbedder(api_key="test", base_url=lab.server.url, model="test", dimensions=8)
    memories = TextMemory.of(InProcessTable(), MemoryVectors(), embedder)
    await memories.add_many("recorded", [f"note {number}" for number in range(BATCH + 1)])
    lab.server.fail_embeddings(EmbeddingFault(status=503, headers={"Retry-After": "1"}))
    async with lab.worker(memories=memories):
        started = await lab.client.start_workflow(
            "EmbedMemories",
            EmbedRequest(namespace="recorded"),
            id=f"recorded-{uuid.uuid4().hex}",
            task_queue=lab.settings.temporal_task_queue,
        )
        await started.result()
    await memories.close()
    return lab.holdfast.handle(started.id)


async def calls_a_tool_alone(lab: Lab) -> RunHandle:
    """A call without a run, which its condition clears and the ledger claims."""

    @tool(approval=lambda amount: amount > 10)
    def pay(amount: int) -> str:
        """Pays."""
        return f"paid {amount}"

    payer = Agent(name="payer", tools=[pay])
    async with lab.worker(payer, ledger=MemoryLedger()):
        done = await lab.holdfast.execute_tool("payer", "pay", amount=5)
    return lab.holdfast.handle(done.id)


async def begins_as_a_fork(lab: Lab) -> RunHandle:
    """A fork between a call and its result, with a message: it reads the log, copies the workspace, and answers."""
    lab.server.call_tools(("find", {"word": "a"}))
    lab.server.say("Found.")
    async with lab.worker(agent):
        origin = await lab.holdfast.start("recorded", "Find it.")
        await origin.result(60)
        lab.server.say("Found again.")
        fork = await origin.fork("message-2", message="Again.")
        await fork.result(60)
    return fork


async def keeps_its_workspace(lab: Lab) -> RunHandle:
    """Files are recorded, an agent that is asked has them, and a restore takes the run back to those of a turn."""

    @tool(idempotent=True)
    def write(text: str, context: ToolContext) -> str:
        """Writes a file."""
        context.workspace.mkdir(parents=True, exist_ok=True)
        (context.workspace / "a.txt").write_text(text)
        return text

    writer = Agent(name="writer", system_prompt="writer", tools=[write])
    keeper = Agent(name="keeper", system_prompt="keeper", tools=[write], agents=[writer])
    database = open_database("mem://")
    try:
        async with lab.worker(keeper, writer, files=SurrealFiles(database), max_cached_workflows=100):
            lab.server.call_tools(("write", {"text": "one"}))
            lab.server.call_tools(("ask_writer", {"input": "Write two."}))
            lab.server.call_tools(("write", {"text": "two"}))
            lab.server.say("Written.")
            lab.server.reply(Reply(text=LONG, hang_after=1))
            lab.server.call_tools(("write", {"text": "three"}))
            lab.server.say("Written again.")
            run = await lab.holdfast.start("keeper", "Write.")
            await streaming(run)
            assert await run.restore_from_checkpoint("turn-1", id="keeps-restore")
            await run.result(60)
    finally:
        await database.close()
    return run


async def waits_for_a_budget(lab: Lab) -> RunHandle:
    """A limit of tokens, at which the run waits until it is raised, and one of tool calls, at which it ends."""
    lab.server.call_tools(("find", {"word": "a"}), ("find", {"word": "b"}))
    async with lab.worker(agent):
        budget = {"tokens": 100, "tool_calls": 1, "on_limit": "ask"}
        handle = await lab.holdfast.start("recorded", "Find it.", budget=budget)
        await eventually(lambda: _is_listed(lab, handle))
        await eventually(lambda: _is_calm(handle, "100 tokens"))
        await handle.raise_budget(tokens=100_000)
        await eventually(lambda: _is_calm(handle, "1 tool calls"))
        lab.server.say("Found.")
        await handle.raise_budget(tool_calls=2, by="Ada")
        await handle.result(60)
    return handle


async def waits_for_people(lab: Lab) -> RunHandle:
    """A call that a condition clears, one that is approved with other arguments, one that is denied, and a question."""

    @tool(approval=lambda word: word != "a")
    async def mend(word: str, context: ToolContext) -> str:
        """Mends a word."""
        if word == "d":  # the mirror receives its approval meanwhile; the next model call begins after that
            await eventually(lambda: _is_mirrored(lab.holdfast.handle(context.run_id)))
        return f"{word}: mended"

    waiter = Agent(name="waiter", tools=[mend, ask_human])
    for word in "abc":
        lab.server.call_tools(("mend", {"word": word}))
    lab.server.call_tools(("ask_human", {"question": "Why?"}))
    lab.server.say("Mended.")
    async with lab.worker(waiter, max_cached_workflows=100):
        handle = await lab.holdfast.start("waiter", "Mend it.")
        await eventually(lambda: _is_calm(handle, "word=b"))
        [wait] = (await handle.status()).waits_for
        await handle.approve(wait.id, edit={"word": "d"}, by="Ada")
        await eventually(lambda: _is_calm(handle, "word=c"))
        [wait] = (await handle.status()).waits_for
        await handle.deny(wait.id, reason="no", by="Ada")
        await eventually(lambda: _is_calm(handle, "Why?"))
        await handle.answer(None, "because")
        await handle.result(60)
    return handle


async def answers_a_server(lab: Lab) -> RunHandle:
    """An MCP server that keeps a call open while a person answers, and one that is lost meanwhile."""
    folder = lab.settings.holdfast_home / "shop"
    folder.mkdir(parents=True)
    shop = Shop(folder)
    booker = Agent(name="booker", mcp=[shop.server(protocol="legacy")])
    for name in ("Ada", "Bo"):
        lab.server.call_tools(("shop__book", {"name": name}))
    lab.server.say("Booked.")
    try:
        await servers().tools(booker.mcp[0])  # it has started: the run is prepared in one attempt
        async with lab.worker(booker, max_cached_workflows=100):
            handle = await lab.holdfast.start("booker", "Book.")
            await eventually(lambda: _is_calm(handle, "Ada"))
            await handle.answer(None, '{"day": "Monday"}', by="Eve")
            await eventually(lambda: _is_calm(handle, "Bo"))
            await asyncio.to_thread(shop.kill)
            await handle.answer(None, "decline")
            await handle.result(60)
    finally:
        await asyncio.to_thread(close_servers)
    return handle


async def _is_calm(handle: RunHandle, words: str) -> bool:
    """Whether a run waits for this and has no append in flight: what it does next does not depend on timing."""
    progress = await handle.status()
    waits = progress.status == RunStatus.WAITING and any(words in wait.what for wait in progress.waits_for)
    return waits and progress.mirrored == progress.head


async def _is_listed(lab: Lab, handle: RunHandle) -> bool:
    """Whether the mirror has the run, whose first workflow task is then over; a query might divide that task."""
    return await lab.store.run(handle.id) is not None


async def _is_mirrored(handle: RunHandle) -> bool:
    progress = await handle.status()
    return progress.mirrored == progress.head


async def asks_an_agent(lab: Lab) -> RunHandle:
    """A child run answers; another one pauses, continues, and is cancelled with its parent."""
    streams = Reply(LONG, hang_after=1)
    Cast(lab, asker=[asks("asked", "What?"), asks("asked", "And?")], asked=[Reply("That."), streams, streams])
    async with lab.worker(asker, max_cached_workflows=100):
        handle = await lab.holdfast.start("asker", "Ask.")
        child = await exists(lab, f"{handle.id}/2.0")
        await streaming(child)
        await child.pause(now=True)
        await has_status(handle, RunStatus.WAITING)
        await child.resume()
        await has_status(handle, RunStatus.RUNNING)
        await handle.cancel()
        await handle.result(60)
    return handle


async def goes_back(lab: Lab) -> RunHandle:
    """A checkpoint that a person makes, and a restore to it that stops the model's stream."""
    lab.server.call_tools(("find", {"word": "a"}))
    lab.server.reply(Reply(text=LONG, hang_after=1))
    lab.server.say("Found.")
    async with lab.worker(agent, max_cached_workflows=100):
        handle = await lab.holdfast.start("recorded", "Find it.")
        await streaming(handle)
        await handle.create_checkpoint("here", {"a": 1}, id="recorded-checkpoint")
        assert await handle.restore_from_checkpoint("turn-1", id="recorded-restore")
        await handle.result(60)
    return handle


async def compacts(lab: Lab) -> RunHandle:
    """A context that is nearly full, whose first turn is replaced by a summary."""
    for word, used in (("a", 400), ("b", 900)):
        usage = Usage(requests=1, input_tokens=used, output_tokens=10)
        lab.server.call_tools(("find", {"word": word}), text="I think. " * 200, usage=usage)
    lab.server.say("In short.")
    lab.server.say("Found.")
    async with lab.worker(thinker):
        handle = await lab.holdfast.start("thinker", "Find it.")
        await handle.result(60)
    return handle


async def repairs_its_answer(lab: Lab) -> RunHandle:
    """An answer that is not valid, one that is, and a worker that has the type of the answers only later."""
    teller = Agent(name="teller", output_type=list[int])
    lab.server.say("none")
    lab.server.say('{"result": [1, 2]}')
    async with lab.worker():
        handle = await lab.holdfast.start(teller, "Count.")
        await eventually(lambda: _does(handle, "the output type of agent 'teller'"))
    async with lab.worker(teller):
        await handle.result(60)
    return handle


async def is_guarded(lab: Lab) -> RunHandle:
    """A session whose system prompt a function writes, with a message that is blocked, and two that are replaced."""

    def tidy(text: str) -> Block | str | None:
        return Block("bad") if "bad" in text else text.upper() if text.islower() else None

    def prompt() -> str:
        return "You find."

    sheltered = Agent(name="sheltered", system_prompt=prompt, input_guards=[tidy], output_guards=[tidy])
    lab.server.say("found")
    async with lab.worker(sheltered, max_cached_workflows=100):
        session = lab.holdfast.session(f"guarded-{uuid.uuid4().hex}", sheltered, idle_limit=1)
        await session.ask("This is bad.", id="first")
        await session.ask("find it", id="second")
        await session.run.result(60)
    return session.run


async def enters_a_stage(lab: Lab) -> RunHandle:
    """A call that enters a stage, which is shown while it runs, and another one at its end."""
    shown = asyncio.Event()

    @tool(read_only=True)
    async def build(context: ToolContext) -> str:
        """Builds."""
        context.stage("building_ui", 60)
        await shown.wait()
        context.stage("completed", 100)
        return "built"

    lab.server.call_tools(("build", {}))
    lab.server.say("Built.")
    async with lab.worker(builder := Agent(name="builder", tools=[build]), max_cached_workflows=100):
        handle = await lab.holdfast.start(builder, "Build.")

        async def is_shown() -> bool:
            mirrored = await lab.store.summary(handle.id)
            listed = await handle.listed()
            return (listed.stage, mirrored and mirrored.stage) == ("building_ui", "building_ui")

        await eventually(is_shown)
        shown.set()
        await handle.result(60)
    return handle


async def _has_told_a_result(lab: Lab) -> bool:
    """Whether the model was told what a tool has returned."""
    return any(message["role"] == "tool" for request in lab.server.requests for message in request.messages)


async def _does(handle: RunHandle, words: str) -> bool:
    return words in (await handle.status()).doing


async def _ended(lab: Lab, handle: RunHandle) -> RunHandle:
    async with lab.worker(agent):
        await handle.result(60)
    return handle


SCENARIOS: dict[str, Scenario] = {
    scenario.__name__: scenario
    for scenario in (
        answers_after_tools,
        claims_a_call,
        asks_about_a_lost_call,
        gives_up,
        is_refused,
        falls_back_under_a_rate,
        is_cancelled,
        asks_an_agent,
        hands_off,
        receives_pictures,
        calls_an_agent_by_a_tool,
        runs_out_of_time,
        outlives_its_worker_and_store,
        embeds_memories,
        calls_a_tool_alone,
        begins_as_a_fork,
        keeps_its_workspace,
        waits_for_a_budget,
        goes_back,
        compacts,
        repairs_its_answer,
        is_guarded,
        enters_a_stage,
        waits_for_people,
        answers_a_server,
    )
}
