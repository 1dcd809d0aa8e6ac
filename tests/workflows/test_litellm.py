"""LiteLLM's proxy in front of models: what passes through it to the adapter and to a run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from holdfast import Agent, tool
from holdfast.answers import OutputSpec
from holdfast.errors import ContextOverflow, ModelError, ModelRefused, ModelUnavailable
from holdfast.model_reply import ModelReply
from holdfast.models.openai import OpenAIModel
from holdfast.testing import ModelServer, Reply
from holdfast.types import AgentSpec, Message, Usage
from tests.support.lab import Lab
from tests.support.litellm_proxy import KEY, LiteLLMProxy

pytestmark = pytest.mark.timeout(300)

SENTENCE = "Hello from the mock, in several words."


@pytest.fixture(scope="module")
def upstream() -> Iterator[ModelServer]:
    """The model behind the proxy that is not a mock of its own."""
    with ModelServer() as server:
        yield server


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory, upstream: ModelServer) -> Iterator[LiteLLMProxy]:
    """A proxy with mock models, and with one that it asks over HTTP."""
    mock = "openai/gpt-4o-mini"
    models = {
        "says": {"model": mock, "mock_response": SENTENCE},
        "limits": {"model": mock, "mock_response": "litellm.RateLimitError"},
        "breaks": {"model": mock, "mock_response": "litellm.InternalServerError"},
        "overflows": {"model": mock, "mock_response": "litellm.ContextWindowExceededError"},
        "asks": {"model": "openai/test", "api_base": upstream.url},
    }
    with LiteLLMProxy(tmp_path_factory.mktemp("litellm"), models) as running:
        yield running


@pytest.fixture
async def model(proxy: LiteLLMProxy) -> AsyncIterator[OpenAIModel]:
    adapter = OpenAIModel(api_key=KEY, base_url=proxy.url, default_model="says")
    yield adapter
    await adapter.close()


async def ask(model: OpenAIModel, name: str, pieces: list[str] | None = None) -> ModelReply:
    """Makes a call of one of the proxy's models."""
    question = Message(seq=0, role="user", content="Are you there?")
    heard = [] if pieces is None else pieces
    return await model.complete(AgentSpec(name="test", model=name), [question], on_text=heard.append)


async def test_what_passes_through_the_proxy(model: OpenAIModel, upstream: ModelServer) -> None:
    """Streams, usage with its cost, each kind of error, and fields of the provider pass through LiteLLM."""
    pieces: list[str] = []
    reply = await ask(model, "says", pieces)
    assert "".join(pieces) == reply.content == SENTENCE
    assert len(pieces) > 1
    assert (reply.model, reply.finish_reason) == ("says", "stop")
    assert reply.usage.input_tokens > 0
    assert reply.usage.output_tokens > 0
    assert reply.usage.cost_usd > 0
    faults: dict[str, type[ModelError]] = {
        "limits": ModelUnavailable,
        "breaks": ModelUnavailable,
        "overflows": ContextOverflow,
        "no-such-model": ModelRefused,
    }
    for name, fault in faults.items():
        with pytest.raises(ModelError) as caught:
            await ask(model, name)
        assert type(caught.value) is fault, f"{name}: {caught.value}"
    upstream.reply(Reply.overflow())
    with pytest.raises(ContextOverflow):
        await ask(model, "asks")
    upstream.reply(Reply("It begins", finish_reason="length"))
    assert (await ask(model, "asks")).finish_reason == "length"
    chunks = (
        b'data: {"choices":[{"index":0,"delta":{"reasoning_content":"hm","content":"yes"},"finish_reason":"stop"}]}'
    )
    upstream.reply(Reply(body=chunks + b"\n\ndata: [DONE]\n\n"))
    reply = await ask(model, "asks")
    assert (reply.content, reply.provider_fields.get("reasoning_content")) == ("yes", "hm")


async def test_forms_of_answers_through_the_proxy(model: OpenAIModel, upstream: ModelServer) -> None:
    """The JSON schema of an answer passes through LiteLLM; what the server behind it refuses is asked for in words."""
    schema: dict[str, Any] = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    spec = AgentSpec(name="test", model="asks", output=OutputSpec(json_schema=schema, name="form"))
    question = [Message(seq=0, role="user", content="How many?")]
    upstream.say('{"a": 1}')
    assert (await model.complete(spec, question, on_text=lambda _: None)).content == '{"a": 1}'
    form = upstream.requests[-1].body["response_format"]["json_schema"]
    assert (form["name"], form["strict"], form["schema"]["required"]) == ("form", True, ["a"])
    upstream.reply(Reply.error(400, "'response_format' of type 'json_schema' is not supported with this model"))
    upstream.say('{"a": 2}')
    assert (await model.complete(spec, question, on_text=lambda _: None)).content == '{"a": 2}'
    assert "response_format" not in upstream.requests[-1].body
    assert "It must match this JSON schema" in str(upstream.requests[-1].messages[0]["content"])


@tool(read_only=True)
def look(word: str) -> str:
    """Looks a word up."""
    return f"{word} is seen"


async def test_a_run_through_the_proxy(lab: Lab, model: OpenAIModel, upstream: ModelServer) -> None:
    """A run with parallel tool calls, and an outage between its turns, completes through LiteLLM."""
    agent = Agent(name="looker", system_prompt="You look.", model="asks", tools=[look])
    usage = Usage(input_tokens=100, cached_tokens=60, output_tokens=7)
    upstream.call_tools(("look", {"word": "x"}), ("look", {"word": "y"}), text="I look.", usage=usage)
    upstream.reply(Reply.error(500))
    upstream.say("Both are seen.", usage=usage)
    async with lab.worker(agent, model=model):
        result = await lab.holdfast.run("looker", "Are they there?")
        assert (result.success, result.content) == (True, "Both are seen.")
        assert (result.usage.input_tokens, result.usage.output_tokens) == (200, 14)
        await lab.assert_mirrored(result.run_id)
    sent = upstream.requests[-1].messages
    assert [message["role"] for message in sent] == ["system", "user", "assistant", "tool", "tool"]
    assert {message["content"] for message in sent[-2:]} == {"x is seen", "y is seen"}
