"""The codec endpoint over real HTTP, with the requests of Temporal's UI."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import httpx2 as httpx
import pytest
import uvicorn
from google.protobuf.json_format import MessageToDict, ParseDict
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.converter import DataConverter

from holdfast.api import codec
from holdfast.api.codec import codec_app
from holdfast.storage.database import Database, open_database
from holdfast.storage.encryption import KeyRing, new_key
from holdfast.storage.payloads.chunk_store import ChunkStore
from holdfast.storage.payloads.chunk_table import ChunkTable
from holdfast.storage.payloads.data_converter import data_converter
from tests.support.lab import eventually
from tests.support.surreal_server import free_port

UI = "http://127.0.0.1:8233"
JSON = {"Content-Type": "application/json"}
LARGE = "a large payload, " * 30_000


KEY = new_key()


@asynccontextmanager
async def serving(converter: DataConverter) -> AsyncIterator[httpx.AsyncClient]:
    """An endpoint that listens, and a client of it."""
    port = free_port()
    app = codec_app(converter, data_converter(None, KeyRing.parse(KEY)), [UI])
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error", lifespan="off"))

    async def started() -> bool:
        return server.started

    with contextlib.ExitStack() as stack:
        stack.callback(setattr, server, "should_exit", True)
        task = asyncio.create_task(server._serve())
        await eventually(started)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
            yield client
    await task


@pytest.fixture
async def converter() -> AsyncIterator[DataConverter]:
    """Encrypts, and stores what is large."""
    async with stored() as (found, _):
        yield found


@asynccontextmanager
async def stored() -> AsyncIterator[tuple[DataConverter, Database]]:
    """A converter that encrypts and stores what is large, with its database."""
    database, keys = open_database("mem://"), KeyRing.parse(KEY)
    yield data_converter(partial(ChunkStore, ChunkTable(database), keys), keys), database
    await database.close()


def asked(*payloads: Payload) -> dict[str, Any]:
    """What the UI sends."""
    return MessageToDict(Payloads(payloads=payloads))


def shown(answer: httpx.Response) -> list[Any]:
    """What the UI shows."""
    payloads = ParseDict(answer.json(), Payloads()).payloads
    assert all(payload.metadata["encoding"] == b"json/plain" for payload in payloads)
    return [json.loads(payload.data) for payload in payloads]


async def test_the_ui_can_read_what_is_encrypted_and_what_is_large(converter: DataConverter) -> None:
    """The endpoint returns the text of encrypted payloads and of those that are stored apart."""
    payloads = await converter.encode(["a secret", LARGE, {"a": 1}])
    payloads.append(Payload(metadata={"encoding": b"json/plain"}, data=b'"never encrypted"'))
    async with serving(converter) as client:
        for path in ("/decode", "/default/decode", "/download"):
            answer = await client.post(path, json=asked(*payloads), headers={"Origin": UI, "X-Namespace": "default"})
            assert answer.status_code == 200
            assert answer.headers["access-control-allow-origin"] == UI
            assert shown(answer) == ["a secret", LARGE, {"a": 1}, "never encrypted"]


async def test_what_the_ui_sends_is_encrypted(converter: DataConverter) -> None:
    """What the UI sends is encrypted before it is stored."""
    payload = Payload(metadata={"encoding": b"json/plain"}, data=b'"a secret"')
    async with serving(converter) as client:
        answer = await client.post("/encode", json=asked(payload))
    [encoded] = ParseDict(answer.json(), Payloads()).payloads
    assert encoded.metadata["encoding"] == b"binary/encrypted"
    assert b"secret" not in base64.b64decode(answer.json()["payloads"][0]["data"])
    assert await converter.decode([encoded], [str]) == ["a secret"]


async def test_the_browser_s_question_beforehand_is_answered(converter: DataConverter) -> None:
    """The browser's preflight request is allowed for the UI's origin."""
    ask = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type,x-namespace"}
    async with serving(converter) as client:
        allowed = await client.options("/decode", headers={"Origin": UI, **ask})
        refused = await client.options("/decode", headers={"Origin": "http://evil.example", **ask})
    assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (200, UI)
    assert "access-control-allow-origin" not in refused.headers


async def test_pages_of_others_get_nothing(converter: DataConverter) -> None:
    """Pages of other origins or host names are refused."""
    async with serving(converter) as client:
        [payload] = await converter.encode(["a secret"])
        other_name = await client.post("/decode", json=asked(payload), headers={"Host": "evil.example"})
        other_page = await client.post("/decode", json=asked(payload), headers={"Origin": "http://evil.example"})
    assert (other_name.status_code, other_page.status_code) == (400, 403)
    assert "secret" not in other_name.text + other_page.text
    assert "access-control-allow-origin" not in other_page.headers


@pytest.mark.parametrize("kind", ["text/plain", "text/plain;application/json", "application/x-www-form-urlencoded", ""])
@pytest.mark.parametrize("origin", [{}, {"Origin": UI}])
async def test_only_json_is_carried_out(converter: DataConverter, kind: str, origin: dict[str, str]) -> None:
    """A request that a browser sends without asking first, as it is not JSON, is refused."""
    async with serving(converter) as client:
        [payload] = await converter.encode(["a secret"])
        body = json.dumps(asked(payload))
        answer = await client.post("/decode", content=body, headers={"Content-Type": kind, **origin})
        assert (answer.status_code, "secret" in answer.text) == (415, False)
        answer = await client.post("/decode", content=body, headers={"Content-Type": "application/json; charset=utf-8"})
        assert shown(answer) == ["a secret"]


async def test_nothing_is_stored() -> None:
    """What is encoded, however large, is encrypted and returned; the database stays empty."""
    async with stored() as (converter, database), serving(converter) as client:
        payload = Payload(metadata={"encoding": b"json/plain"}, data=json.dumps(LARGE * 6).encode())
        answer = await client.post("/encode", json=asked(payload))
        [encoded] = ParseDict(answer.json(), Payloads()).payloads
        assert encoded.metadata["encoding"] == b"binary/encrypted"
        assert await converter.decode([encoded], [str]) == [LARGE * 6]
        assert await database.read("SELECT * FROM payload") == [[]]


async def test_sizes_are_bounded(converter: DataConverter, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that is too large is refused before it is read; an answer that would be leaves out the rest."""
    monkeypatch.setattr(codec, "MAX_BODY_BYTES", 20_000)
    monkeypatch.setattr(codec, "MAX_PAYLOADS", 5)
    monkeypatch.setattr(codec, "MAX_ANSWER_BYTES", 100_000)
    [large] = await converter.encode([LARGE])
    [small] = await converter.encode(["small"])

    async def in_pieces() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b" " * 10_000

    async with serving(converter) as client:
        announced = await client.post("/decode", content=b" " * 30_000, headers=JSON)
        streamed = await client.post("/decode", content=in_pieces(), headers=JSON)
        many = await client.post("/decode", json=asked(*[small] * 6))
        some = await client.post("/decode", json=asked(small, large, small))
    assert [answer.status_code for answer in (announced, streamed, many)] == [413, 413, 413]
    assert shown(some)[:2] == ["small", LARGE]
    assert shown(some)[2] == "this payload cannot be decoded: the payloads before it have more than 100,000 bytes"


async def test_one_payload_that_cannot_be_read_does_not_hide_the_others(converter: DataConverter) -> None:
    """An unreadable payload is marked, and the others of the request are decoded."""
    [foreign] = await data_converter(None, KeyRing.parse(f"theirs:{new_key()}")).encode(["x"])
    [ours] = await converter.encode(["a secret"])
    async with serving(converter) as client:
        answer = await client.post("/decode", json=asked(foreign, ours))
    unreadable, readable = shown(answer)
    assert readable == "a secret"
    assert unreadable.startswith("this payload cannot be decoded: this was encrypted with key 'theirs'")


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"payloads": 1}', b'{"payloads": [{"data": "not base64!"}]}', b"\xff"]
)
async def test_a_bad_request_is_refused_with_a_reason(converter: DataConverter, body: bytes) -> None:
    """A malformed request is answered with what is accepted."""
    async with serving(converter) as client:
        answer = await client.post("/decode", content=body, headers=JSON)
        assert (answer.status_code, "Payloads as JSON" in answer.text) == (400, True)
        assert (await client.get("/decode")).status_code == 405
        assert (await client.post("/other", content=b"{}")).status_code == 404
