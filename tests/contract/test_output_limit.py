"""Limits of replies that a budget sets: providers are told of them, each by the name that it accepts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from holdfast.errors import ModelRefused
from holdfast.models import open_model
from holdfast.ports import ChatModel
from holdfast.testing import ChatRequest, ModelServer, Reply
from holdfast.types import AgentSpec, Message

RENAMED = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
TOO_LARGE = "max_tokens is too large: 90000. This model supports at most 16384 completion tokens."
ASKED = [Message(seq=0, role="user", content="Hello.")]


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    """A provider."""
    async with ModelServer() as server:
        yield server


@pytest.fixture
async def model(server: ModelServer) -> AsyncIterator[ChatModel]:
    """Its adapter."""
    model = open_model(openai_api_key="k", openai_base_url=server.url, openrouter_api_key=None, default_model="m")
    yield model
    await model.close()


async def sent(server: ModelServer, model: ChatModel, most: int | None, **settings: Any) -> dict[str, Any]:
    """The limits in the last request of a call."""
    spec = AgentSpec(name="test", model_settings=settings)
    await model.complete(spec, ASKED, on_text=lambda _: None, max_output=most)
    return {name: value for name, value in server.requests[-1].body.items() if name.startswith("max_")}


def refuse(server: ModelServer, name: str, message: str, *, above: int = 0) -> None:
    """Makes the provider refuse a field, if its value is larger than this."""

    def respond(request: ChatRequest) -> Reply:
        return Reply.error(400, message) if (request.body.get(name) or 0) > above else Reply("Hello.")

    server.respond = respond


async def test_the_tighter_limit_is_sent(server: ModelServer, model: ChatModel) -> None:
    """The limit of a budget is sent unless the settings have a tighter one."""
    server.respond = lambda _request: Reply("Hello.")
    assert await sent(server, model, None) == {}
    assert await sent(server, model, 50) == {"max_tokens": 50}
    assert await sent(server, model, 50, max_tokens=100) == {"max_tokens": 50}
    assert await sent(server, model, 100, max_completion_tokens=50) == {"max_completion_tokens": 50}


async def test_a_provider_that_wants_another_name(server: ModelServer, model: ChatModel) -> None:
    """A provider that refuses `max_tokens` is sent `max_completion_tokens`, from then on at once."""
    refuse(server, "max_tokens", RENAMED)
    assert await sent(server, model, 50) == {"max_completion_tokens": 50}
    assert await sent(server, model, 60) == {"max_completion_tokens": 60}
    assert len(server.requests) == 3
    assert await sent(server, model, None, max_tokens=70) == {"max_completion_tokens": 70}


async def test_a_setting_that_has_another_name_there(server: ModelServer, model: ChatModel) -> None:
    """`max_tokens` of an agent is sent under the name that the provider asks for."""
    refuse(server, "max_tokens", RENAMED)
    assert await sent(server, model, None, max_tokens=70) == {"max_completion_tokens": 70}


async def test_a_limit_that_is_larger_than_the_model_writes(server: ModelServer, model: ChatModel) -> None:
    """A limit that the provider refuses as too large is left out; a smaller one is sent again."""
    refuse(server, "max_tokens", TOO_LARGE, above=16_384)
    assert await sent(server, model, 90_000) == {}
    server.respond = lambda _request: Reply("Hello.")
    assert await sent(server, model, 60) == {"max_tokens": 60}


async def test_a_limit_in_the_settings_is_never_left_out(server: ModelServer, model: ChatModel) -> None:
    """The provider's refusal of a limit that the agent sets is the agent's business."""
    refuse(server, "max_tokens", TOO_LARGE, above=16_384)
    with pytest.raises(ModelRefused, match="too large"):
        await sent(server, model, None, max_tokens=90_000)
