"""Connection to an OpenAI-compatible provider, and translation of its errors."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from asyncio import AbstractEventLoop
from collections.abc import AsyncGenerator, Iterator
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import httpx2

from holdfast import _lazy
from holdfast.errors import FaultReason, ModelError, ModelRefused, ModelUnavailable, UsageError
from holdfast.models.endpoint import Endpoint
from holdfast.models.faults import Fault
from holdfast.models.outside import check_allowed, is_local

if TYPE_CHECKING:
    import openai
    from openai import AsyncOpenAI
else:  # half a second, which most commands that open the database do without
    openai = _lazy.load("openai")

OPENAI_URL = "https://api.openai.com/v1"
CONNECT_TIMEOUT = 10.0  # seconds; a reachable host accepts much sooner
WRITE_TIMEOUT = 30.0  # seconds without progress while sending the request
SECRET_LENGTH = 8  # characters; real keys have about forty
TLS_ATTEMPTS = 3  # of a connection whose certificate or protocol is wrong, which mostly lasts until it is configured

_CONNECTION_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY")
"""Variables that the HTTP client reads, in capitals or, for proxies, small letters."""

BROKEN = (httpx2.HTTPError, OSError)
"""Errors of a broken connection that the client does not translate."""


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
        self._key_variable, self._url_variable = key_variable, url_variable
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
        """Closes the connections of this event loop."""
        if known := self._clients.pop(asyncio.get_running_loop(), None):
            await known[1].aclose()

    def translated(self, error: Exception, model: str) -> ModelError:
        """Translates an error of the client, or of a broken connection, during a call of `model`."""
        host = self._endpoint.host
        cause = error if isinstance(error, BROKEN) else error.__cause__ or error
        if isinstance(cause, httpx2.ConnectTimeout):
            return ModelUnavailable(
                f"{host} accepted no connection for model {model!r} within {CONNECT_TIMEOUT:g} s",
                reason=FaultReason.TIMEOUT,
            )
        if isinstance(cause, httpx2.TimeoutException):
            return ModelUnavailable(
                f"model {model!r} at {host} sent nothing for {self._read_timeout:g} s", reason=FaultReason.TIMEOUT
            )
        if is_connection_error(error):
            return self._connection_error(cause, model)
        told = error.body if isinstance(error, openai.APIError) else str(error)
        if isinstance(error, openai.APIStatusError):
            fault = Fault.parse(told, status=error.status_code, headers=error.response.headers)
        else:
            fault = Fault.parse(told)
        translated = fault.error(model=model, key_variable=self._key_variable, url_variable=self._url_variable)
        translated.args = (self._without_secrets(str(translated)),)
        return translated

    def not_a_completion(self, model: str, description: str) -> str:
        """Returns the message for a response with status 200 that is not a chat completion."""
        said = self._without_secrets(description)
        return (
            f"{self._endpoint.host} sent something that is not a chat completion of model {model!r} ({said}); "
            f"check {self._url_variable}"
        )

    def _connection_error(self, cause: BaseException, model: str) -> ModelUnavailable:
        reason = self._without_secrets(str(cause)) or type(cause).__name__
        message = f"the connection to {self._endpoint.host} for model {model!r} failed: {reason}"
        causes = list(_chain(cause))
        if any(isinstance(one, ssl.SSLError) for one in causes):
            return ModelUnavailable(
                f"{message}; check {self._url_variable} and SSL_CERT_FILE",
                max_attempts=TLS_ATTEMPTS,
                reason=FaultReason.CONNECTION,
            )
        if any(isinstance(one, socket.gaierror) for one in causes):
            message = f"{message}; check {self._url_variable}"
        return ModelUnavailable(message, reason=FaultReason.CONNECTION)

    def _without_secrets(self, text: str) -> str:
        text = self._endpoint.without_secrets(text)
        # A placeholder such as "none" is not a secret, and removing it would damage ordinary words.
        return text.replace(self._api_key, "(the key)") if len(self._api_key) >= SECRET_LENGTH else text


async def _lifetime(client: AsyncOpenAI) -> AsyncGenerator[None]:
    """Closes the client when its event loop ends: closing its async generators is the only hook that a loop has."""
    try:
        yield
    finally:
        await client.close()


def is_connection_error(error: Exception) -> bool:
    """Returns whether the connection broke, as opposed to an error response."""
    return isinstance(error, (openai.APIConnectionError, *BROKEN))


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


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yields an error and its causes."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _http_client(url: str) -> httpx2.AsyncClient | None:
    """Returns a client that ignores proxies, for endpoints on this machine; `None` means the default client."""
    return openai.DefaultAsyncHttpx2Client(trust_env=False) if is_local(url) else None
