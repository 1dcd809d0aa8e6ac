"""Images and files in every message of a person to a run, and in what its tools ask other agents."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from holdfast import Agent, File, Image, RunHandle, RunStatus, ToolContext, UsageError, tool
from holdfast.errors import CommandRefused
from holdfast.testing import Reply
from holdfast.testing.replies import call_tools
from holdfast.tools import ask_human
from tests.support.lab import Lab, eventually
from tests.support.lab_cli import command_line
from tests.support.moments import has_status, streaming
from tests.support.pictures import PDF, png
from tests.support.stored_lab import open_stored_lab
from tests.support.trees import LONG, Cast, assert_replays

CACHED = 100
FIRST, SECOND, THIRD = (Image(png(seed=seed), name=f"{seed}.png") for seed in (1, 2, 3))


@tool(approval="always")
async def pay(euros: int) -> str:
    """Pays."""
    return f"paid {euros}"


@tool(idempotent=True, retries=1)
async def describe(name: str, context: ToolContext) -> str:
    """Has a picture of the workspace described; the first attempt fails when it has the answer."""
    context.workspace.mkdir(parents=True, exist_ok=True)
    (context.workspace / name).write_bytes(png(seed=5))
    found = await context.call_agent("expert", ["What is this?", Image(name)])
    if context.attempt == 1:
        raise RuntimeError("forgotten")
    with pytest.raises(UsageError, match=r"missing\.png.* cannot be read"):
        await context.call_agent("expert", [Image("missing.png")])
    return f"{found.content} {(await context.call_agent('expert', {'pieces': 2})).content}"


viewer = Agent(name="viewer", system_prompt="viewer", tools=[ask_human, pay])
expert = Agent(name="expert", system_prompt="expert")
boss = Agent(name="boss", system_prompt="boss", tools=[describe], agents=[expert], handoffs=[expert])


@pytest.fixture
async def stored(temporal_address: str, tmp_path: Path) -> AsyncIterator[Lab]:
    """A lab with an embedded database."""
    async with open_stored_lab(temporal_address, tmp_path) as (lab, _payloads):
        yield lab


def shown(seed: int) -> dict[str, Any]:
    """The part of a request that shows a picture."""
    url = f"data:image/png;base64,{base64.b64encode(png(seed=seed)).decode()}"
    return {"type": "image_url", "image_url": {"url": url}}


def said(text: str) -> dict[str, Any]:
    """The part of a request that is text."""
    return {"type": "text", "text": text}


async def question(run: RunHandle, kind: str = "question") -> str:
    """Waits until a run asks a person, and returns the id of the wait."""
    found: list[str] = []

    async def asks() -> bool:
        found[:] = [wait.id for wait in (await run.status()).waits_for if wait.kind == kind]
        return len(found) == 1

    await eventually(asks)
    return found[0]


async def test_forks_and_restores_begin_with_pictures(stored: Lab, tmp_path: Path) -> None:
    """The message of a fork, and of a run that goes back, may have images and files; a fault is told before."""
    Cast(stored, viewer=Reply("Seen."))
    (tmp_path / "notes.txt").write_text("ropes: 12\n")
    (tmp_path / "third.png").write_bytes(png(seed=3))
    async with stored.worker(viewer, max_cached_workflows=CACHED):
        session = stored.holdfast.session("gone-back", viewer)
        await session.ask(["Look", FIRST])
        fork = await session.run.fork(message=["And this?", SECOND, File(tmp_path / "notes.txt")])
        await has_status(fork, RunStatus.WAITING)
        last = stored.server.requests[-1].messages
        assert last[1]["content"] == [said("Look"), shown(1)]
        assert last[-1]["content"] == [said("And this?"), shown(2), said("The file notes.txt:\n\nropes: 12")]
        assert [each.name for each in await fork.attachments()] == ["1.png", "2.png", "notes.txt"]
        assert "2.png (image/png, " in (await fork.status()).input
        faulty: list[Any] = [[], "  ", File(tmp_path / "missing.txt")]
        for wrong in faulty:
            with pytest.raises(UsageError, match=r"the message must be|must not be blank|cannot be read"):
                await session.run.fork(message=wrong)
            with pytest.raises(UsageError, match=r"the message must be|must not be blank|cannot be read"):
                await session.run.restore("turn-1", message=wrong)
        assert not [entry for entry in await stored.entries("gone-back") if entry.kind == "restored"]
        attach = ("--attach", str(tmp_path / "third.png"))
        cli = command_line(stored)
        await cli.run("restore", "gone-back", "turn-1", *attach)
        await stored.server.wait_for_requests(3)
        assert stored.server.requests[-1].messages[-1]["content"] == [shown(3)]
        await cli.run(
            "fork", "gone-back", "--message", "Again?", *attach, "--id", "forked-again", "--mode", "background"
        )
        await stored.server.wait_for_requests(4)
        assert stored.server.requests[-1].messages[-1]["content"] == [said("Again?"), shown(3)]
        runs = [stored.holdfast.handle(each) for each in ("gone-back", fork.id, "forked-again")]
        for run in runs:
            await has_status(run, RunStatus.WAITING)
            await run.cancel()
            await run.result(60)
            await stored.assert_mirrored(run.id)
        await assert_replays(stored, *runs)


async def test_answers_and_interruptions_have_pictures(stored: Lab, tmp_path: Path) -> None:
    """The answer to a question is the result of its call, with its files behind it; an interruption brings its own."""
    (tmp_path / "third.png").write_bytes(png(seed=3))
    (tmp_path / "a.pdf").write_bytes(PDF)
    stored.server.call_tools(("ask_human", {"question": "How does it look?"}))
    stored.server.reply(Reply(text=LONG, hang_after=1))
    stored.server.call_tools(("ask_human", {"question": "Left?", "options": ["yes", "no"]}))
    stored.server.call_tools(("pay", {"euros": 5}))
    stored.server.say("Done.")
    cli = command_line(stored)
    async with stored.worker(viewer, max_cached_workflows=CACHED):
        run = await stored.holdfast.start("viewer", "Describe it.")
        files = ("--attach", str(tmp_path / "third.png"), "--attach", str(tmp_path / "a.pdf"))
        await cli.run("answer", run.id, await question(run), "Like this.", *files)
        await streaming(run)
        *_, answer, pictures = stored.server.requests[1].messages
        assert (answer["role"], answer["content"]) == ("tool", "Like this.")
        assert [part["type"] for part in pictures["content"]] == ["text", "image_url", "file"]
        assert pictures["content"][0] == said("These files belong to the results above: third.png, a.pdf")
        await cli.run("interrupt", run.id, "Rather this one.", *files[:2])
        wait = await question(run)
        assert stored.server.requests[2].messages[-1]["content"] == [said("Rather this one."), shown(3)]
        with pytest.raises(CommandRefused, match=r"has options.*`send`"):
            await run.answer(wait, ["yes", SECOND])
        await run.answer(wait, "yes")
        wait = await question(run, "approval")
        with pytest.raises(CommandRefused, match="waits for an approval, which `approve` or `deny` gives"):
            await run.answer(wait, ["yes", SECOND])
        await run.approve(wait)
        assert (await run.result(60)).content == "Done."
        assert [each.name for each in await run.attachments()] == ["third.png", "a.pdf", "third.png"]
        await stored.assert_mirrored(run.id)
        await assert_replays(stored, run)


async def test_messages_carry_contents_themselves_without_a_database(lab: Lab) -> None:
    """They are stored before the log refers to them, also those of a fork, and one that is too large is refused."""
    lab.server.call_tools(("ask_human", {"question": "How does it look?"}))
    lab.server.say("Seen.")
    lab.server.say("Seen, too.")
    async with lab.worker(viewer, max_cached_workflows=CACHED):
        run = await lab.holdfast.start("viewer", "Describe it.")
        wait = await question(run)
        with pytest.raises(UsageError, match="at most 524,288"):
            await run.answer(wait, [Image(png(500, 500))])
        await run.answer(wait, FIRST)
        assert (await run.result(60)).content == "Seen."
        fork = await run.fork(message=SECOND)
        assert (await fork.result(60)).content == "Seen, too."
        kept = json.dumps([entry.data for each in (run, fork) for entry in await lab.entries(each.id)])
        assert not [seed for seed in (1, 2) if base64.b64encode(png(seed=seed)).decode() in kept]
        await assert_replays(lab, run, fork)
    sent = lab.server.requests[-1].messages
    assert sent[3]["content"].startswith("[1.png (image/png, "), "a picture alone has a name where the answer is text"
    assert (sent[4]["content"][1], sent[-1]["content"]) == (shown(1), [shown(2)])


async def test_other_agents_see_pictures(stored: Lab) -> None:
    """A tool passes images and data to agents, once for all its attempts; a handoff takes everything along."""
    Cast(
        stored,
        boss=[call_tools(("describe", {"name": "x.png"})), call_tools(("transfer_to_expert", {}))],
        expert=[Reply("A rope."), Reply("Two."), Reply("I see both.")],
    )
    async with stored.worker(boss, max_cached_workflows=CACHED):
        run = await stored.holdfast.start("boss", ["What are they?", FIRST])
        result = await run.result(60)
        assert (result.content, result.run.active_agent) == ("I see both.", "expert")
        asked, data = [each for each in stored.server.requests if each.messages[0]["content"] == "expert"][:2]
        assert asked.messages[1]["content"] == [said("What is this?"), shown(5)]
        assert json.loads(data.messages[1]["content"]) == {"pieces": 2}
        assert stored.server.requests[-1].messages[1]["content"] == [said("What are they?"), shown(1)]
        [told] = [each["content"] for each in stored.server.requests[-1].messages if each["role"] == "tool"][:1]
        assert told == "A rope. Two."
        children = (await run.status()).children
        assert len(children) == 2, "the second attempt has found the run of the first one"
        assert "x.png (image/png, " in (await stored.holdfast.handle(children[0].run).status()).input
        await assert_replays(stored, run, *(stored.holdfast.handle(child.run) for child in children))
