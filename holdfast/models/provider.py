"""The connection to an OpenAI-compatible provider: its client, and what its errors mean."""

from __future__ import annotations

import asyncio
import ipaddress
from asyncio import AbstractEventLoop
from collections.abc import AsyncGenerator
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import httpx2
import openai
from openai import AsyncOpenAI

from holdfast.errors import ModelError, ModelUnavailable, UsageError
from holdfast.models.faults import Fault

OPENAI_URL = "https://api.openai.com/v1"
CONNECT_TIMEOUT = 10.0  # seconds; a host that is there accepts much sooner
WRITE_TIMEOUT = 30.0  # seconds without progress while sending the request
SECRET_LENGTH = 8  # characters; real keys have some forty

BROKEN = (httpx2.HTTPError, OSError)
"""What a broken connection raises where the client does not translate it."""


class Provider:
    """A provider, as its adapters reach it.

    Args:
        api_key: sent to the provider, and taken out of every message that quotes it.
        base_url: the endpoint; None: OpenAI's own.
        read_timeout: seconds without a byte after which a call is given up.
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
        self._url = _checked_url(base_url or OPENAI_URL, url_variable)
        self._read_timeout = read_timeout
        self._key_variable, self._url_variable = key_variable, url_variable
        self._clients: WeakKeyDictionary[AbstractEventLoop, tuple[AsyncOpenAI, AsyncGenerator[None]]]
        self._clients = WeakKeyDictionary()

    async def client(self) -> AsyncOpenAI:
        """The client of the running event loop: connections that one loop has opened are of no use to another."""
        loop = asyncio.get_running_loop()
        if loop not in self._clients:
            client = AsyncOpenAI(
                api_key=self._api_key,
                base_url=self._url,
                max_retries=0,  # Temporal alone retries: the client's own retries would multiply
                timeout=openai.Timeout(self._read_timeout, connect=CONNECT_TIMEOUT, write=WRITE_TIMEOUT, pool=None),
                http_client=_http_client(self._url),
            )
            self._clients[loop] = client, _lifetime(client)
            await anext(self._clients[loop][1])
        return self._clients[loop][0]

    async def close(self) -> None:
        """Closes the connections of this event loop."""
        if known := self._clients.pop(asyncio.get_running_loop(), None):
            await known[1].aclose()

    def translated(self, error: Exception, model: str) -> ModelError:
        """What an error of the client, or a broken connection, means for whoever asked `model`."""
        host, cause = urlsplit(self._url).netloc, error.__cause__ or error
        if isinstance(cause, httpx2.ConnectTimeout):
            return ModelUnavailable(f"{host} accepted no connection for model {model!r} within {CONNECT_TIMEOUT:g} s")
        if isinstance(cause, httpx2.TimeoutException):
            return ModelUnavailable(f"model {model!r} at {host} sent nothing for {self._read_timeout:g} s")
        if is_connection_error(error):
            reason = self._without_key(str(cause)) or type(cause).__name__
            return ModelUnavailable(f"the connection to {host} for model {model!r} failed: {reason}")
        told = error.body if isinstance(error, openai.APIError) else str(error)
        if isinstance(error, openai.APIStatusError):
            fault = Fault.parse(told, status=error.status_code, headers=error.response.headers)
        else:
            fault = Fault.parse(told)
        translated = fault.error(model=model, key_variable=self._key_variable, url_variable=self._url_variable)
        translated.args = (self._without_key(str(translated)),)
        return translated

    def _without_key(self, text: str) -> str:
        # A placeholder such as "none" is no secret, and taking it out would take words apart.
        return text.replace(self._api_key, "(the key)") if len(self._api_key) >= SECRET_LENGTH else text


async def _lifetime(client: AsyncOpenAI) -> AsyncGenerator[None]:
    """Closes the client when its loop ends: a loop ends the generators that it has begun, its one hook for that."""
    try:
        yield
    finally:
        await client.close()


def is_connection_error(error: Exception) -> bool:
    """Whether the connection broke, rather than that the provider said no."""
    return isinstance(error, (openai.APIConnectionError, *BROKEN))


def _checked_key(api_key: str, variable: str) -> str:
    key = api_key.strip()
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise UsageError(f"{variable} is not a key: it is empty or has characters that no HTTP header can carry")
    return key


def _checked_url(url: str, variable: str) -> str:
    parts = urlsplit(url.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"{variable}={url!r} is not accepted: it must look like https://host/v1")
    return url.strip()


def _http_client(url: str) -> httpx2.AsyncClient | None:
    """A client that goes to this machine directly, whatever proxy the environment names; None: the default one."""
    host = urlsplit(url).hostname or ""
    try:
        is_local = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_local = False
    return openai.DefaultAsyncHttpx2Client(trust_env=False) if is_local else None
