"""Calls models through any OpenAI-compatible chat completions endpoint."""

from __future__ import annotations

import ipaddress
import json
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from urllib.parse import urlsplit

import httpx2
import openai
from openai import AsyncOpenAI, AsyncStream

from holdfast.errors import ModelError, ModelRefused, ModelUnavailable, UsageError
from holdfast.models.faults import Fault
from holdfast.models.wire import MalformedChunk, StreamedReply, request_body
from holdfast.types import AgentSpec, Message, ModelReply

OPENAI_URL = "https://api.openai.com/v1"
CONNECT_TIMEOUT = 10.0  # seconds; a host that is there accepts much sooner
READ_TIMEOUT = 120.0  # seconds between bytes, not for the whole answer: reasoning models think before they stream
SECRET_LENGTH = 8  # characters; real keys have some forty
WRITE_TIMEOUT = 30.0  # seconds without progress while sending the request

_BROKEN = (httpx2.HTTPError, OSError)
"""What a broken connection raises where the client does not translate it."""


class OpenAIModel:
    """A `ChatModel` on the `openai` client.

    Args:
        api_key: sent to the provider, and taken out of every message that quotes it.
        base_url: the endpoint; None: OpenAI's own.
        default_model: answers where neither the call nor the definition names a model.
        read_timeout: seconds without a byte after which a call is given up.
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
        self._api_key = _checked_key(api_key, key_variable)
        self._key_variable = key_variable
        self._default_model = default_model
        self._read_timeout = read_timeout
        self._url = _checked_url(base_url or OPENAI_URL)
        self._client = AsyncOpenAI(
            api_key=self._api_key,
            base_url=self._url,
            max_retries=0,  # Temporal alone retries: the client's own retries would multiply
            timeout=openai.Timeout(read_timeout, connect=CONNECT_TIMEOUT, write=WRITE_TIMEOUT, pool=None),
            http_client=_http_client(self._url),
        )

    async def complete(
        self,
        spec: AgentSpec,
        messages: list[Message],
        *,
        model: str | None,
        on_text: Callable[[str], None],
    ) -> ModelReply:
        """Makes one streamed call; see `holdfast.ports.ChatModel`."""
        name = model or spec.model or self._default_model
        # The place in the transcript makes ids that no other call of the run has, and a retry makes again.
        answer = StreamedReply(name, call_prefix=f"call_{messages[-1].seq if messages else 0}")
        started = time.perf_counter()
        try:
            async with aclosing(self._chunks(_body(spec, messages, name))) as chunks:
                async for chunk in chunks:
                    if piece := answer.add(chunk):
                        on_text(piece)
        except (openai.OpenAIError, *_BROKEN) as error:
            # A connection that breaks after the last word has broken nothing.
            if not (answer.finish_reason and _is_connection_error(error)):
                raise self._translated(error, name) from None  # the cause holds the request, with the key
        except (json.JSONDecodeError, UnicodeDecodeError, MalformedChunk) as error:
            raise ModelUnavailable(f"model {name!r} sent a stream that cannot be read: {error}") from None
        if not answer.finish_reason:
            raise ModelUnavailable(f"the stream of model {name!r} ended in the middle of the answer")
        return answer.reply(time.perf_counter() - started)

    async def close(self) -> None:
        """Closes connections."""
        await self._client.close()

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
        # Not `chat.completions.create`: that walks the whole request, and costs CPU that grows with each turn.
        return await self._client.post(
            "/chat/completions",
            content=body,
            options={"headers": {"Content-Type": "application/json"}},
            cast_to=object,
            stream=True,
            stream_cls=AsyncStream[object],
        )

    def _translated(self, error: Exception, model: str) -> ModelError:
        host, cause = urlsplit(self._url).netloc, error.__cause__ or error
        if isinstance(cause, httpx2.ConnectTimeout):
            return ModelUnavailable(f"{host} accepted no connection for model {model!r} within {CONNECT_TIMEOUT:g} s")
        if isinstance(cause, httpx2.TimeoutException):
            return ModelUnavailable(f"model {model!r} at {host} sent nothing for {self._read_timeout:g} s")
        if _is_connection_error(error):
            reason = self._without_key(str(cause)) or type(cause).__name__
            return ModelUnavailable(f"the connection to {host} for model {model!r} failed: {reason}")
        told = error.body if isinstance(error, openai.APIError) else str(error)
        if isinstance(error, openai.APIStatusError):
            fault = Fault.parse(told, status=error.status_code, headers=error.response.headers)
        else:
            fault = Fault.parse(told)
        translated = fault.error(model=model, key_variable=self._key_variable)
        translated.args = (self._without_key(str(translated)),)
        return translated

    def _without_key(self, text: str) -> str:
        # A placeholder such as "none" is no secret, and taking it out would take words apart.
        return text.replace(self._api_key, "(the key)") if len(self._api_key) >= SECRET_LENGTH else text


def _body(spec: AgentSpec, messages: list[Message], model: str) -> bytes:
    try:
        return request_body(spec, messages, model)
    except (ValueError, TypeError) as error:
        reason = f"the request to model {model!r} cannot be written as JSON: {error}"
        raise ModelRefused(f"{reason}; check the agent's model_settings") from None


def _is_connection_error(error: Exception) -> bool:
    return isinstance(error, (openai.APIConnectionError, *_BROKEN))


def _checked_key(api_key: str, variable: str) -> str:
    key = api_key.strip()
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise UsageError(f"{variable} is not a key: it is empty or has characters that no HTTP header can carry")
    return key


def _checked_url(url: str) -> str:
    parts = urlsplit(url.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"OPENAI_BASE_URL={url!r} is not accepted: it must look like https://host/v1")
    return url.strip()


def _http_client(url: str) -> httpx2.AsyncClient | None:
    """A client that goes to this machine directly, whatever proxy the environment names; None: the default one."""
    host = urlsplit(url).hostname or ""
    try:
        is_local = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_local = False
    return openai.DefaultAsyncHttpx2Client(trust_env=False) if is_local else None
