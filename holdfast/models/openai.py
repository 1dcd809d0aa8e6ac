"""Chat model for OpenAI-compatible endpoints."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from types import TracebackType
from typing import Protocol, Self

import openai
from typing_extensions import override

from holdfast._util.logger import get_logger
from holdfast.errors import ModelRefused, ModelUnavailable
from holdfast.fault_reason import FaultReason
from holdfast.model_reply import ModelReply
from holdfast.models.chunks import CompletionChunks, Response
from holdfast.models.faults import DOUBTFUL_ATTEMPTS
from holdfast.models.finish import INTERRUPTED
from holdfast.models.parts import explained
from holdfast.models.provider import Provider
from holdfast.models.provider_errors import BROKEN, ProviderErrors, is_connection_error
from holdfast.models.reply import StreamedReply
from holdfast.models.request import Concessions, request_body
from holdfast.ports import ChatModel
from holdfast.types import AgentSpec, Message

log = get_logger(__name__)

IDLE_TIMEOUT = 300.0  # seconds between bytes, not for the whole reply; reasoning models think before they stream


class Stream(Protocol):
    """An open response, until its context ends."""

    @property
    def response(self) -> Response:
        """The response."""
        ...

    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None: ...


class Completions(Protocol):
    """Where requests are sent."""

    errors: ProviderErrors

    async def open(self, body: bytes, model: str) -> Stream:
        """Sends a request for a streamed chat completion."""
        ...

    async def close(self) -> None:
        """Closes connections."""


class CompletionsModel(ChatModel):
    """A `ChatModel` that asks a server for chat completions.

    Args:
        provider: where requests are sent.
        default_model: used if neither the call nor the agent names a model.
    """

    def __init__(self, provider: Completions, default_model: str) -> None:
        self._default_model = default_model
        self._concessions = Concessions()
        self._provider = provider

    @override
    async def complete(
        self,
        spec: AgentSpec,
        messages: list[Message],
        *,
        on_text: Callable[[str], None],
        max_output: int | None = None,
    ) -> ModelReply:
        name = (spec.models or [self._default_model])[0]
        # The position in the transcript makes ids unique within the run, and the same at a retry.
        answer = StreamedReply(name, call_prefix=f"call_{messages[-1].seq if messages else 0}")
        started = time.perf_counter()
        try:
            async with aclosing(self._chunks(spec, messages, name, answer, max_output)) as chunks:
                async for chunk in chunks:
                    if piece := answer.add(chunk):
                        on_text(piece)
        except (openai.OpenAIError, *BROKEN) as error:
            # A connection that breaks after the last chunk does not affect the reply.
            if not (answer.finish_reason and is_connection_error(error)):
                translated = self._provider.errors.translated(error, name)
                raise explained(translated, messages, name) from None  # the cause holds the request, with the key
        except (ValueError, RecursionError) as error:
            raise _unusable(f"model {name!r} sent a malformed stream: {error}") from None
        _check_end(answer, name)
        return answer.reply(round(time.perf_counter() - started, 3))

    async def close(self) -> None:
        """Closes connections."""
        await self._provider.close()

    async def _chunks(
        self, spec: AgentSpec, messages: list[Message], model: str, answer: StreamedReply, max_output: int | None
    ) -> AsyncGenerator[object]:
        async with await self._open(spec, messages, model, max_output) as stream:
            chunks = CompletionChunks(stream.response)
            async with aclosing(chunks.read()) as read:
                async for chunk in read:
                    yield chunk
            if chunks.is_done:
                answer.end()
            if not answer.has_choices:
                raise _unusable(self._provider.errors.not_a_completion(model, chunks.description))

    async def _open(self, spec: AgentSpec, messages: list[Message], model: str, max_output: int | None) -> Stream:
        """Sends the request; parts that this server is found to refuse are left out, now and in later requests."""
        left_out = self._concessions
        while True:
            try:
                stream = await self._provider.open(_body(spec, messages, model, left_out, max_output), model)
            except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                refusal, is_limited = f"{error.message} {error.body}", max_output is not None
                further = left_out.further(refusal, spec, messages, model, limits_output=is_limited)
                if further is None:
                    raise
                left_out = further
            else:
                if left_out.lasting != self._concessions:
                    log.warning("the provider refuses a part of requests, which is left out", left_out=str(left_out))
                    self._concessions = left_out.lasting
                return stream


class OpenAIModel(CompletionsModel):
    """A `ChatModel` on a client of its own for each event loop.

    Args:
        api_key: sent to the provider, and removed from error messages that quote it.
        base_url: the endpoint; `None` means OpenAI's.
        default_model: used if neither the call nor the agent names a model.
        idle_timeout: seconds without a byte after which a call fails.
        key_variable: the setting that `api_key` comes from, for advice in messages.
        url_variable: the setting that `base_url` comes from, likewise.

    Raises:
        UsageError: the key or the URL cannot be used.
    """

    _provider: Provider

    def __init__(
        self,
        *,
        api_key: str,
        base_url: str | None,
        default_model: str,
        idle_timeout: float = IDLE_TIMEOUT,
        key_variable: str = "OPENAI_API_KEY",
        url_variable: str = "OPENAI_BASE_URL",
    ) -> None:
        provider = Provider(
            api_key=api_key,
            base_url=base_url,
            read_timeout=idle_timeout,
            key_variable=key_variable,
            url_variable=url_variable,
        )
        super().__init__(provider, default_model)


def _body(spec: AgentSpec, messages: list[Message], model: str, left_out: Concessions, max_output: int | None) -> bytes:
    try:
        return request_body(spec, messages, model, left_out, max_output)
    except (ValueError, TypeError) as error:
        reason = f"the request to model {model!r} cannot be encoded as JSON: {error}"
        raise ModelRefused(f"{reason}; check the agent's model_settings") from None


def _check_end(answer: StreamedReply, model: str) -> None:
    if not answer.finish_reason:
        raise _unusable(f"the stream of model {model!r} ended before the reply was complete")
    if answer.finish_reason == INTERRUPTED:
        raise _unusable(f"the provider broke off the reply of model {model!r}")


def _unusable(message: str) -> ModelUnavailable:
    return ModelUnavailable(message, max_attempts=DOUBTFUL_ATTEMPTS, reason=FaultReason.BROKEN_REPLY)
