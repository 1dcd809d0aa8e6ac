"""Servers that are not OpenAI's own: what they send and refuse, and what becomes of it.

`docs/howto/model-providers.md` lists the names of these cases.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from holdfast.answers import OutputSpec
from holdfast.errors import ContextOverflow, ModelError, ModelRefused, ModelUnavailable, OutOfCredit, UsageError
from holdfast.model_reply import ModelReply
from holdfast.models import chunks
from holdfast.models.faults import DOUBTFUL_ATTEMPTS
from holdfast.models.openai import OpenAIModel
from holdfast.scripted.chat import ChatReply, ChatRequest
from holdfast.testing import ModelServer, Reply
from holdfast.types import AgentSpec, Message, ToolCall

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "model-providers.md"


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with ModelServer() as running:
        yield running


@pytest.fixture
async def model(server: ModelServer) -> AsyncIterator[OpenAIModel]:
    adapter = OpenAIModel(api_key="sk-test-0123456789", base_url=server.url, default_model="small", idle_timeout=5)
    yield adapter
    await adapter.close()


def asked(*messages: Message) -> list[Message]:
    """A transcript that begins with a question."""
    return [Message(seq=0, role="system"), Message(seq=1, role="user", content="hello"), *messages]


async def ask(model: OpenAIModel, *messages: Message) -> ModelReply:
    """Makes a call."""
    return await model.complete(AgentSpec(name="test"), asked(*messages), on_text=lambda _: None)


def stream(*parts: dict[str, Any] | str) -> bytes:
    """A stream of events: a text is sent as it is."""
    events = (each if isinstance(each, str) else f"data: {json.dumps(each)}\n\n" for each in parts)
    return "".join(events).encode()


def part(finish_reason: str | None = None, **delta: Any) -> dict[str, Any]:
    """A chunk."""
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}


def call(arguments: Any, name: str | None = "look", **fields: Any) -> dict[str, Any]:
    """A delta of the one call."""
    return {"index": 0, "function": {"name": name, "arguments": arguments}, **fields}


HELLO = part(content="hello")
STOP = part("stop")
DONE = "data: [DONE]\n\n"


@dataclass(frozen=True)
class ReplyQuirk:
    """A response that deviates from OpenAI's, and the reply that is read from it."""

    name: str
    body: bytes
    content: str = "hello"
    arguments: list[str] = field(default_factory=list)
    finish_reason: str = "stop"
    content_type: str = "text/event-stream"


REPLIES = [
    ReplyQuirk(
        "name in every delta",
        stream(part(tool_calls=[call('{"a"', id="c")]), part(tool_calls=[call(": 1}", id="c")]), part("tool_calls")),
        content="",
        arguments=['{"a": 1}'],
        finish_reason="tool_calls",
    ),
    ReplyQuirk("content in parts", stream(part(content=[{"type": "text", "text": "hello"}]), STOP, DONE)),
    ReplyQuirk("cost as an object", stream(HELLO, STOP, {"choices": [], "usage": {"cost": {"total_cost": 1}}}, DONE)),
    ReplyQuirk("impossible usage", stream(HELLO, STOP, {"choices": [], "usage": {"completion_tokens": 2**64}}, DONE)),
    ReplyQuirk(
        "events with id and retry", stream("retry: 3000\n\nid: 1\n\n", HELLO, "id: 2\n\n: wait\n\n", STOP, DONE)
    ),
    ReplyQuirk("no finish reason before [DONE]", stream(HELLO, DONE)),
    ReplyQuirk(
        "no finish reason before [DONE], with a call",
        stream(part(tool_calls=[call("{}")]), DONE),
        content="",
        arguments=["{}"],
        finish_reason="tool_calls",
    ),
    ReplyQuirk(
        "arguments null",
        stream(part(tool_calls=[call(None)]), part("tool_calls")),
        content="",
        arguments=["{}"],
        finish_reason="tool_calls",
    ),
    ReplyQuirk(
        "arguments an empty list",
        stream(part(tool_calls=[call("[]")]), part("tool_calls")),
        content="",
        arguments=["{}"],
        finish_reason="tool_calls",
    ),
    ReplyQuirk(
        "arguments an object",
        stream(part(tool_calls=[call({"a": 1})]), part("tool_calls")),
        content="",
        arguments=['{"a": 1}'],
        finish_reason="tool_calls",
    ),
    ReplyQuirk("no empty line between events", stream(HELLO).rstrip() + b"\n" + stream(STOP, DONE)),
    ReplyQuirk(
        "one JSON object instead of a stream",
        json.dumps({"choices": [{"message": {"role": "assistant", "content": "hello"}}]}).encode(),
        content_type="application/json",
    ),
    ReplyQuirk(
        "JSON that says it is a stream",
        b"\n" + json.dumps({"choices": [{"message": {"role": "assistant", "content": "hello"}}]}).encode(),
    ),
    ReplyQuirk("a stream that says it is JSON", stream(HELLO, STOP, DONE), content_type="application/json"),
    ReplyQuirk(
        "one JSON object in each line",
        f"{json.dumps(HELLO)}\n{json.dumps(STOP)}\n".encode(),
        content_type="application/x-ndjson",
    ),
    ReplyQuirk("other finish reasons", stream(HELLO, part("MAX_TOKENS"), DONE), finish_reason="length"),
]


@pytest.mark.parametrize("quirk", REPLIES, ids=lambda quirk: quirk.name)
async def test_replies_that_deviate_are_read(server: ModelServer, model: OpenAIModel, quirk: ReplyQuirk) -> None:
    """A reply that a person would understand is read, at the first attempt."""
    server.reply(Reply(body=quirk.body, content_type=quirk.content_type))
    reply = await ask(model)
    assert (reply.content, reply.finish_reason) == (quirk.content, quirk.finish_reason)
    assert [made.arguments for made in reply.tool_calls] == quirk.arguments
    assert all(made.name == "look" for made in reply.tool_calls)


async def test_connections_are_used_again(
    server: ModelServer, model: OpenAIModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading a reply to its end leaves its connection open for the next one."""
    monkeypatch.setattr(chunks, "DRAIN_TIME", 30.0)  # a busy machine may send the end late
    ports = []
    for _ in range(3):
        await ask(model)
        client = await model._provider.client()
        [connection] = client._client._transport._pool.connections  # type: ignore[attr-defined]
        ports.append(id(connection))
    assert len(set(ports)) == 1


@dataclass(frozen=True)
class FaultQuirk:
    """A response that is not a reply, and its error."""

    name: str
    reply: Reply
    error: type[ModelError]
    says: tuple[str, ...] = ()
    attempts: int | None = None
    """Attempts after which the call fails."""


def page(body: str, content_type: str = "application/json", status: int = 200, **headers: str) -> Reply:
    """A response that is not a chat completion."""
    return Reply(body=body.encode(), content_type=content_type, status=status, headers=headers)


FAULTS = [
    FaultQuirk(
        "200 with a web page",
        page("<html><title>Welcome to nginx!</title>", "text/html"),
        ModelUnavailable,
        ("'text/html'", "Welcome to nginx!", "check OPENAI_BASE_URL"),
        DOUBTFUL_ATTEMPTS,
    ),
    FaultQuirk(
        "200 without choices",
        page('{"detail": "see /docs"}'),
        ModelUnavailable,
        ("'application/json'", "see /docs", "check OPENAI_BASE_URL"),
        DOUBTFUL_ATTEMPTS,
    ),
    FaultQuirk("200 with nothing", page("", "text/plain"), ModelUnavailable, ("the body is empty",), DOUBTFUL_ATTEMPTS),
    FaultQuirk("200 with an error", page('{"error": {"message": "no such model", "code": 404}}'), ModelRefused),
    FaultQuirk(
        "200 with an error that names no outage",
        page('{"error": {"message": "model is asleep", "code": 5}}'),
        ModelUnavailable,
        ("model is asleep", "check OPENAI_BASE_URL"),
        DOUBTFUL_ATTEMPTS,
    ),
    FaultQuirk(
        "200 with an error object",
        page('{"object": "error", "message": "boom", "code": 500}'),
        ModelUnavailable,
        ("boom",),
    ),
    FaultQuirk(
        "an error in a choice",
        page('{"choices": [{"error": {"message": "upstream broke", "code": 502}}]}'),
        ModelUnavailable,
        ("upstream broke",),
    ),
    FaultQuirk(
        "finish reason error",
        Reply(body=stream(HELLO, part("error"), DONE)),
        ModelUnavailable,
        ("broke off the reply",),
        DOUBTFUL_ATTEMPTS,
    ),
    FaultQuirk(
        "the provider's own cancelled",
        Reply(body=stream(HELLO, part("cancelled"), DONE)),
        ModelUnavailable,
        (),
        DOUBTFUL_ATTEMPTS,
    ),
    FaultQuirk("deep JSON", Reply(body=b"data: " + b"[" * 100_000 + b"\n\n"), ModelUnavailable, ("malformed",), 5),
    FaultQuirk(
        "an error in a list", page('[{"error": {"message": "bad key", "code": 401}}]', status=401), ModelRefused
    ),
    FaultQuirk(
        "an error that is text", page('{"error": "model \'x\' not found"}', status=404), ModelRefused, ("not found",)
    ),
    FaultQuirk(
        "429 without credit",
        page('{"error": {"message": "You exceeded your current quota, please check your plan"}}', status=429),
        OutOfCredit,
        ("credit",),
    ),
    FaultQuirk(
        "429 with a quota per minute",
        page('{"error": {"message": "You exceeded your current quota. Please retry in 34.2s."}}', status=429),
        ModelUnavailable,
    ),
    FaultQuirk(
        "429 over budget",
        page(
            '{"error": {"message": "Budget has been exceeded! Max budget: 1", "type": "budget_exceeded"}}', status=429
        ),
        OutOfCredit,
        ("credit",),
    ),
    FaultQuirk(
        "429 for one request",
        page('{"error": {"message": "Request too large for m on tokens per min: Limit 3, Requested 9"}}', status=429),
        ContextOverflow,
    ),
]


@pytest.mark.parametrize("quirk", FAULTS, ids=lambda quirk: quirk.name)
async def test_responses_that_are_no_reply_have_their_error(
    server: ModelServer, model: OpenAIModel, quirk: FaultQuirk
) -> None:
    """What is not a reply is an error that says what arrived, and whether another attempt makes sense."""
    server.reply(quirk.reply)
    with pytest.raises(ModelError) as caught:
        await ask(model)
    assert type(caught.value) is quirk.error, str(caught.value)
    assert all(words in str(caught.value) for words in quirk.says), str(caught.value)
    assert getattr(caught.value, "max_attempts", None) == quirk.attempts
    assert len(server.requests) == 1


def refusing(name: str, words: str, status: int = 422) -> Callable[[ChatRequest], ChatReply]:
    """Returns a server's rule that refuses requests in which a text occurs."""

    def respond(request: ChatRequest) -> ChatReply:
        if name in json.dumps(request.body):
            return Reply.error(status, words)
        return ChatReply("hello")

    return respond


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (422, "[{'loc': ['body', 'stream_options'], 'msg': 'Extra inputs are not permitted'}]"),
        (400, "Unrecognized request argument supplied: stream_options"),
        (400, "unknown field in the request"),
    ],
)
async def test_refused_stream_options_are_left_out(
    server: ModelServer, model: OpenAIModel, status: int, words: str
) -> None:
    """A server that refuses `stream_options` is asked without it, and not with it again."""
    server.respond = refusing("stream_options", words, status)
    assert [(await ask(model)).content for _ in range(3)] == ["hello"] * 3
    assert ["stream_options" in request.body for request in server.requests] == [True, False, False, False]


TYPED = AgentSpec(
    name="typed",
    output=OutputSpec(json_schema={"type": "object", "properties": {"a": {"type": "integer", "default": 1}}}),
)


@pytest.mark.parametrize(
    ("refused", "words", "forms"),
    [
        ("json_schema", "Invalid parameter: 'response_format' of type 'json_schema' is not supported", [True, None]),
        ("response_format", "This response_format type is unavailable now", [True, None]),
        ("json_schema", "Function calling with a response mime type: 'application/json' is unsupported", [True, None]),
        ('strict": true', "Invalid schema for response_format 'output': 'minimum' is not permitted", [True, False]),
        ("json_schema", "Invalid schema for response_format 'output': In context=()", [True, False, None]),
    ],
)
async def test_refused_forms_of_answers_are_asked_for_in_the_prompt(
    server: ModelServer, model: OpenAIModel, refused: str, words: str, forms: list[bool | None]
) -> None:
    """A server that refuses a schema gets it in its simpler form, or in the prompt, and at once from then on."""
    server.respond = refusing(refused, words, 400)
    for _ in range(2):
        assert (await model.complete(TYPED, asked(), on_text=lambda _: None)).content == "hello"
    sent = [request.body.get("response_format", {}).get("json_schema", {}).get("strict") for request in server.requests]
    assert sent == [*forms, forms[-1]]
    is_prompted = forms[-1] is None
    assert ("It must match this JSON schema" in str(server.requests[-1].messages[0])) is is_prompted
    other = TYPED.model_copy(update={"model": "other"})
    await model.complete(other, asked(), on_text=lambda _: None)
    assert server.requests[-len(forms)].body["response_format"], "another model of the server is asked by itself"


SIGNED = Message(
    seq=2,
    role="assistant",
    content="I look.",
    provider_fields={"reasoning_content": "hm"},
    tool_calls=[
        ToolCall(id="a", name="look", provider_fields={"extra_content": {"google": {"thought_signature": "x"}}})
    ],
)
ANSWER = Message(seq=3, role="tool", content="seen", tool_call_id="a")


async def test_fields_of_the_provider_are_sent_back(server: ModelServer, model: OpenAIModel) -> None:
    """What the provider added to a message and to a call is in the next request."""
    signature = {"google": {"thought_signature": "x"}}
    deltas = part(reasoning_content="hm", tool_calls=[call("{}", id="a", extra_content=signature)])
    server.reply(Reply(body=stream(part(content="I look."), deltas, part("tool_calls"), DONE)))
    reply = await ask(model)
    said = Message(
        seq=2,
        role="assistant",
        content=reply.content,
        tool_calls=reply.tool_calls,
        provider_fields=reply.provider_fields,
    )
    assert said == SIGNED
    await ask(model, said, ANSWER)
    sent = server.requests[1].messages[1]
    assert sent["reasoning_content"] == "hm"
    assert sent["tool_calls"][0]["extra_content"] == signature


async def test_refused_fields_are_left_out(server: ModelServer, model: OpenAIModel) -> None:
    """A server that refuses its own field in a request is asked without that field, and with the others."""
    server.respond = refusing("reasoning_content", "property 'reasoning_content' is unsupported", 400)
    for _ in range(2):
        assert (await ask(model, SIGNED, ANSWER)).content == "hello"
    assert len(server.requests) == 3
    assert "reasoning_content" not in server.requests[-1].messages[1]
    assert "extra_content" in server.requests[-1].messages[1]["tool_calls"][0]
    assert "stream_options" in server.requests[-1].body


async def test_a_field_that_is_missing_is_not_left_out(server: ModelServer, model: OpenAIModel) -> None:
    """A server that misses a field keeps getting it where it is known."""
    server.reply(Reply.error(400, "Missing `reasoning_content` field in the assistant message at index 1"))
    with pytest.raises(ModelRefused, match="reasoning_content"):
        await ask(model, SIGNED, ANSWER)
    await ask(model, SIGNED, ANSWER)
    assert [request.messages[1].get("reasoning_content") for request in server.requests] == ["hm", "hm"]


async def test_refusals_that_concessions_do_not_change_are_not_remembered(
    server: ModelServer, model: OpenAIModel
) -> None:
    """A request that is refused either way leaves later ones complete."""
    server.reply(*[Reply.error(400, "unknown parameter: 'tempo'")] * 2)
    with pytest.raises(ModelRefused, match="tempo"):
        await ask(model)
    await ask(model)
    assert "stream_options" in server.requests[-1].body


@pytest.mark.parametrize(
    ("variable", "value"),
    [("SSL_CERT_FILE", "/no/such/file.pem"), ("ALL_PROXY", "socks5://127.0.0.1:1"), ("HTTPS_PROXY", "nonsense://x")],
)
async def test_a_wrong_environment_is_permanent(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    """A variable of the HTTP client that cannot be used fails the call at once, and is named."""
    monkeypatch.setenv(variable, value)
    model = OpenAIModel(api_key="sk-test", base_url="https://models.invalid/v1", default_model="small")
    with pytest.raises(ModelRefused, match=variable):
        await ask(model)


async def test_a_server_without_tls_is_tried_a_few_times(server: ModelServer) -> None:
    """A wrong protocol or certificate is not retried for long."""
    model = OpenAIModel(api_key="sk-test", base_url=server.url.replace("http:", "https:"), default_model="small")
    with pytest.raises(ModelUnavailable, match="check OPENAI_BASE_URL") as caught:
        await ask(model)
    assert caught.value.max_attempts == 3
    await model.close()


SECRETS = ("s3cret/pass", "s3cret%2Fpass", "dXNlcjpzM2NyZXQvcGFzcw==")


async def test_user_and_password_are_sent_and_in_no_message(capfd: pytest.CaptureFixture[str]) -> None:
    """A user and a password in the URL authenticate the request, and no error contains them."""
    heads: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        body = f"bad login user:s3cret/pass {heads[-1].decode()} {SECRETS}".encode()
        writer.write(b"HTTP/1.1 401 No\r\ncontent-type: text/plain\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.close()

    provider = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = provider.sockets[0].getsockname()[1]
    url = f"http://user:s3cret%2Fpass@127.0.0.1:{port}/v1"
    model = OpenAIModel(api_key="sk-test-0123456789", base_url=url, default_model="small")
    async with provider:
        with pytest.raises(ModelRefused) as refused:
            await ask(model)
    with pytest.raises(ModelUnavailable, match=f"127.0.0.1:{port}") as gone:
        await ask(model)
    await model.close()
    assert b"authorization: basic dxnlcjpzm2nyzxqvcgfzcw==" in heads[0].lower()
    said = f"{refused.value} {gone.value} {model!r} {capfd.readouterr()}"
    assert not [secret for secret in SECRETS if secret in said], said


@pytest.mark.parametrize(
    "url", ["ftp://user:s3cret/pass@host/v1", "user:s3cret/pass@host", "http://u:s3cret/pass@h:x/v1"]
)
def test_a_wrong_url_is_shown_without_its_password(url: str) -> None:
    """The message about a wrong URL contains neither user nor password."""
    with pytest.raises(UsageError, match="OPENAI_BASE_URL") as caught:
        OpenAIModel(api_key="sk-test", base_url=url, default_model="small")
    assert "s3cret" not in str(caught.value)


def test_the_page_names_a_case_for_each_row() -> None:
    """Every deviation in the documentation has a test that exists."""
    table = PAGE.read_text().partition("| Deviation |")[2].partition("\n\n")[0]
    cases = [name for row in table.splitlines()[2:] for name in re.findall("`([^`]+)`", row.rpartition(" | ")[2])]
    known = {quirk.name for quirk in REPLIES} | {quirk.name for quirk in FAULTS}
    sources = [Path(__file__).read_text(), (PAGE.parents[2] / "tests/unit/test_chat_format.py").read_text()]
    missing = [case for case in cases if case not in known and not any(f"def {case}(" in text for text in sources)]
    assert len(cases) > 20
    assert not missing
