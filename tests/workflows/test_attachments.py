"""Images and files in runs: stored once, referred to by digest, and put into the requests to models alone."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from holdfast import Agent, Attachment, File, Image, RunExists, RunStatus, ToolResult, UsageError, tool
from holdfast.client.holdfast import Holdfast
from holdfast.storage.contents import SurrealContents
from holdfast.storage.encryption import KeyRing, new_key
from holdfast.storage.payloads.chunk_store import ChunkStore
from holdfast.storage.payloads.data_converter import data_converter
from holdfast.temporal.connection import connect_temporal
from holdfast.testing import Reply
from tests.support.lab import Lab
from tests.support.pictures import PDF, png
from tests.support.stored_lab import open_stored_lab

LARGE = png(200, 200)  # some 120 KB

MANY = 30  # exchanges, after which a session has continued as new

viewer = Agent(name="viewer", system_prompt="You look at pictures.", max_turns=100)


@pytest.fixture
async def stored(temporal_address: str, tmp_path: Path) -> AsyncIterator[Lab]:
    """A lab with an embedded database."""
    async with open_stored_lab(temporal_address, tmp_path) as (lab, _payloads):
        yield lab


def data_url(media_type: str, data: bytes) -> str:
    """The content of a part of a message."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def image_part(data: bytes) -> dict[str, Any]:
    """The part of a message that shows a PNG image."""
    return {"type": "image_url", "image_url": {"url": data_url("image/png", data)}}


async def history_text(lab: Lab, run_id: str) -> str:
    """Everything that Temporal has of a run."""
    return (await lab.client.get_workflow_handle(run_id).fetch_history()).to_json()


async def test_images_and_files_reach_the_model(stored: Lab, tmp_path: Path) -> None:
    """The request has each part in its place; history and mirror have a reference, however often it is sent."""
    (tmp_path / "x.png").write_bytes(LARGE)
    (tmp_path / "notes.txt").write_text("ropes: 12\n")
    stored.server.call_tools(("look", {}), text="let me see")
    stored.server.say("A picture.")
    said = [
        "What is this?",
        Image(tmp_path / "x.png"),
        "And these?",
        File(PDF, name="a.pdf"),
        File(tmp_path / "notes.txt"),
    ]
    async with stored.worker(Agent(name="viewer", tools=[look])):
        handle = await stored.holdfast.start("viewer", said, id="pictures")
        result = await handle.result()
        assert (result.status, result.content) == (RunStatus.COMPLETED, "A picture.")
        parts = [
            {"type": "text", "text": "What is this?"},
            image_part(LARGE),
            {"type": "text", "text": "And these?"},
            {"type": "file", "file": {"filename": "a.pdf", "file_data": data_url("application/pdf", PDF)}},
            {"type": "text", "text": "The file notes.txt:\n\nropes: 12\n".strip()},
        ]
        first, second = stored.server.requests
        assert first.messages[-1] == {"role": "user", "content": parts}
        assert second.messages[0] == first.messages[-1]
        assert len(await history_text(stored, "pictures")) < 60_000
        [message] = [
            entry.message for entry in await stored.entries("pictures") if entry.message and entry.message.seq == 1
        ]
        assert message is not None
        assert [(each.name, each.media_type, each.size) for each in message.attachments] == [
            ("x.png", "image/png", len(LARGE)),
            ("a.pdf", "application/pdf", len(PDF)),
            ("notes.txt", "text/plain", 10),
        ]
        await stored.assert_mirrored("pictures")
        assert (await handle.attachments())[0].line.startswith("x.png (image/png, 1")
        assert await handle.attachment(1) == LARGE
        with pytest.raises(UsageError, match="has no attachment 4; it has 3"):
            await handle.attachment(4)


@tool(read_only=True)
def look() -> str:
    """Looks."""
    return "seen"


@tool(read_only=True)
def draw(names: list[str]) -> list[Image]:
    """Draws pictures.

    Args:
        names: of them.
    """
    return [Image(png(seed=len(name)), name=name) for name in names]


async def test_what_a_program_was_asked_with_is_known_by_content(stored: Lab, tmp_path: Path) -> None:
    """The same content under another name is the same input; another one under the same name is not."""
    (tmp_path / "x.png").write_bytes(png())
    stored.server.say("A picture.")

    async def ask(name: str) -> Any:
        return await stored.holdfast.start("viewer", ["Look", Image(tmp_path / name)], id="same", attach=True)

    async with stored.worker(viewer):
        await (await ask("x.png")).result()
        (tmp_path / "y.png").write_bytes(png())
        assert (await (await ask("y.png")).result()).content == "A picture."
        (tmp_path / "x.png").write_bytes(png(seed=1))
        with pytest.raises(RunExists, match="another input"):
            await ask("x.png")
    assert len(stored.server.requests) == 1


async def test_a_lost_content_fails_the_run(stored: Lab) -> None:
    """A run whose picture is gone ends with the reason, and makes no request."""
    async with stored.worker(viewer):
        assert isinstance(stored.contents, SurrealContents)
        digest = await stored.contents.put(png())
        await stored.contents._database.run("DELETE content; ")
        stored.contents._cache.clear()
        request = {
            "agent": "viewer",
            "input": "",
            "attachments": [{"digest": digest, "name": "x.png", "media_type": "image/png"}],
        }
        run = stored.client.start_workflow
        await run("AgentRun", request, id="lost", task_queue=stored.settings.temporal_task_queue)
        result = await stored.holdfast.handle("lost").result()
    assert result.status == RunStatus.FAILED
    assert result.error is not None
    assert "the content of x.png" in result.error
    assert stored.server.requests == []


async def test_a_request_written_by_hand(lab: Lab) -> None:
    """Plain JSON carries contents and URLs; a log and its mirror have only a digest, also without a database."""
    lab.server.say("A cat.")
    data = base64.b64encode(png()).decode()
    attached = [{"data": data, "name": "cat.png", "at": 4}, {"url": "https://example.org/dog.jpg"}]
    request = {"agent": "viewer", "input": "Cat?", "attachments": attached}
    async with lab.worker(viewer):
        queue = lab.settings.temporal_task_queue
        await lab.client.start_workflow("AgentRun", request, id="by-hand", task_queue=queue)
        result = await lab.holdfast.handle("by-hand").result()
        entries = await lab.entries("by-hand")
    assert result.content == "A cat."
    dog = {"type": "image_url", "image_url": {"url": "https://example.org/dog.jpg"}}
    assert lab.server.requests[0].messages[-1]["content"] == [dog, {"type": "text", "text": "Cat?"}, image_part(png())]
    assert data not in json.dumps([entry.data for entry in entries])
    bad = [({"data": "?"}, "base64"), ({"url": "http://x.org/a.png"}, "https"), ({}, "has one of")]
    async with lab.worker(viewer):
        for number, (attachment, reason) in enumerate(bad):
            request = {"agent": "viewer", "input": "Cat?", "attachments": [attachment]}
            await lab.client.start_workflow("AgentRun", request, id=f"bad-{number}", task_queue=queue)
            with pytest.raises(Exception) as failure:  # noqa: PT011 - Temporal's, whose cause has the reason
                await lab.client.get_workflow_handle(f"bad-{number}").result()
            assert reason in str(failure.value.__cause__)


async def test_without_a_database_requests_carry_contents(lab: Lab) -> None:
    """A program that shares no database with its workers passes on small contents, and is told of larger ones."""
    lab.server.say("Seen.")
    async with lab.worker(viewer):
        handle = await lab.holdfast.start("viewer", ["Look", Image(png())])
        assert (await handle.result()).content == "Seen."
        with pytest.raises(UsageError, match="in the memory of the worker"):
            await handle.attachment(1)
    assert lab.server.requests[0].messages[-1]["content"][1] == image_part(png())
    with pytest.raises(UsageError, match="STATE_PERSISTENCE_BACKEND"):
        await lab.holdfast.start("viewer", ["Look", Image(png(500, 500))])


async def test_messages_carry_contents_without_a_database(lab: Lab) -> None:
    """Messages of a session carry small contents too, which its log never has; one too large is refused."""
    for text in ("One.", "Two.", "Three."):
        lab.server.say(text)
    async with lab.worker(viewer):
        session = lab.holdfast.session("carried", "viewer")
        assert (await session.ask(["First", Image(png(seed=1))])).reply == "One."
        assert (await session.ask(["Second", Image(png(seed=2))])).reply == "Two."
        assert (await session.ask("Third")).reply == "Three."
        with pytest.raises(UsageError, match="at most 524,288"):
            await session.send([Image(png(500, 500))])
        entries = json.dumps([entry.data for entry in await lab.entries("carried")])
    sent = lab.server.requests[-1].messages
    assert [message["content"][1] for message in sent[1:4:2]] == [image_part(png(seed=1)), image_part(png(seed=2))]
    assert base64.b64encode(png(seed=1)).decode() not in entries


async def test_images_of_tools_are_shown(stored: Lab) -> None:
    """Pictures that tools return follow all results of the turn, in one message of the request, and are stored."""
    stored.server.call_tools(("draw", {"names": ["a.png", "bb.png"]}), ("draw", {"names": ["ccc.png"]}))
    stored.server.say("Nice.")
    async with stored.worker(Agent(name="painter", tools=[draw])):
        handle = await stored.holdfast.start("painter", "Draw.", id="drawn")
        assert (await handle.result()).content == "Nice."
        sent = stored.server.requests[-1].messages
        assert [message["role"] for message in sent] == ["user", "assistant", "tool", "tool", "user"]
        assert sent[-1]["content"][1:] == [image_part(png(seed=size)) for size in (5, 6, 7)]
        assert "a.png, bb.png, ccc.png" in sent[-1]["content"][0]["text"]
        assert [each.name for each in await handle.attachments()] == ["a.png", "bb.png", "ccc.png"]
        await stored.assert_mirrored("drawn")


async def test_messages_of_a_session_have_attachments(stored: Lab) -> None:
    """A picture of the first message stays in later requests, as a reference in history, and one may follow."""
    stored.server.say("One.")
    stored.server.say("Two.")
    async with stored.worker(viewer):
        session = stored.holdfast.session("album", "viewer")
        assert (await session.ask([Image(LARGE), "First"])).reply == "One."
        assert (await session.ask(Image(png()))).reply == "Two."
        sent = stored.server.requests[-1].messages
        assert sent[-1]["content"] == [image_part(png())]
        assert sent[-3]["content"] == [image_part(LARGE), {"type": "text", "text": "First"}]
        assert len(await history_text(stored, "album")) < 60_000


async def test_encrypted_contents_reach_the_model(temporal_address: str, tmp_path: Path) -> None:
    """With a key, nothing in Temporal or the database shows the picture or its hash."""
    async with open_stored_lab(temporal_address, tmp_path, keys=KeyRing.parse(new_key())) as (lab, _payloads):
        lab.server.say("Secret.")
        async with lab.worker(viewer):
            handle = await lab.holdfast.start("viewer", [Image(LARGE, name="secret.png")])
            assert (await handle.result()).content == "Secret."
            assert await handle.attachment(1) == LARGE
        assert lab.server.requests[0].messages[-1]["content"] == [image_part(LARGE)]
    stored = b"".join(path.read_bytes() for path in (tmp_path / "db").rglob("*") if path.is_file())
    assert LARGE[100:132] not in stored
    assert b"secret.png" not in stored


async def test_a_model_that_sees_nothing_is_explained(stored: Lab) -> None:
    """The run fails with the server's words, what was sent, and what to do."""
    stored.server.reply(Reply.error(400, "No endpoints found that support image input"))
    async with stored.worker(viewer):
        result = await (await stored.holdfast.start("viewer", ["Look", Image(png(), name="x.png")])).result()
    assert result.status == RunStatus.FAILED
    assert result.error is not None
    assert "support image input" in result.error
    assert "the conversation has x.png (image/png, " in result.error
    assert "use a model that does" in result.error


async def test_a_session_that_continues_as_new_keeps_its_picture(short_histories: Lab) -> None:
    """The picture of the first message is in the requests of every execution."""
    lab, pictures = short_histories, list[Any]()
    async with lab.worker(viewer, max_cached_workflows=100):
        session = lab.holdfast.session("long", "viewer")
        for number in range(MANY):
            lab.server.say(f"answer {number}")
            await session.ask(["Look", Image(png(), name="x.png")] if number == 0 else f"message {number}")
            pictures.append(lab.server.requests[-1].messages[1]["content"])
        description = await lab.client.get_workflow_handle("long").describe()
        first = description.raw_description.workflow_execution_info.first_run_id
    assert first != description.run_id, "it has continued as new"
    assert all(content == [{"type": "text", "text": "Look"}, image_part(png())] for content in pictures)


async def test_forks_and_reruns_have_the_pictures(stored: Lab) -> None:
    """A fork, and a run that is repeated, refer to the same content as their origin."""
    for text in ("One.", "Forked.", "Again."):
        stored.server.say(text)
    async with stored.worker(viewer):
        origin = await stored.holdfast.start("viewer", [Image(png()), "Look"], id="origin")
        await origin.result()
        fork = await origin.fork(message="And now?", id="forked")
        assert (await fork.result()).content == "Forked."
        again = await origin.rerun(id="again")
        assert (await again.result()).content == "Again."
        assert await origin.attachments() == await fork.attachments() == await again.attachments()
    look = [image_part(png()), {"type": "text", "text": "Look"}]
    assert [request.messages[1]["content"] for request in stored.server.requests] == [look] * 3


@tool(read_only=True)
def screenshot() -> ToolResult:
    """Returns what a server of tools does: an image that carries its content, and one at a URL."""
    data = base64.b64encode(png(seed=9)).decode()
    return ToolResult(
        content="[image]", attachments=[Attachment(data=data), Attachment(url="https://example.org/a.png")]
    )


async def test_images_that_results_carry_are_stored(stored: Lab) -> None:
    """Neither history nor the log has the content, and the model is shown the image."""
    stored.server.call_tools(("screenshot", {}))
    stored.server.say("Seen.")
    async with stored.worker(Agent(name="browser", tools=[screenshot])):
        handle = await stored.holdfast.start("browser", "Look.", id="screens")
        assert (await handle.result()).content == "Seen."
        assert await handle.attachment(1) == png(seed=9)
        assert all(each.data is None for each in await handle.attachments())
    url = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
    assert stored.server.requests[-1].messages[-1]["content"][1:] == [image_part(png(seed=9)), url]


async def test_a_new_key_does_not_make_another_input(temporal_address: str, tmp_path: Path) -> None:
    """A program that is started again with a new first key continues the run that the old key encrypted."""
    old, new = new_key(), new_key()
    async with open_stored_lab(temporal_address, tmp_path, keys=KeyRing.parse(old)) as (lab, payloads):
        lab.server.say("Seen.")
        asked = ["Look", Image(png(), name="x.png")]
        async with lab.worker(viewer):
            await (await lab.holdfast.start("viewer", asked, id="keyed")).result()
            keys, queue = KeyRing.parse(f"{new},{old}"), lab.settings.temporal_task_queue
            client = await connect_temporal(
                temporal_address, converter=data_converter(partial(ChunkStore, payloads, keys), keys)
            )
            assert isinstance(lab.contents, SurrealContents)
            contents = SurrealContents(lab.contents._database, keys)
            again = Holdfast(client, task_queue=queue, contents=lambda: contents)
            assert (await (await again.start("viewer", asked, id="keyed", attach=True)).result()).content == "Seen."
            with pytest.raises(RunExists, match="another input"):
                await again.start("viewer", ["Look", Image(png(seed=3), name="x.png")], id="keyed", attach=True)
