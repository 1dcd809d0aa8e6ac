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
MAX_BODY_BYTES = 16 * 1024 * 1024  # of a request; Temporal's own messages have at most 4 MB
MAX_PAYLOADS = 2_000  # of a request; a page of history has fewer
MAX_ANSWER_BYTES = 64 * 1024 * 1024  # of the payloads of an answer, as a short reference can stand for many MB

Change = Callable[[Payload], Awaitable[Payload]]


class _Rejected(Exception):
    """A request that is not carried out."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.answer = JSONResponse({"error": reason}, status, headers={"Connection": "close"})  # the rest is not read


def codec_app(decoder: DataConverter, encoder: DataConverter, origins: Sequence[str]) -> Starlette:
    """Returns the web application.

    It has no authentication, so it must only listen on loopback. It rejects pages of other origins, and requests for
    other host names, which prevents DNS rebinding. It stores nothing.

    Args:
        decoder: decodes payloads, with the keys and the store.
        encoder: encodes what is typed into Temporal's UI and CLI, with the keys and without the store.
        origins: origins of the pages that may use it, such as Temporal's UI at `http://127.0.0.1:8233`.
    """

    async def encode(payload: Payload) -> Payload:
        [encoded] = await encoder.encode([RawValue(payload)])
        return encoded

    async def decode(payload: Payload) -> Payload:
        try:
            [raw] = await decoder.decode([payload], [RawValue])
        except (PayloadUnreadable, StoreUnavailable) as error:
            return _unreadable(str(error))
        decoded: Payload = raw.payload
        return decoded

    return Starlette(
        routes=[
            Route(path, _answering(change, frozenset(origins)), methods=["POST"])
            for name, change in (("encode", encode), ("decode", decode), ("download", decode))
            for path in (f"/{name}", f"/{{namespace}}/{name}")
        ],
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=HOSTS, www_redirect=False),
            Middleware(CORSMiddleware, allow_origins=origins, allow_methods=["POST"], allow_headers=HEADERS),
        ],
    )


def _answering(change: Change, origins: frozenset[str]) -> Callable[[Request], Awaitable[JSONResponse]]:
    async def answer(request: Request) -> JSONResponse:
        try:
            _check_sender(request, origins)
            given = _payloads(await _body(request))
        except _Rejected as rejected:
            return rejected.answer
        return JSONResponse(MessageToDict(Payloads(payloads=await _changed(given, change))))

    return answer


def _check_sender(request: Request, origins: frozenset[str]) -> None:
    """Rejects pages of other origins. Without asking first, a browser lets them send anything but JSON."""
    origin = request.headers.get("origin")
    if origin is not None and origin not in origins:
        raise _Rejected(403, f"pages of {origin} may not use this endpoint; `codec --ui URL` names another page")
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise _Rejected(415, "the content type must be application/json")


async def _body(request: Request) -> bytes:
    too_large = _Rejected(413, f"the body has more than {MAX_BODY_BYTES:,} bytes")
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > MAX_BODY_BYTES:
        raise too_large
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY_BYTES:
            raise too_large
    return bytes(body)


def _payloads(body: bytes) -> list[Payload]:
    try:
        value = json.loads(body)
        if not isinstance(value, dict):
            raise TypeError(f"it is a {type(value).__name__}")
        payloads = list(ParseDict(value, Payloads()).payloads)
    except (ValueError, TypeError, ParseError, RecursionError) as error:
        raise _Rejected(400, f"the body must be Payloads as JSON: {error}") from None
    if len(payloads) > MAX_PAYLOADS:
        raise _Rejected(413, f"the body has {len(payloads):,} payloads; at most {MAX_PAYLOADS:,} are accepted")
    return payloads


async def _changed(payloads: Sequence[Payload], change: Change) -> list[Payload]:
    changed: list[Payload] = []
    size = 0
    for payload in payloads:
        if size > MAX_ANSWER_BYTES:
            changed.append(_unreadable(f"the payloads before it have more than {MAX_ANSWER_BYTES:,} bytes"))
            continue
        changed.append(await change(payload))
        size += len(changed[-1].data)
    return changed


def _unreadable(reason: str) -> Payload:
    """Returns a placeholder for a payload that cannot be decoded, so that the page still shows the others."""
    return Payload(
        metadata={"encoding": b"json/plain"}, data=json.dumps(f"this payload cannot be decoded: {reason}").encode()
    )
