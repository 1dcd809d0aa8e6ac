"""Chat model for OpenAI-compatible endpoints."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

import openai
from openai import AsyncStream
from typing_extensions import override

from holdfast.errors import ModelRefused, ModelUnavailable
from holdfast.models.provider import BROKEN, Provider, is_connection_error
from holdfast.models.wire import MalformedChunk, StreamedReply, request_body
from holdfast.ports import ChatModel
from holdfast.types import AgentSpec, Message, ModelReply

READ_TIMEOUT = 120.0  # seconds between bytes, not for the whole reply; reasoning models think before they stream


class OpenAIModel(ChatModel):
    """A `ChatModel` on the `openai` client.

    Args:
        api_key: sent to the provider, and removed from error messages that quote it.
        base_url: the endpoint; `None` means OpenAI's.
        default_model: used if neither the call nor the agent names a model.
        read_timeout: seconds without a byte after which a call fails.
        key_variable: the setting that `api_key` comes from, for advice in messages.

    Raises:
        UsageError: the key or the URL cannot be used.
    """

    def __init__(
        self,
        *,
        api_key: str,
        base_url: str | None,
        default_model: str,
        read_timeout: float = READ_TIMEOUT,
        key_variable: str = "OPENAI_API_KEY",
    ) -> None:
        self._default_model = default_model
        self._provider = Provider(
            api_key=api_key, base_url=base_url, read_timeout=read_timeout, key_variable=key_variable
        )

    @override
    async def complete(
        self,
        spec: AgentSpec,
        messages: list[Message],
        *,
        on_text: Callable[[str], None],
    ) -> ModelReply:
        name = spec.model or self._default_model
        # The position in the transcript makes ids unique within the run, and the same at a retry.
        answer = StreamedReply(name, call_prefix=f"call_{messages[-1].seq if messages else 0}")
        started = time.perf_counter()
        try:
            async with aclosing(self._chunks(_body(spec, messages, name))) as chunks:
                async for chunk in chunks:
                    if piece := answer.add(chunk):
                        on_text(piece)
        except (openai.OpenAIError, *BROKEN) as error:
            # A connection that breaks after the last chunk does not affect the reply.
            if not (answer.finish_reason and is_connection_error(error)):
                raise self._provider.translated(error, name) from None  # the cause holds the request, with the key
        except (json.JSONDecodeError, UnicodeDecodeError, MalformedChunk) as error:
            raise ModelUnavailable(f"model {name!r} sent a malformed stream: {error}") from None
        if not answer.finish_reason:
            raise ModelUnavailable(f"the stream of model {name!r} ended before the reply was complete")
        return answer.reply(round(time.perf_counter() - started, 3))

    async def close(self) -> None:
        """Closes connections."""
        await self._provider.close()

    async def _chunks(self, body: bytes) -> AsyncGenerator[object, None]:
        async with await self._open(body) as stream:
            if "json" not in stream.response.headers.get("content-type", ""):
                async for chunk in stream:
                    yield chunk
                return
            # Some gateways answer a streamed request with one JSON object: a whole completion, or an error.
            whole = json.loads(await stream.response.aread())
            if isinstance(whole, dict) and whole.get("error"):
                raise openai.APIError("error in the body", stream.response.request, body=whole["error"])
            yield whole

    async def _open(self, body: bytes) -> AsyncStream[object]:
        # Not `chat.completions.create`, which transforms the whole request and so takes more CPU time with each turn.
        client = await self._provider.client()
        return await client.post(
            "/chat/completions",
            content=body,
            options={"headers": {"Content-Type": "application/json"}},
            cast_to=object,
            stream=True,
            stream_cls=AsyncStream[object],
        )


def _body(spec: AgentSpec, messages: list[Message], model: str) -> bytes:
    try:
        return request_body(spec, messages, model)
    except (ValueError, TypeError) as error:
        reason = f"the request to model {model!r} cannot be encoded as JSON: {error}"
        raise ModelRefused(f"{reason}; check the agent's model_settings") from None
