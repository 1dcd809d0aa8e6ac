"""Errors of HTTP as answers to the call that they concern, so that no other call of the connection is affected."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

import httpx2
from typing_extensions import override

NOT_SENT, LOST, REFUSED = -31_001, -31_002, -31_003
"""Codes of errors: the server has not received the request; nobody knows; or the server refuses it."""
SESSION = "mcp-session-id"
_CODES: dict[int, int] = {
    HTTPStatus.TOO_MANY_REQUESTS: NOT_SENT,
    HTTPStatus.SERVICE_UNAVAILABLE: NOT_SENT,
    HTTPStatus.BAD_GATEWAY: LOST,
    HTTPStatus.GATEWAY_TIMEOUT: LOST,
}
_UNREACHED = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol)


class ErrorsAsAnswers(httpx2.AsyncBaseTransport):
    """Passes requests on, and answers those that fail."""

    def __init__(self) -> None:
        self._transport = httpx2.AsyncHTTPTransport()

    @override
    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        asked = _asked(request)
        try:
            response = await self._transport.handle_async_request(request)
        except httpx2.TransportError as error:
            if asked is None:
                raise
            code = NOT_SENT if isinstance(error, _UNREACHED) else LOST
            return _answer(request, HTTPStatus.SERVICE_UNAVAILABLE, asked, code, str(error) or type(error).__name__)
        if asked is None or response.status_code < HTTPStatus.BAD_REQUEST:
            return response
        return await _explained(request, response, asked)

    @override
    async def aclose(self) -> None:
        await self._transport.aclose()


def _asked(request: httpx2.Request) -> dict[str, Any] | None:
    """Returns the message of a request; `None` if it is not one of the protocol."""
    if request.method != "POST":
        return None
    try:
        message = json.loads(request.content)
    except (ValueError, httpx2.StreamError):
        return None
    return message if isinstance(message, dict) else None


async def _explained(request: httpx2.Request, response: httpx2.Response, asked: dict[str, Any]) -> httpx2.Response:
    """Returns an error of the server as one of the protocol."""
    await response.aread()
    if response.status_code == HTTPStatus.NOT_FOUND and SESSION in request.headers:
        return _answer(request, response.status_code, asked, NOT_SENT, "the session is over")
    if response.status_code == HTTPStatus.NOT_FOUND or _is_of_protocol(response):
        return response
    said = f"it answers {response.status_code} {response.reason_phrase}".rstrip()
    return _answer(request, response.status_code, asked, _CODES.get(response.status_code, REFUSED), said)


def _is_of_protocol(response: httpx2.Response) -> bool:
    try:
        body = response.json()
    except ValueError:
        return False
    return isinstance(body, dict) and "jsonrpc" in body


def _answer(request: httpx2.Request, status: int, asked: dict[str, Any], code: int, message: str) -> httpx2.Response:
    body = {"jsonrpc": "2.0", "id": asked.get("id"), "error": {"code": code, "message": message}}
    return httpx2.Response(status, json=body, request=request)
