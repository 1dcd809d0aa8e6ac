"""A client that an agent brings, of the `openai` package: requests go through it as its owner has configured it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from socket import SHUT_RDWR
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote, urlsplit

import httpx2
import openai
from openai import AsyncStream, Stream

from holdfast.models.endpoint import HIDDEN
from holdfast.models.openai import CompletionsModel
from holdfast.models.openai import Stream as OpenStream
from holdfast.models.outside import check_allowed
from holdfast.models.provider import COMPLETIONS, JSON, SECRET_LENGTH
from holdfast.models.provider_errors import ProviderErrors

T = TypeVar("T")

THREADS = 64  # requests of clients that block, at the same time
KEY, URL = "the api_key of the agent's client", "its base_url"


class OwnClient:
    """Sends requests through a client of an agent, without retries of the client's own.

    Args:
        client: of the `openai` package. One that blocks is used in threads; an async one is used in the event loop of
            the caller, which must be the one that uses it otherwise.
    """

    def __init__(self, client: openai.OpenAI | openai.AsyncOpenAI) -> None:
        self._client = client
        self._threads = _Threads() if isinstance(client, openai.OpenAI) else None
        timeout = client.timeout
        self.errors = ProviderErrors(
            host=urlsplit(str(client.base_url)).netloc.rpartition("@")[2],
            key_place=KEY,
            url_place=URL,
            without_secrets=self._without_secrets,
            connect_timeout=timeout.connect if isinstance(timeout, httpx2.Timeout) else timeout,
            read_timeout=timeout.read if isinstance(timeout, httpx2.Timeout) else timeout,
        )

    async def open(self, body: bytes, model: str) -> OpenStream:
        """Sends a request for a streamed chat completion.

        Raises:
            ModelRefused: requests to other machines are refused.
        """
        check_allowed(str(self._client.base_url))
        path = self._path(model)
        options: Any = {"headers": JSON, "max_retries": 0}  # only Temporal retries
        if isinstance(self._client, openai.AsyncOpenAI):
            return await self._client.post(
                path, content=body, options=options, cast_to=object, stream=True, stream_cls=AsyncStream[object]
            )
        client, threads = self._client, self._threads
        assert threads is not None, "a client that blocks is used in threads"

        def post() -> Stream[object]:
            return client.post(
                path, content=body, options=options, cast_to=object, stream=True, stream_cls=Stream[object]
            )

        return _ThreadStream(await threads.run(post, late=lambda stream: stream.close()), threads)

    async def close(self) -> None:
        """Leaves the client open, as it is its owner's."""

    def _path(self, model: str) -> str:
        """Returns where completions are; in Azure, each model has a place of its own."""
        is_azure = isinstance(self._client, openai.AzureOpenAI | openai.AsyncAzureOpenAI)
        if is_azure and "/deployments" not in self._client.base_url.path:
            return f"/deployments/{quote(model, safe='')}{COMPLETIONS}"
        return COMPLETIONS

    def _without_secrets(self, text: str) -> str:
        url = urlsplit(str(self._client.base_url))
        for secret in (self._client.api_key, url.password, url.username):
            if secret and len(secret) >= SECRET_LENGTH:
                text = text.replace(secret, HIDDEN)
        return text


class ClientModel(CompletionsModel):
    """A `ChatModel` on a client of an agent.

    Args:
        client: see `OwnClient`.
        default_model: used if neither the call nor the agent names a model.
    """

    def __init__(self, client: openai.OpenAI | openai.AsyncOpenAI, default_model: str) -> None:
        super().__init__(OwnClient(client), default_model)


class _Threads:
    """Makes blocking calls in threads."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="client")

    async def run(self, function: Callable[[], T], late: Callable[[T], object] = lambda _: None) -> T:
        """Calls a function in a thread.

        Args:
            function: may block.
            late: called with a result that nobody waits for any more.
        """
        future = self._pool.submit(function)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:

            def drop(done: Future[T]) -> None:
                if not done.cancelled() and done.exception() is None:
                    late(done.result())

            future.add_done_callback(drop)
            raise


class _ThreadStream:
    """A response that is read in threads."""

    def __init__(self, stream: Stream[object], threads: _Threads) -> None:
        self.response = _ThreadResponse(stream.response, threads)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        await self.response.close()


class _ThreadResponse:
    """What is read of a response of a client that blocks."""

    def __init__(self, response: httpx2.Response, threads: _Threads) -> None:
        self._response = response
        self._threads = threads
        self._pieces = response.iter_bytes()
        self._is_reading = False

    @property
    def headers(self) -> Mapping[str, str]:
        return self._response.headers

    @property
    def request(self) -> httpx2.Request:
        return self._response.request

    async def aiter_bytes(self) -> AsyncIterator[bytes]:
        while (piece := await self._threads.run(self._next)) is not None:
            yield piece

    async def close(self) -> None:
        """Closes the connection, at once if a thread is reading from it: that thread then ends."""
        if self._is_reading:
            self._interrupt()
        else:
            await self._threads.run(self._response.close)

    def _next(self) -> bytes | None:
        self._is_reading = True
        try:
            return next(self._pieces, None)
        finally:
            self._is_reading = False

    def _interrupt(self) -> None:
        network = self._response.extensions.get("network_stream")
        connection = network.get_extra_info("socket") if network is not None else None
        if connection is not None:
            with suppress(OSError):
                connection.shutdown(SHUT_RDWR)
