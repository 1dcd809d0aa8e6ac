"""The OpenAI adapter with a real HTTP server that answers and fails in every way that providers do."""

from __future__ import annotations

import asyncio
import email.utils
import time
import urllib.request
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import pytest

from holdfast.errors import ContextOverflow, ModelError, ModelRefused, ModelUnavailable, OutOfCredit, UsageError
from holdfast.model_reply import ModelReply
from holdfast.models import open_model
from holdfast.models.openai import OpenAIModel
from holdfast.ports import ChatModel
from holdfast.scripted.chat import ChatReply, ChatRequest
from holdfast.testing import ModelServer, Reply
from holdfast.types import AgentSpec, Message, ToolCall, ToolSpec, Usage

KEY = "sk-test-0123456789"
TIMEOUT = 1.0  # seconds; a closed connection must show at the server sooner
LONG_TEXT = " ".join(f"word{number}" for number in range(60))


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with ModelServer() as running:
        yield running


@pytest.fixture
async def model(server: ModelServer) -> AsyncIterator[OpenAIModel]:
    adapter = OpenAIModel(api_key=KEY, base_url=server.url, default_model="small", idle_timeout=0.3)
    yield adapter
    await adapter.close()


def talk(*contents: str) -> list[Message]:
    """A transcript: an empty system prompt, then the user's messages."""
    users = [Message(seq=seq, role="user", content=content) for seq, content in enumerate(contents, 1)]
    return [Message(seq=0, role="system"), *users]


async def ask(model: ChatModel, on_text: Callable[[str], None] = lambda _: None) -> ModelReply:
    """Makes a plain call."""
    return await model.complete(AgentSpec(name="test"), talk("hello"), on_text=on_text)


async def fail(model: ChatModel) -> ModelError:
    """Makes a call that must fail, and returns its error."""
    with pytest.raises(ModelError) as caught:
        await ask(model)
    return caught.value


async def test_text_arrives_in_pieces_and_whole(server: ModelServer, model: OpenAIModel) -> None:
    """Text arrives in order, complete, and with its usage."""
    usage = Usage(input_tokens=120, cached_tokens=100, output_tokens=7, cost_usd=0.25)
    server.say(LONG_TEXT, usage=usage, model="small-2026")
    pieces: list[str] = []
    reply = await ask(model, pieces.append)
    assert reply.content == "".join(pieces) == LONG_TEXT
    assert len(pieces) > 1
    assert (reply.model, reply.finish_reason, reply.tool_calls) == ("small-2026", "stop", [])
    assert reply.usage == usage + Usage(requests=1)
    assert 0 < reply.seconds < TIMEOUT


async def test_parallel_tool_calls_are_put_together(server: ModelServer, model: OpenAIModel) -> None:
    """Arguments that arrive in pieces are joined per call."""
    long_arguments = {"content": "x" * 3000}
    server.call_tools(("write_file", long_arguments), ("list_files", {}), ("broken", '{"path": '), text="I look.")
    reply = await ask(model)
    assert reply.content == "I look."
    assert reply.finish_reason == "tool_calls"
    assert [call.name for call in reply.tool_calls] == ["write_file", "list_files", "broken"]
    assert reply.tool_calls[0].arguments == '{"content": "' + "x" * 3000 + '"}'
    assert [call.arguments for call in reply.tool_calls[1:]] == ["{}", '{"path": ']
    assert len({call.id for call in reply.tool_calls}) == 3


async def test_request_says_what_the_definition_and_the_transcript_say(server: ModelServer, model: OpenAIModel) -> None:
    """The request holds exactly what the definition and the transcript say."""
    tool = ToolSpec(name="look", description="Looks.", activity="tool.look")
    settings = {"temperature": 0.5, "model": "other", "messages": [], "stream": False, "tools": []}
    spec = AgentSpec(name="test", model="big", model_settings=settings, tools=[tool])
    call = ToolCall(id="c1", name="look", arguments='{"a": 1}')
    messages = [
        *talk("hello"),
        Message(seq=2, role="assistant", tool_calls=[call]),
        Message(seq=3, role="tool", content="seen", tool_call_id="c1"),
    ]
    await model.complete(spec, messages, on_text=lambda _: None)
    body = server.requests[0].body
    assert (body["model"], body["temperature"], body["stream"]) == ("big", 0.5, True)
    assert body["stream_options"] == {"include_usage": True}
    wire_call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"a": 1}'}}
    assert body["messages"] == [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": None, "tool_calls": [wire_call]},
        {"role": "tool", "content": "seen", "tool_call_id": "c1"},
    ]
    function = {"name": "look", "description": "Looks.", "parameters": tool.parameters}
    assert body["tools"] == [{"type": "function", "function": function}]


async def test_model_of_the_definition_wins_over_the_default(server: ModelServer, model: OpenAIModel) -> None:
    """The definition's model answers, and its settings bring in no tools that are not served."""
    named = AgentSpec(name="test", model="big", model_settings={"tools": [{"type": "other"}]})
    await model.complete(named, talk("hi"), on_text=lambda _: None)
    await ask(model)
    assert [request.body["model"] for request in server.requests] == ["big", "small"]
    assert not any("tools" in request.body for request in server.requests)


@dataclass(frozen=True)
class FaultCase:
    """A failure of a provider, and the resulting error of the run."""

    name: str
    reply: Reply
    error: type[ModelError]
    says: tuple[str, ...] = ()


FAULTS = [
    FaultCase("400", Reply.error(400, "bad tool schema"), ModelRefused, ("small", "status 400", "bad tool schema")),
    FaultCase("401", Reply.error(401, "no such key"), ModelRefused, ("status 401", "check OPENAI_API_KEY")),
    FaultCase("402", Reply.error(402), OutOfCredit, ("credit",)),
    FaultCase("403", Reply.error(403), ModelRefused, ("status 403",)),
    FaultCase("404", Reply.error(404, "no model 'small'"), ModelRefused, ("check the model's name",)),
    FaultCase("422", Reply.error(422), ModelRefused, ("status 422",)),
    FaultCase("408", Reply.error(408), ModelUnavailable),
    FaultCase("409", Reply.error(409), ModelUnavailable),
    FaultCase("429", Reply.error(429, "slow down"), ModelUnavailable, ("slow down",)),
    FaultCase("429, no quota", Reply.error(429, error_code="insufficient_quota"), OutOfCredit, ("credit",)),
    FaultCase("500", Reply.error(500, "oops"), ModelUnavailable, ("status 500", "oops")),
    FaultCase("503", Reply.error(503), ModelUnavailable, ("status 503",)),
    FaultCase("overflow by code", Reply.overflow(), ContextOverflow, ("small", "8192 tokens")),
    FaultCase("overflow by words", Reply.error(400, "the prompt exceeds the context window"), ContextOverflow),
    FaultCase("413", Reply.error(413), ContextOverflow),
    FaultCase("malformed", Reply(LONG_TEXT, malformed=True), ModelUnavailable, ("malformed stream",)),
    FaultCase(
        "unfinished", Reply(LONG_TEXT, unfinished=True), ModelUnavailable, ("ended before the reply was complete",)
    ),
    FaultCase("cut at once", Reply(LONG_TEXT, cut_after=0), ModelUnavailable, ("connection",)),
    FaultCase("cut later", Reply(LONG_TEXT, cut_after=3), ModelUnavailable, ("connection",)),
    FaultCase("hang", Reply(hang=True), ModelUnavailable, ("sent nothing for 0.3 s",)),
    FaultCase("hang later", Reply(LONG_TEXT, hang_after=2), ModelUnavailable, ("sent nothing for 0.3 s",)),
    FaultCase(
        "error in the stream",
        Reply(LONG_TEXT, stream_error=True, error_message="overloaded", error_type="server_error"),
        ModelUnavailable,
        ("overloaded",),
    ),
    FaultCase(
        "overflow in the stream",
        Reply(stream_error=True, error_message="too long", error_code="context_length_exceeded"),
        ContextOverflow,
    ),
    FaultCase(
        "error in place of a stream",
        Reply(unstreamed=True, stream_error=True, error_message="no money", error_code="402"),
        OutOfCredit,
        ("no money", "credit"),
    ),
    FaultCase("refusal in the stream", Reply(stream_error=True, error_code="401"), ModelRefused, ("OPENAI_API_KEY",)),
]


@pytest.mark.parametrize("case", FAULTS, ids=lambda case: case.name)
async def test_each_fault_has_its_error(case: FaultCase, server: ModelServer, model: OpenAIModel) -> None:
    """Each provider error maps to an error that says whether to retry and what to do."""
    server.reply(case.reply)
    error = await fail(model)
    assert type(error) is case.error
    assert all(words in str(error) for words in case.says), str(error)
    assert "\n" not in str(error)
    assert len(server.requests) == 1, "the client must not retry: Temporal does"


@dataclass(frozen=True)
class WaitCase:
    """A header that asks to wait, and the seconds that this may come to."""

    name: str
    header: str
    value: str
    low: float
    high: float


WAITS = [
    WaitCase("seconds", "Retry-After", "7", 7.0, 7.0),
    WaitCase("milliseconds", "retry-after-ms", "250", 0.25, 0.25),
    WaitCase("date to come", "Retry-After", "in 600", 500.0, 600.0),
    WaitCase("date gone by", "Retry-After", "in -600", 0.0, 0.0),
]


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("case", WAITS, ids=lambda case: case.name)
async def test_retry_after_is_honoured(server: ModelServer, model: OpenAIModel, status: int, case: WaitCase) -> None:
    """Retry-After is passed on in seconds."""
    value = case.value
    if value.startswith("in "):
        value = email.utils.formatdate(time.time() + float(value.removeprefix("in ")), usegmt=True)
    server.reply(Reply.error(status, headers={case.header: value}))
    error = await fail(model)
    assert isinstance(error, ModelUnavailable)
    assert error.retry_after is not None
    assert case.low <= error.retry_after <= case.high


async def test_unreachable_provider_is_unavailable() -> None:
    """An unreachable provider is reported as unavailable, which is retried."""
    async with ModelServer() as server:
        url = server.url
    model = OpenAIModel(api_key=KEY, base_url=url, default_model="small")
    error = await fail(model)
    await model.close()
    assert isinstance(error, ModelUnavailable)
    assert "127.0.0.1" in str(error)


async def test_key_is_never_quoted(server: ModelServer, model: OpenAIModel) -> None:
    """No error message contains the key."""
    server.reply(Reply.error(401, f"Incorrect API key provided: {KEY}."))
    error = await fail(model)
    assert KEY not in str(error)
    assert "(the key)" in str(error)
    assert error.__cause__ is None
    assert "authorization" not in server.requests[0].headers


async def test_reply_in_one_piece_is_taken(server: ModelServer, model: OpenAIModel) -> None:
    """A server that does not stream is supported."""
    server.call_tools(("look", {"a": 1}), text="I look.", unstreamed=True)
    pieces: list[str] = []
    reply = await ask(model, pieces.append)
    assert reply.content == "".join(pieces) == "I look."
    assert [(call.name, call.arguments) for call in reply.tool_calls] == [("look", '{"a": 1}')]
    assert reply.usage.input_tokens > 0


async def test_connection_that_breaks_after_the_last_word_breaks_nothing() -> None:
    """A connection that closes after the complete reply is not an error."""
    chunk = b'data: {"choices":[{"index":0,"delta":{"content":"all"},"finish_reason":"stop"}]}\n\n'

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 9999\r\n\r\n"
        writer.write(head + chunk)
        await writer.drain()
        writer.close()

    provider = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = provider.sockets[0].getsockname()[1]
    model = OpenAIModel(api_key=KEY, base_url=f"http://127.0.0.1:{port}/v1", default_model="small")
    async with provider:
        reply = await ask(model)
    await model.close()
    assert (reply.content, reply.finish_reason) == ("all", "stop")


async def test_cancel_closes_the_stream_and_keeps_what_came(server: ModelServer, model: OpenAIModel) -> None:
    """Cancelling closes the stream and keeps the text received so far."""
    server.say(LONG_TEXT, hang_after=3)
    pieces: list[str] = []
    arrived = asyncio.Event()

    def keep(piece: str) -> None:
        pieces.append(piece)
        if len(pieces) == 3:
            arrived.set()

    call = asyncio.create_task(ask(model, keep))
    await asyncio.wait_for(arrived.wait(), TIMEOUT)
    cancelled_at = time.monotonic()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    disconnected_at = await server.wait_disconnected(0, TIMEOUT)
    assert disconnected_at - cancelled_at < TIMEOUT
    assert server.requests[0].finished_at is None
    assert LONG_TEXT.startswith("".join(pieces))


async def test_cancel_closes_a_call_that_has_no_answer_yet(server: ModelServer, model: OpenAIModel) -> None:
    """Cancelling closes a request that has no answer yet."""
    server.reply(Reply(hang=True))
    call = asyncio.create_task(ask(model))
    await server.wait_for_requests(1)
    call.cancel()
    await server.wait_disconnected(0, TIMEOUT)
    with pytest.raises(asyncio.CancelledError):
        await call


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        ("naïve Привет 你好 🙂 \u2028 \x85 end", "naïve Привет 你好 🙂 \u2028 \x85 end"),
        ("lone \ud83d half", "lone \ufffd half"),
        ("", ""),
        ("\n\n  indented\n", "\n\n  indented\n"),
    ],
)
async def test_any_text_survives(server: ModelServer, model: OpenAIModel, said: str, heard: str) -> None:
    """Any text arrives unchanged, except characters that cannot be stored."""
    server.say(said)
    pieces: list[str] = []
    reply = await ask(model, pieces.append)
    assert reply.content == "".join(pieces) == heard


async def test_lone_surrogates_can_be_sent(server: ModelServer, model: OpenAIModel) -> None:
    """Lone surrogates in a transcript are replaced, and the call succeeds."""
    messages = [*talk("bad \udc80 text"), Message(seq=2, role="user", content="🙂")]
    await model.complete(AgentSpec(name="test"), messages, on_text=lambda _: None)
    sent = [message["content"] for message in server.requests[0].messages]
    assert sent[0].startswith("bad ")
    assert sent[0].endswith(" text")
    assert sent[1] == "🙂"


async def test_settings_that_are_no_json_are_refused(model: OpenAIModel) -> None:
    """A definition whose settings are not JSON fails without a retry."""
    spec = AgentSpec.model_construct(name="test", model_settings={"temperature": float("nan")}, model=None, tools=[])
    with pytest.raises(ModelRefused, match="model_settings"):
        await model.complete(spec, talk("hi"), on_text=lambda _: None)


async def test_held_requests_wait_for_release(server: ModelServer, model: OpenAIModel) -> None:
    """A held model server keeps requests until it is released, and counts them."""
    server.say("at last")
    server.hold()
    gone = asyncio.create_task(ask(model))
    await server.wait_for_requests(1)
    gone.cancel()
    await server.wait_disconnected(0, TIMEOUT)
    waiting = asyncio.create_task(ask(model))
    await server.wait_for_requests(2)
    assert not waiting.done()
    server.release()
    assert (await waiting).content == "at last"
    assert server.requests[1].finished_at is not None


async def test_rule_answers_what_no_queued_reply_does(server: ModelServer, model: OpenAIModel) -> None:
    """A rule answers requests that no queued reply is left for; its errors are shown."""

    def rule(request: ChatRequest) -> ChatReply:
        if len(request.messages) > 1:
            raise LookupError("the rule is wrong")
        return ChatReply(f"{len(request.messages)} message")

    assert (await ask(model)).content == "done"
    server.respond = rule
    assert (await ask(model)).content == "1 message"
    with pytest.raises(ModelRefused, match="the rule is wrong"):
        await model.complete(AgentSpec(name="test"), talk("a", "b"), on_text=lambda _: None)


async def test_server_answers_while_the_loop_is_blocked(server: ModelServer) -> None:
    """The model server answers while the test's event loop is blocked."""
    health = server.url.replace("/v1", "/health")
    with urllib.request.urlopen(health, timeout=5) as response:  # noqa: ASYNC210  blocking is the point
        assert response.status == 200


def test_server_can_be_used_without_a_loop() -> None:
    """The model server works in synchronous tests."""
    with ModelServer() as server, urllib.request.urlopen(f"{server.url}/models", timeout=5) as response:
        assert b'"test"' in response.read()


async def test_waiting_for_what_does_not_happen_ends(server: ModelServer) -> None:
    """Waiting for requests times out and says what was missing."""
    with pytest.raises(TimeoutError, match="0 of 1 requests"):
        await server.wait_for_requests(1, timeout=0.02)


async def test_openai_settings_win_over_openrouter(server: ModelServer) -> None:
    """OPENAI_* settings take precedence over OPENROUTER_*."""
    model = open_model(
        openai_api_key=None, openai_base_url=server.url, openrouter_api_key="other", default_model="small"
    )
    assert (await ask(model)).content == "done"
    await model.close()


async def test_the_idle_timeout_is_a_setting(server: ModelServer) -> None:
    """A silent model is dropped after the seconds that are set."""
    model = open_model(
        openai_api_key=None,
        openai_base_url=server.url,
        openrouter_api_key=None,
        default_model="small",
        idle_timeout=0.2,
    )
    server.reply(Reply(hang=True))
    assert "sent nothing for 0.2 s" in str(await fail(model))
    await model.close()


@pytest.mark.parametrize(
    ("key", "url", "says"),
    [
        ("bad key", None, "OPENAI_API_KEY"),
        ("schlüssel", None, "OPENAI_API_KEY"),
        ("sk", "localhost:80", "OPENAI_BASE_URL"),
    ],
)
def test_unusable_settings_are_named(key: str, url: str | None, says: str) -> None:
    """Unusable settings are reported by name and not retried."""
    with pytest.raises(UsageError, match=says):
        open_model(openai_api_key=key, openai_base_url=url, openrouter_api_key=None, default_model="small")
    with pytest.raises(UsageError, match="OPENROUTER_API_KEY"):
        open_model(openai_api_key=None, openai_base_url=None, openrouter_api_key=None, default_model="small")
