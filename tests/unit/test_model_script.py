"""Scripts of the model server for tests, and the switch that keeps model requests on this machine."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest
from pydantic import SecretStr

from holdfast.composition.models import configured_models
from holdfast.errors import ModelRefused
from holdfast.models import outside
from holdfast.settings import Settings
from holdfast.testing import ModelServer, Reply, call_tools, say
from holdfast.testing.replies import described
from holdfast.types import AgentSpec, Message


@pytest.fixture
def model() -> Iterator[ModelServer]:
    """A strict server."""
    with ModelServer(strict=True) as server:
        yield server


def ask(model: ModelServer, text: str) -> httpx2.Response:
    """Sends a request for a completion."""
    body = {"model": "test", "messages": [{"role": "user", "content": text}]}
    return httpx2.post(f"{model.url}/chat/completions", json=body, trust_env=False)


def test_a_reply_calls_tools_by_name() -> None:
    """`call_tools` takes arguments by the name of a tool, and pairs; fields of `Reply` stay fields."""
    reply = call_tools(("order", {"article": "rope"}), ("order", "{"), mail={"to": "ada"}, text="At once.", delay=2)
    assert [(call.name, call.arguments_text) for call in reply.tool_calls] == [
        ("order", '{"article": "rope"}'),
        ("order", "{"),
        ("mail", '{"to": "ada"}'),
    ]
    assert (reply.text, reply.delay) == ("At once.", 2)
    assert described(reply) == 'call_tools(order={"article": "rope"}, order={, mail={"to": "ada"})'
    assert [described(say("Done.")), described(Reply.error(429, "slow down"))] == [
        "say('Done.')",
        "Reply.error(429, 'slow down')",
    ]


def test_a_script_is_used_up(model: ModelServer) -> None:
    """`assert_complete` passes when each reply was used, and shows what is left and what was asked otherwise."""
    model.assert_complete()
    model.reply(call_tools(order={"article": "rope"}), say("Ordered."))
    assert ask(model, "Order a rope.").status_code == 200
    with pytest.raises(AssertionError) as failure:
        model.assert_complete()
    assert str(failure.value).splitlines() == [
        "the script is not used up:",
        "  left   say('Ordered.')",
        "  asked  1. user: 'Order a rope.'",
    ]
    ask(model, "Is it done?")
    model.assert_complete()


def test_a_request_beyond_the_script_is_refused(model: ModelServer) -> None:
    """A strict server refuses what the script has no reply for, with the message that it was asked, and reports it."""
    model.say("Yes.")
    ask(model, "One?")
    refusal = ask(model, "Two?")
    assert refusal.status_code == 400
    assert "no reply left for user: 'Two?'" in refusal.json()["error"]["message"]
    with pytest.raises(AssertionError, match=r"asked  2\. user: 'Two\?'  <- no reply was left"):
        model.assert_complete()


async def test_requests_to_other_machines_are_refused(monkeypatch: pytest.MonkeyPatch, model: ModelServer) -> None:
    """With HOLDFAST_ALLOW_MODEL_REQUESTS=0, a provider elsewhere is not asked, and one on this machine is."""
    monkeypatch.setattr(outside, "_is_refused", False)
    messages = [Message(seq=0, role="user", content="Hello")]

    async def answer(url: str | None) -> str:
        models = configured_models(
            Settings(openai_api_key=SecretStr("k"), openai_base_url=url, holdfast_allow_model_requests=False)
        )
        reply = await models.complete(AgentSpec(name="a"), messages, on_text=lambda _text: None)
        return reply.content

    model.say("Hello!")
    assert await answer(model.url) == "Hello!"
    with pytest.raises(ModelRefused, match=r"HOLDFAST_ALLOW_MODEL_REQUESTS=0 allows no request to api\.openai\.com"):
        await answer(None)
    monkeypatch.setattr(outside, "_is_refused", False)
    with outside.refused_outside():
        outside.refuse_outside()  # as code of a test does that reads the test's settings
    outside.check_allowed("https://api.openai.com/v1")
