"""Translation of the errors of the `openai` client, and of broken connections."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx2

from holdfast import _lazy
from holdfast.errors import ModelError, ModelUnavailable
from holdfast.fault_reason import FaultReason
from holdfast.models.faults import Fault

if TYPE_CHECKING:
    import openai
else:  # half a second, which most commands that open the database do without
    openai = _lazy.load("openai")

CONNECT_TIMEOUT = 10.0  # seconds; a reachable host accepts much sooner
TLS_ATTEMPTS = 3  # of a connection whose certificate or protocol is wrong, which mostly lasts until it is configured

BROKEN = (httpx2.HTTPError, OSError)
"""Errors of a broken connection that the client does not translate."""


@dataclass(frozen=True, kw_only=True)
class ProviderErrors:
    """Translates the errors of calls to one provider."""

    host: str
    """Of the provider, for messages."""
    key_place: str
    """Where the API key comes from, for advice."""
    url_place: str
    """Where the endpoint comes from, likewise."""
    without_secrets: Callable[[str], str]
    """Removes keys and passwords from a text."""
    connect_timeout: float | None = CONNECT_TIMEOUT
    """Seconds to connect; `None` means without limit."""
    read_timeout: float | None
    """Seconds without a byte after which a call fails; likewise."""

    def translated(self, error: Exception, model: str) -> ModelError:
        """Translates an error of the client, or of a broken connection, during a call of `model`."""
        cause = error if isinstance(error, BROKEN) else error.__cause__ or error
        if isinstance(cause, httpx2.ConnectTimeout):
            return ModelUnavailable(
                f"{self.host} accepted no connection for model {model!r} within {self.connect_timeout or 0:g} s",
                reason=FaultReason.TIMEOUT,
            )
        if isinstance(cause, httpx2.TimeoutException):
            return ModelUnavailable(
                f"model {model!r} at {self.host} sent nothing for {self.read_timeout or 0:g} s",
                reason=FaultReason.TIMEOUT,
            )
        if is_connection_error(error):
            return self._connection_error(cause, model)
        told = error.body if isinstance(error, openai.APIError) else str(error)
        if isinstance(error, openai.APIStatusError):
            fault = Fault.parse(told, status=error.status_code, headers=error.response.headers)
        else:
            fault = Fault.parse(told)
        translated = fault.error(model=model, key_variable=self.key_place, url_variable=self.url_place)
        translated.args = (self.without_secrets(str(translated)),)
        return translated

    def not_a_completion(self, model: str, description: str) -> str:
        """Returns the message for a response with status 200 that is not a chat completion."""
        said = self.without_secrets(description)
        return (
            f"{self.host} sent something that is not a chat completion of model {model!r} ({said}); "
            f"check {self.url_place}"
        )

    def _connection_error(self, cause: BaseException, model: str) -> ModelUnavailable:
        reason = self.without_secrets(str(cause)) or type(cause).__name__
        message = f"the connection to {self.host} for model {model!r} failed: {reason}"
        causes = list(_chain(cause))
        if any(isinstance(one, ssl.SSLError) for one in causes):
            return ModelUnavailable(
                f"{message}; check {self.url_place} and SSL_CERT_FILE",
                max_attempts=TLS_ATTEMPTS,
                reason=FaultReason.CONNECTION,
            )
        if any(isinstance(one, socket.gaierror) for one in causes):
            message = f"{message}; check {self.url_place}"
        return ModelUnavailable(message, reason=FaultReason.CONNECTION)


def is_connection_error(error: Exception) -> bool:
    """Returns whether the connection broke, as opposed to an error response."""
    return isinstance(error, (openai.APIConnectionError, *BROKEN))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yields an error and its causes."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
