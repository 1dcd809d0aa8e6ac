"""The codec endpoint, which decodes encrypted and externally stored payloads for Temporal's UI and CLI."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence

from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.common import RawValue
from temporalio.converter import DataConverter

from holdfast.errors import PayloadUnreadable, StoreUnavailable

HEADERS = ["content-type", "x-namespace", "authorization"]  # sent by Temporal's UI
HOSTS = ["127.0.0.1", "localhost"]

Change = Callable[[Payload], Awaitable[Payload]]


def codec_app(converter: DataConverter, origins: Sequence[str]) -> Starlette:
    """Returns the web application.

    It has no authentication, so it must only listen on loopback. It rejects pages of other origins, and requests for
    other host names, which prevents DNS rebinding.

    Args:
        converter: decodes payloads, with the keys and the store.
        origins: origins of the pages that may read its responses, such as Temporal's UI at `http://127.0.0.1:8233`.
    """

    async def encode(payload: Payload) -> Payload:
        [encoded] = await converter.encode([RawValue(payload)])
        return encoded

    async def decode(payload: Payload) -> Payload:
        try:
            [raw] = await converter.decode([payload], [RawValue])
        except (PayloadUnreadable, StoreUnavailable) as error:
            return _unreadable(error)
        decoded: Payload = raw.payload
        return decoded

    return Starlette(
        routes=[
            Route(path, _answering(change), methods=["POST"])
            for name, change in (("encode", encode), ("decode", decode), ("download", decode))
            for path in (f"/{name}", f"/{{namespace}}/{name}")
        ],
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=HOSTS, www_redirect=False),
            Middleware(CORSMiddleware, allow_origins=origins, allow_methods=["POST"], allow_headers=HEADERS),
        ],
    )


def _answering(change: Change) -> Callable[[Request], Awaitable[JSONResponse]]:
    async def answer(request: Request) -> JSONResponse:
        try:
            given = _payloads(await request.body())
        except (ValueError, TypeError, ParseError) as error:
            return JSONResponse({"error": f"the body must be Payloads as JSON: {error}"}, 400)
        return JSONResponse(MessageToDict(Payloads(payloads=[await change(payload) for payload in given.payloads])))

    return answer


def _payloads(body: bytes) -> Payloads:
    value = json.loads(body)
    if not isinstance(value, dict):
        raise TypeError(f"it is a {type(value).__name__}")
    return ParseDict(value, Payloads())


def _unreadable(error: Exception) -> Payload:
    """Returns a placeholder for a payload that cannot be decoded, so that the page still shows the others."""
    return Payload(
        metadata={"encoding": b"json/plain"}, data=json.dumps(f"this payload cannot be decoded: {error}").encode()
    )
