"""The cache of replies for development."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from holdfast import Agent, UsageError
from holdfast.composition.models import configured_models
from holdfast.errors import ModelError
from holdfast.model_reply import ModelReply
from holdfast.models.cache import ReplyCache
from holdfast.ports import ChatModel
from holdfast.settings import Settings
from holdfast.testing import ModelServer, Reply
from holdfast.types import AgentSpec, Message, ToolCall, Usage
from tests.support.lab import Lab


def asked(text: str = "Hello.", call: str = "c1") -> list[Message]:
    """A context with a tool call of some id."""
    calls = [ToolCall(id=call, name="look")]
    return [
        Message(seq=0, role="user", content=text),
        Message(seq=1, role="assistant", tool_calls=calls),
        Message(seq=2, role="tool", content="seen", tool_call_id=call),
    ]


@asynccontextmanager
async def cached(server: ModelServer, home: Path, **settings: Any) -> AsyncIterator[ChatModel]:
    """The models of a process with a cache."""
    given = {"model_response_cache": "on", **settings}
    model = configured_models(Settings(holdfast_home=home, openai_base_url=server.url, openai_api_key="k", **given))
    yield model
    await model.close()


def kept(home: Path) -> list[Path]:
    """The files of the cache in a state folder."""
    return list(home.glob("model-cache/*/*"))


async def ask(cached_model: ChatModel, messages: list[Message], **fields: Any) -> tuple[ModelReply, str]:
    """A reply, and the text that was streamed."""
    pieces: list[str] = []
    spec = AgentSpec(name="test", **fields)
    return await cached_model.complete(spec, messages, on_text=pieces.append), "".join(pieces)


async def test_the_same_request_is_answered_from_the_cache(tmp_path: Path) -> None:
    """Another process gets the reply too, whatever the ids of calls are; each other request asks the model."""
    async with ModelServer() as server:
        server.say("One.")
        async with cached(server, tmp_path) as model:
            first, _ = await ask(model, asked())
        async with cached(server, tmp_path) as model:
            again, streamed = await ask(model, asked(call="c2"))
            assert (again.content, streamed, again.cached, first.cached) == ("One.", "One.", True, False)
            assert (again.usage, again.finish_reason) == (Usage(), "stop")
            for different in ({"model": "other"}, {"model_settings": {"temperature": 1}}, {}):
                await ask(model, asked("Bye." if not different else "Hello."), **different)
        assert len(server.requests) == 4
        async with cached(server, tmp_path, model_response_cache="off") as model:
            await ask(model, asked())
        assert len(server.requests) == 5
    file, *_ = kept(tmp_path)
    assert file.stat().st_mode & 0o777 == 0o600


async def test_only_complete_replies_are_kept(tmp_path: Path) -> None:
    """Errors, streams that break off, cancelled calls and damaged files are asked again."""
    async with ModelServer() as server, cached(server, tmp_path) as model:
        for broken in (Reply.error(400), Reply("One two", cut_after=1), Reply("One", unfinished=True)):
            server.reply(broken)
            with pytest.raises(ModelError):
                await ask(model, asked())
        server.reply(Reply("One two three four five six seven", hang_after=1))
        call = asyncio.create_task(ask(model, asked()))
        await server.wait_for_requests(4)
        call.cancel()
        await asyncio.wait([call])
        assert kept(tmp_path) == []
        await ask(model, asked())
        [file] = kept(tmp_path)
        file.write_text('{"content": 3')
        reply, _ = await ask(model, asked())
        assert (reply.cached, len(server.requests)) == (False, 6)


async def test_a_run_says_that_a_reply_was_cached(lab: Lab) -> None:
    """The log of a run marks a cached reply, which uses and costs nothing, also in a budget."""
    lab.server.say("One.", usage=Usage(input_tokens=10, output_tokens=10))
    agent = Agent(name="saver", budget={"tokens": 100_000})
    async with cached(lab.server, lab.settings.holdfast_home) as model, lab.worker(agent, model=model):
        first = await lab.holdfast.run(agent, "Count.")
        again = await lab.holdfast.run(agent, "Count.")
        entries = await lab.entries(again.run_id)
    assert (first.usage.total_tokens, again.content, again.usage) == (20, "One.", Usage()), first.error
    assert [entry.data.get("cached") for entry in entries if entry.message] == [None, None, True]
    assert len(lab.server.requests) == 1


def test_the_folder_has_a_limit(tmp_path: Path) -> None:
    """Replies that were not used for longest are deleted, once the folder is too large."""
    reply = ModelReply(content="x" * 1_000, model="m", finish_reason="stop", usage=Usage(), seconds=0)
    for number in range(20):
        cache = ReplyCache(tmp_path, max_bytes=10_000)  # looks at its first file
        cache.put(f"{number:064}", reply)
        os.utime(tmp_path / "00" / f"{number:064}.json", (number, number))
    left = sorted(int(file.stem) for file in tmp_path.glob("*/*.json"))
    assert left == list(range(left[0], 20))
    assert 5 <= len(left) <= 10


def test_no_plain_text_beside_encryption(tmp_path: Path) -> None:
    """With an encryption key the cache is refused, as it is not encrypted."""
    key = f"a:{'A' * 43}="
    settings = Settings(
        holdfast_home=tmp_path, openai_api_key="k", holdfast_encryption_key=key, model_response_cache="on"
    )
    with pytest.raises(UsageError, match="MODEL_RESPONSE_CACHE keeps replies in plain text"):
        configured_models(settings)
