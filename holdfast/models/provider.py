"""Connection to an OpenAI-compatible provider, and translation of its errors."""

from __future__ import annotations

import asyncio
import os
from asyncio import AbstractEventLoop
from collections.abc import AsyncGenerator, Iterator
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from holdfast import _lazy
from holdfast.errors import ModelRefused, UsageError
from holdfast.models.endpoint import Endpoint
from holdfast.models.outside import check_allowed, is_local
from holdfast.models.provider_errors import CONNECT_TIMEOUT, ProviderErrors

if TYPE_CHECKING:
    import httpx2
    import openai
    from openai import AsyncOpenAI, AsyncStream
else:  # half a second, which most commands that open the database do without
    openai = _lazy.load("openai")

COMPLETIONS = "/chat/completions"
JSON = {"Content-Type": "application/json"}
OPENAI_URL = "https://api.openai.com/v1"
WRITE_TIMEOUT = 30.0  # seconds without progress while sending the request
SECRET_LENGTH = 8  # characters; real keys have about forty

_CONNECTION_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY")
"""Variables that the HTTP client reads, in capitals or, for proxies, small letters."""


class Provider:
    """Client of one provider, shared by the adapters for chat and embeddings.

    Args:
        api_key: sent to the provider, and removed from error messages that quote it.
        base_url: the endpoint; `None` means OpenAI's. A user and a password in it are sent as basic authentication,
            instead of the key, and are in no message.
        read_timeout: seconds without a byte after which a call fails.
        key_variable: the setting that `api_key` comes from, for advice in messages.
        url_variable: the setting that `base_url` comes from, likewise.

    Raises:
        UsageError: the key or the URL cannot be used.
    """

    def __init__(
        self,
        *,
        api_key: str,
        base_url: str | None,
        read_timeout: float,
        key_variable: str = "OPENAI_API_KEY",
        url_variable: str = "OPENAI_BASE_URL",
    ) -> None:
        self._api_key = _checked_key(api_key, key_variable)
        self._endpoint = Endpoint.parse(base_url or OPENAI_URL, url_variable)
        self._read_timeout = read_timeout
        self.errors = ProviderErrors(
            host=self._endpoint.host,
            key_place=key_variable,
            url_place=url_variable,
            without_secrets=self._without_secrets,
            read_timeout=read_timeout,
        )
        self._clients: WeakKeyDictionary[AbstractEventLoop, tuple[AsyncOpenAI, AsyncGenerator[None]]]
        self._clients = WeakKeyDictionary()

    async def client(self) -> AsyncOpenAI:
        """Returns the client of the running event loop; connections cannot be shared between loops.

        Raises:
            ModelRefused: requests to other machines are refused, or the environment allows no connection.
        """
        check_allowed(self._endpoint.url)
        loop = asyncio.get_running_loop()
        if loop not in self._clients:
            client = self._new_client()
            self._clients[loop] = client, _lifetime(client)
            await anext(self._clients[loop][1])
        return self._clients[loop][0]

    async def open(self, body: bytes, model: str) -> AsyncStream[object]:  # noqa: ARG002 - as `OwnClient.open`
        """Sends a request for a streamed chat completion."""
        # Not `chat.completions.create`, which transforms the whole request and so takes more CPU time with each turn.
        client = await self.client()
        return await client.post(
            COMPLETIONS,
            content=body,
            options={"headers": JSON},
            cast_to=object,
            stream=True,
            stream_cls=openai.AsyncStream[object],
        )

    def _new_client(self) -> AsyncOpenAI:
        endpoint = self._endpoint
        headers = {"Authorization": endpoint.authorization} if endpoint.authorization else None
        try:
            return openai.AsyncOpenAI(
                api_key=self._api_key,
                base_url=endpoint.url,
                default_headers=headers,
                max_retries=0,  # only Temporal retries; retries of the client would multiply
                timeout=openai.Timeout(self._read_timeout, connect=CONNECT_TIMEOUT, write=WRITE_TIMEOUT, pool=None),
                http_client=_http_client(endpoint.url),
            )
        except (OSError, ImportError, ValueError) as error:
            # The environment is read once, so another attempt would find the same.
            found = ", ".join(_connection_variables()) or "the variables for proxies and certificates"
            raise ModelRefused(
                f"no connection to {endpoint.host} can be made: {self._without_secrets(str(error))}; check {found}"
            ) from None

    async def close(self) -> None:
        """Closes the connections of this event loop, and has other running loops close theirs."""
        if known := self._clients.pop(asyncio.get_running_loop(), None):
            await known[1].aclose()
        for loop, (_, lifetime) in list(self._clients.items()):
            if loop.is_running():  # otherwise it has closed them at its end, or will
                asyncio.run_coroutine_threadsafe(_end(lifetime), loop)  # not awaited: its thread may wait for us
                del self._clients[loop]

    def _without_secrets(self, text: str) -> str:
        text = self._endpoint.without_secrets(text)
        # A placeholder such as "none" is not a secret, and removing it would damage ordinary words.
        return text.replace(self._api_key, "(the key)") if len(self._api_key) >= SECRET_LENGTH else text


async def _end(lifetime: AsyncGenerator[None]) -> None:
    await lifetime.aclose()


async def _lifetime(client: AsyncOpenAI) -> AsyncGenerator[None]:
    """Closes the client when its event loop ends: closing its async generators is the only hook that a loop has."""
    try:
        yield
    finally:
        await client.close()


def _checked_key(api_key: str, variable: str) -> str:
    key = api_key.strip()
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise UsageError(
            f"{variable} is not a valid key: it is empty or has characters that HTTP headers cannot contain"
        )
    return key


def _connection_variables() -> Iterator[str]:
    """Yields the variables for proxies and certificates that are set."""
    for name in _CONNECTION_VARIABLES:
        yield from (known for known in (name, name.lower()) if os.environ.get(known))


def _http_client(url: str) -> httpx2.AsyncClient | None:
    """Returns a client that ignores proxies, for endpoints on this machine; `None` means the default client."""
    return openai.DefaultAsyncHttpx2Client(trust_env=False) if is_local(url) else None
