"""A small OpenAI-compatible HTTP server for chats and embeddings, whose responses come from callables."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, Generic, TypeVar

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from holdfast.scripted.chat import ChatReply, ChatRequest, StreamChunks, completion, encode, error_body
from holdfast.scripted.embedding_wire import EmbeddingRequest, embeddings, hashed_vectors
from holdfast.scripted.hashing import HASHING_MODEL

R = TypeVar("R")

KEEP_ALIVE = 60  # seconds; longer than clients keep idle connections, so that none is closed during a request


class BadRequest(Exception):
    """The request is not valid; the client receives the message with status 400."""


Answer = Callable[[ChatRequest, Send], Awaitable[None]]
"""Writes the response to a request; cancelled if the client disconnects."""
Embed = Callable[[EmbeddingRequest, Send], Awaitable[None]]
"""The same for embeddings."""


async def embed_by_hashing(request: EmbeddingRequest, send: Send) -> None:
    """Responds with vectors by feature hashing, if the request names that model.

    Raises:
        BadRequest: the request names another model.
    """
    if (wanted := request.body.get("model")) != HASHING_MODEL:
        raise BadRequest(
            f"this server has no embedding model {wanted!r}, only {HASHING_MODEL!r}; set EMBEDDING_MODEL to it"
        )
    await send_json(send, 200, embeddings(request, hashed_vectors(request), HASHING_MODEL))


def chat_app(answer: Answer, *, models: Sequence[str] = (), embed: Embed = embed_by_hashing) -> Starlette:
    """Returns the web application: chat completions, embeddings, the list of models, health."""

    async def list_models(_request: Request) -> JSONResponse:
        data = [{"id": name, "object": "model", "created": 0, "owned_by": "holdfast"} for name in models]
        return JSONResponse({"object": "list", "data": data})

    async def health(_request: Request) -> JSONResponse:
        return JSONResponse({"status": "ok"})

    return Starlette(
        routes=[
            Route("/v1/chat/completions", _Endpoint(answer, _chat_request), methods=["POST"]),
            Route("/v1/embeddings", _Endpoint(embed, _embedding_request), methods=["POST"]),
            Route("/v1/models", list_models),
            Route("/health", health),
        ]
    )


def listen(host: str, port: int) -> socket.socket:
    """Opens a port, so that connections queue before the server runs; 0 selects a free one."""
    listener = socket.create_server((host, port), backlog=1024)
    # asyncio sets this only for sockets with an explicit protocol; without it, the end of a reply is 40 ms late.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def chat_server(app: Starlette) -> uvicorn.Server:
    """Returns a server for the application, to run on the socket from `listen`."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http="h11",
            ws="none",
            lifespan="off",
            access_log=False,
            log_level="critical",  # connections are closed on purpose
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=1,
        )
    )


class _Endpoint(Generic[R]):
    """Reads a request and responds to it; stops as soon as the client disconnects."""

    def __init__(
        self,
        answer: Callable[[R, Send], Awaitable[None]],
        request: Callable[[dict[str, Any], int, Mapping[str, str]], R],
    ) -> None:
        self._answer = answer
        self._request = request

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            request = self._request(*await _read(Request(scope, receive)))
        except BadRequest as error:
            await send_json(send, 400, error_body(str(error)))
            return
        await _while_connected(self._answered(request, send), receive)

    async def _answered(self, request: R, send: Send) -> None:
        try:
            await self._answer(request, send)
        except BadRequest as error:
            await send_json(send, 400, error_body(str(error)))


def _chat_request(body: dict[str, Any], size: int, headers: Mapping[str, str]) -> ChatRequest:
    if not isinstance(body.get("messages"), list) or not body["messages"]:
        raise BadRequest("the body must be a JSON object with a list of 'messages'")
    return ChatRequest(body, size, headers)


def _embedding_request(body: dict[str, Any], size: int, headers: Mapping[str, str]) -> EmbeddingRequest:
    request = EmbeddingRequest(body, size, headers)
    if fault := request.fault():
        raise BadRequest(fault)
    return request


async def _read(request: Request) -> tuple[dict[str, Any], int, Mapping[str, str]]:
    """Returns the body, its size in bytes, and the headers without the key."""
    raw = await request.body()
    try:
        body = json.loads(raw)
    except ValueError as error:
        raise BadRequest(f"the body is not JSON: {error}") from None
    if not isinstance(body, dict):
        raise BadRequest("the body must be a JSON object with a list of 'messages', or with an 'input'")
    headers = {name: value for name, value in request.headers.items() if name != "authorization"}
    return body, len(raw), headers


async def _while_connected(work: Coroutine[Any, Any, None], receive: Receive) -> None:
    """Runs `work` until it ends or the client disconnects."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(receive())  # the body has been read, so the next message is the disconnect
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
    finally:
        leaving.cancel()
        working.cancel()
        await asyncio.wait((working,))
    if not working.cancelled():
        working.result()


async def send_reply(request: ChatRequest, reply: ChatReply, send: Send) -> None:
    """Sends a reply, streamed if the request asks for it."""
    if reply.delay:
        await asyncio.sleep(reply.delay)
    if not request.streams:
        await send_json(send, 200, completion(request, reply))
        return
    await start_stream(send)
    chunks = StreamChunks.of(request, reply)
    if reply.piece_delay:
        await send_pieces(send, [chunks.opening, *chunks.pieces], reply.piece_delay)
        await send_bytes(send, b"".join(chunks.closing), more=False)
    else:  # one write keeps a reply without delay cheap
        await send_bytes(send, b"".join(chunks), more=False)


async def send_pieces(send: Send, pieces: Sequence[bytes], delay: float) -> None:
    """Sends pieces of a stream, with a delay in seconds between them."""
    for number, piece in enumerate(pieces):
        if number and delay:
            await asyncio.sleep(delay)
        await send_bytes(send, piece)


async def start_stream(send: Send) -> None:
    """Begins a response of server-sent events."""
    await _start(send, 200, "text/event-stream; charset=utf-8", {"cache-control": "no-cache"})


async def send_bytes(send: Send, data: bytes, *, more: bool = True) -> None:
    """Sends a part of a started response."""
    await send({"type": "http.response.body", "body": data, "more_body": more})


async def send_json(send: Send, status: int, data: object, headers: Mapping[str, str] | None = None) -> None:
    """Sends a whole JSON response."""
    await send_body(send, status, "application/json", encode(data), headers)


async def send_body(
    send: Send, status: int, content_type: str, body: bytes, headers: Mapping[str, str] | None = None
) -> None:
    """Sends a whole response."""
    await _start(send, status, content_type, headers or {})
    await send_bytes(send, body, more=False)


async def _start(send: Send, status: int, content_type: str, headers: Mapping[str, str]) -> None:
    pairs = {"content-type": content_type, **headers}.items()
    encoded = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in pairs]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
