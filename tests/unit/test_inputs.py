"""Inputs: what is accepted, in which form the model reads it, and what is said about everything else."""

from __future__ import annotations

import base64
import dataclasses
import enum
import json
import random
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from holdfast import File, Image, UsageError
from holdfast.attachments import MAX_FILE_BYTES, Attachment
from holdfast.client.inputs import Inputs
from holdfast.context import CLEARED, compacted
from holdfast.errors import ModelRefused
from holdfast.estimates import message_size, tokens
from holdfast.inlining import inlined
from holdfast.media_types import media_type_of
from holdfast.models.parts import explained
from holdfast.protocol import RunRequest
from holdfast.scripted.chat import ChatRequest
from holdfast.scripted.model import respond
from holdfast.storage.contents import MemoryContents
from holdfast.types import Message
from tests.support.pictures import PDF, png


class Kind(enum.Enum):
    """A kind."""

    ROPE = "rope"


class Order(BaseModel):
    """An order."""

    kind: Kind
    count: int
    day: date


@dataclasses.dataclass
class Task:
    """A task."""

    id: str
    orders: list[Order]


ORDER = Order(kind=Kind.ROPE, count=2, day=date(2026, 3, 1))
DATA = [
    ({"article": "rope", "at": datetime(2026, 1, 2, tzinfo=UTC)}, {"article": "rope", "at": "2026-01-02T00:00:00Z"}),
    (["a", "b"], ["a", "b"]),
    (ORDER, {"kind": "rope", "count": 2, "day": "2026-03-01"}),
    (Task("t-1", [ORDER]), {"id": "t-1", "orders": [{"kind": "rope", "count": 2, "day": "2026-03-01"}]}),
    ([ORDER, 1.5, None], [{"kind": "rope", "count": 2, "day": "2026-03-01"}, 1.5, None]),
    (7, 7),
    (False, False),
]
LOOP: list[Any] = []
LOOP.append(LOOP)


@pytest.mark.parametrize(("given", "expected"), DATA, ids=lambda value: type(value).__name__)
async def test_data_is_read_as_json(given: Any, expected: Any) -> None:
    """JSON values, models and dataclasses are JSON in the message."""
    taken = await Inputs(None, 1_000).take(given)
    assert (json.loads(taken.text), taken.structured, taken.attachments) == (expected, True, [])


WRONG: list[tuple[Callable[[], Any], str]] = [
    (lambda: None, "must be text that is not empty"),
    (lambda: " \n", "must be text that is not empty"),
    (dict, "must be data that is not empty"),
    (list, "must be data that is not empty"),
    (lambda: Path("a.pdf"), r"File\('a.pdf'\)"),
    (lambda: b"text", "is bytes; decode text"),
    (lambda: Order, "must be text, JSON values"),
    (lambda: print, "must be text, JSON values"),
    (lambda: {"a": float("nan")}, "nan is not a JSON number"),
    (lambda: {"a": object()}, "cannot be passed as JSON"),
    (lambda: {"picture": Image(png())}, "Image is inside data"),
    (lambda: LOOP, "cannot be passed as JSON"),
    (lambda: ["look", {"a": 1}, Image(png())], "part 2 of the input of a run is of type dict"),
    (lambda: "x" * 1_001, "1,001 bytes, but at most 1,000"),
    (lambda: [Image(png())] * 51, "at most 50 attachments"),
    (lambda: [Image(png(200, 200))], "STATE_PERSISTENCE_BACKEND"),
    (lambda: [Image("nowhere.png")], "cannot be read: No such file"),
    (lambda: [File("/")], "cannot be read: Is a directory"),
    (lambda: [File("/dev/null")], "cannot be read: it is not a file"),
    (lambda: [File("a\0b")], "cannot be read: no file can have this path"),
    (lambda: [Image("\ud800.png")], "cannot be read: no file can have this path"),
    (lambda: [File("~nobody-here/x")], "cannot be read: no file can have this path"),
    (lambda: [File(b"")], "is empty"),
    (lambda: [File(b"\0\1")], "name it, as media_type"),
    (lambda: [File(b"\0\1", name="x.tiff")], "convert it to PNG"),
    (lambda: [Image(PDF)], "no image; pass it as a File"),
    (lambda: [File("https://example.org/a.pdf")], "only an Image may be at a URL"),
    (lambda: [Image("http://example.org/a.png")], "not an https URL"),
    (lambda: [File(b"a" * 1_000_001, name="a.txt")], "at most 1,000,000 of a text"),
    (lambda: [File(PDF + bytes(MAX_FILE_BYTES))], "at most 20,000,000 of a file"),
]


@pytest.mark.parametrize(("given", "reason"), WRONG, ids=lambda value: value if isinstance(value, str) else "")
async def test_what_is_no_input_is_explained(given: Callable[[], Any], reason: str) -> None:
    """Each refusal says what is wrong, and what to do."""
    with pytest.raises(UsageError, match=reason):
        await Inputs(None, 1_000).take(given())


@pytest.mark.parametrize("seed", range(20))
async def test_parts_come_back_in_their_order(seed: int, tmp_path: Path) -> None:
    """Whatever the order of texts, images and files is, the request has it, with the exact contents."""
    chance, store = random.Random(seed), MemoryContents()
    parts: list[Any] = [Image(png(seed=seed))]
    for number in range(chance.randrange(6)):
        path = tmp_path / f"{number}.bin"
        path.write_bytes(PDF + chance.randbytes(chance.randrange(3_000)))
        made = [f"text {number} é漢", File(path), Image(png(seed=number)), File(chance.randbytes(9), media_type="x/y")]
        parts.insert(chance.randrange(len(parts) + 1), chance.choice(made))
    taken = await Inputs(lambda: store, 10_000).take(parts)
    message = Message(seq=1, role="user", content=taken.text, attachments=taken.attachments)
    kept = Message.model_validate_json(message.model_dump_json(exclude_unset=True))
    contents = {each.digest: await store.get(each.digest) for each in kept.attachments if each.digest}
    [sent] = inlined([kept], contents)
    found: list[str | bytes] = []
    for part in json.loads(sent.chat_json)["content"]:
        url = part.get("image_url", {}).get("url") or part.get("file", {}).get("file_data")
        found.append(base64.b64decode(url.partition(",")[2]) if url else part["text"])
    expected: list[str | bytes] = []
    for given in parts:
        if isinstance(given, str) and expected and isinstance(expected[-1], str):
            expected[-1] += f"\n\n{given}"
        else:
            expected.append(given if isinstance(given, str) else given.load().data)
    assert found == expected


def test_media_types_are_found_by_content_first() -> None:
    """A name that contradicts the content does not count, and text needs no name."""
    assert media_type_of("x.txt", png()) == "image/png"
    assert media_type_of("x.png", b"no picture") == "text/plain"
    assert media_type_of("", b"RIFF\0\0\0\0WAVEfmt ") == "audio/wav"
    assert media_type_of("a.md", b"# Title") == "text/markdown"
    assert media_type_of("data", b"\xff\xfe\0") is None


def test_a_request_by_hand_has_data_as_its_input() -> None:
    """JSON that a person writes for Temporal's CLI may have an object in place of a text."""
    request = RunRequest.model_validate({"agent": "clerk", "input": {"article": "rope"}})
    assert (request.input, request.structured) == ('{"article":"rope"}', True)
    assert RunRequest.model_validate(request.model_dump(exclude_unset=True)) == request
    assert request.shown_input == '{"article":"rope"}'


def picture(name: str = "x.png") -> Attachment:
    """A stored picture."""
    return Attachment(digest="0" * 64, name=name, media_type="image/png", size=12_300)


def test_compaction_names_what_it_leaves_out() -> None:
    """A summary, and a result that is cleared, say which images the model no longer sees."""
    call = {"id": "c", "name": "draw"}
    messages = [
        Message(seq=1, role="user", content="Look", attachments=[picture()]),
        Message(seq=2, role="assistant", tool_calls=[call]),
        Message(seq=3, role="tool", tool_call_id="c", content="drawn", attachments=[picture("y.png")]),
    ]
    done = compacted(messages, {"summarized": [[1, 1]], "summary": "They looked.", "cleared": [[3, 3]]})
    assert done[0].content.endswith("They looked.\n[no longer shown: x.png (image/png, 12 KB)]")
    assert done[2].content == f"{CLEARED}\n[no longer shown: y.png (image/png, 12 KB)]"
    assert not any(message.attachments for message in done)


def test_a_picture_has_the_tokens_of_a_picture() -> None:
    """Its size in bytes does not count; that of text does."""
    seen = Message(seq=1, role="user", attachments=[picture()])
    text = Attachment(digest="0" * 64, name="n.txt", media_type="text/plain", size=4_000)
    assert 1_000 < tokens(message_size(seen)) < 1_300
    assert 1_000 < tokens(message_size(Message(seq=1, role="user", attachments=[text]))) < 1_010


def test_a_server_without_images_is_explained() -> None:
    """What a server says of images is followed by what was sent; another refusal stays as it is."""
    seen = [Message(seq=1, role="user", attachments=[picture()])]
    for words in ("Model does not support image input", "unknown variant `image_url`", "content must be a string"):
        assert "x.png (image/png, 12 KB)" in str(explained(ModelRefused(words), seen, "small"))
    assert str(explained(ModelRefused("invalid key"), seen, "small")) == "invalid key"
    assert str(explained(ModelRefused("no image support"), [], "small")) == "no image support"


def test_the_scripted_model_says_what_it_received() -> None:
    """It names images and files with their sizes, and that it cannot look into them."""
    url = f"data:image/png;base64,{base64.b64encode(png()).decode()}"
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": url}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"}},
    ]
    body = {"model": "scripted", "messages": [{"role": "user", "content": parts}]}
    reply = respond(ChatRequest(body, len(json.dumps(body)), {}))
    assert f"an image (image/png, {len(png())} B), the file a.pdf (application/pdf, 3 B)" in reply.text
    assert "cannot look into it" in reply.text
    assert "What is this?" in reply.text
