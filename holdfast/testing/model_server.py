"""A model server for tests, which answers and fails as the test decides; also for embeddings."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from starlette.types import Send

from holdfast.scripted.chat import ChatReply, ChatRequest, ChatToolCall, StreamChunks, completion, error_body, event
from holdfast.scripted.embedding_wire import EmbeddingRequest, embeddings, hashed_vectors
from holdfast.scripted.server import (
    BadRequest,
    chat_app,
    chat_server,
    listen,
    send_body,
    send_bytes,
    send_json,
    send_pieces,
    send_reply,
    start_stream,
)
from holdfast.testing.replies import EmbeddingFault, Reply, call_tools, described, last_message, say

POLL_INTERVAL = 0.005  # seconds between checks of a condition
STOP_TIMEOUT = 10.0  # seconds; a server that stops takes a fraction of one

__all__ = ["ChatRequest", "ChatToolCall", "EmbeddingFault", "ModelServer", "RecordedRequest", "Reply"]


@dataclass
class RecordedRequest:
    """A request that the server received; times are in seconds of `time.monotonic()`."""

    body: dict[str, Any]
    bytes: int
    """Size of the body."""
    headers: Mapping[str, str]
    """Without `authorization`."""
    received_at: float
    received_time: float
    """The same moment by `time.time()`."""
    finished_at: float | None = None
    """When the last byte of the response was sent; `None` means not yet, or never."""
    disconnected_at: float | None = None
    """When the client closed the connection before the response was complete."""

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The request's messages."""
        messages: list[dict[str, Any]] = self.body["messages"]
        return messages


class ModelServer:
    """A model provider for tests: a local HTTP server with replies that the test decides.

    Each request takes the next of the replies that `say`, `call_tools` and `reply` have queued; when there is
    none, `respond` decides; when that is None the model says "done", or a strict server refuses the request. A
    request that goes away while it is held takes none. The server runs in a thread of its own, so a blocked event
    loop does not stall it. Use it with `with` or `async with`:

        async with ModelServer() as server:
            server.call_tools(("read_file", {"path": "notes.md"}))
            server.say("It says hello.")
            model = OpenAIModel(api_key="test", base_url=server.url, default_model="test")

    Embeddings are made by `embed`, or as the next of the faults says that `fail_embeddings` has queued.

    Args:
        respond: see the attribute.
        strict: refuse requests for which there is no reply, so that the run fails and names the request.
        host: the address to listen on.
        port: 0 means a free one.

    Attributes:
        requests: all chat requests in order of arrival.
        respond: returns the reply if none is queued. Called in the server's thread.
        embedding_requests: all requests for embeddings in order of arrival.
        embed: returns the vectors, by default from feature hashing, or a fault.
            Called in the server's thread.
    """

    def __init__(
        self,
        respond: Callable[[ChatRequest], ChatReply] | None = None,
        *,
        strict: bool = False,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.requests: list[RecordedRequest] = []
        self.respond = respond
        self.embedding_requests: list[RecordedRequest] = []
        self.embed: Callable[[EmbeddingRequest], Sequence[Sequence[float]] | EmbeddingFault] = hashed_vectors
        self._embedding_faults: deque[EmbeddingFault] = deque()
        self._replies: deque[ChatReply] = deque()
        self._is_strict = strict
        self._refused: list[RecordedRequest] = []
        self._address = (host, port)
        self._server = chat_server(chat_app(self._answer, models=["test"], embed=self._embed))
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._open = asyncio.Event()
        self._open.set()

    @property
    def port(self) -> int:
        """The port of the server."""
        return self._address[1]

    @property
    def url(self) -> str:
        """The base URL for clients."""
        return f"http://{self._address[0]}:{self.port}/v1"

    def say(self, text: str, **fields: Any) -> None:
        """Queues a text reply; `fields` are those of `Reply`."""
        self.reply(say(text, **fields))

    def call_tools(self, *calls: tuple[str, Mapping[str, Any] | str], text: str = "", **named: Any) -> None:
        """Queues a reply that calls tools; the arguments are those of `holdfast.testing.call_tools`."""
        self.reply(call_tools(*calls, text=text, **named))

    def reply(self, *replies: ChatReply) -> None:
        """Queues replies."""
        self._replies.extend(replies)

    def assert_complete(self) -> None:
        """Asserts that the queued replies were used, and that a strict server has refused no request.

        Raises:
            AssertionError: the message shows which replies are left, and what the model was asked instead.
        """
        if not self._replies and not self._refused:
            return
        lines = ["the model was asked for more than the script has:" if self._refused else "the script is not used up:"]
        lines += [f"  left   {described(reply)}" for reply in self._replies]
        for number, request in enumerate(self.requests, 1):
            remark = "  <- no reply was left" if request in self._refused else ""
            lines.append(f"  asked  {number}. {last_message(request.messages)}{remark}")
        raise AssertionError("\n".join(lines if self.requests else [*lines, "  asked  nothing"]))

    def fail_embeddings(self, *faults: EmbeddingFault) -> None:
        """Queues faults, one for each of the next requests for embeddings."""
        self._embedding_faults.extend(faults)

    def hold(self) -> None:
        """Receives requests but sends no response until `release`."""
        self._in_loop(self._open.clear)

    def release(self) -> None:
        """Answers the held requests and later ones."""
        self._in_loop(self._open.set)

    async def wait_for_requests(self, count: int, timeout: float = 30.0) -> None:
        """Waits until this many requests have arrived.

        Raises:
            TimeoutError: they did not arrive within `timeout` seconds.
        """
        await _until(
            lambda: len(self.requests) >= count,
            timeout,
            lambda: f"{len(self.requests)} of {count} requests arrived",
        )

    async def wait_disconnected(self, index: int, timeout: float = 30.0) -> float:
        """Waits until the client has closed the connection of a request; returns the time (`time.monotonic()`).

        Raises:
            TimeoutError: it was not closed within `timeout` seconds.
        """

        def moment() -> float | None:
            return self.requests[index].disconnected_at if index < len(self.requests) else None

        await _until(lambda: moment() is not None, timeout, lambda: f"request {index} was not disconnected")
        return moment() or 0.0

    def start(self) -> None:
        """Starts the server; an alternative to `with`."""
        if self._thread:
            raise RuntimeError("this ModelServer has been started before; create a new one")
        sock = listen(*self._address)
        self._address = sock.getsockname()[:2]
        ready = threading.Event()

        async def serve() -> None:
            self._loop = asyncio.get_running_loop()
            ready.set()
            await self._server.serve(sockets=[sock])

        self._thread = threading.Thread(target=asyncio.run, args=(serve(),), name="model-server", daemon=True)
        self._thread.start()
        ready.wait()

    def stop(self) -> None:
        """Closes the port and all connections."""
        self._server.should_exit = True
        self._server.force_exit = True
        if self._thread:
            self._thread.join(STOP_TIMEOUT)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await asyncio.to_thread(self.stop)

    def _in_loop(self, change: Callable[[], None]) -> None:
        if self._loop:
            self._loop.call_soon_threadsafe(change)
        else:
            change()

    async def _answer(self, request: ChatRequest, send: Send) -> None:
        record = RecordedRequest(request.body, request.size, request.headers, time.monotonic(), time.time())
        self.requests.append(record)
        try:
            await self._open.wait()
            await _play(request, self._next_reply(request, record), send)
            record.finished_at = time.monotonic()
        except asyncio.CancelledError:
            record.disconnected_at = time.monotonic()
            raise

    async def _embed(self, request: EmbeddingRequest, send: Send) -> None:
        record = RecordedRequest(request.body, request.size, request.headers, time.monotonic(), time.time())
        self.embedding_requests.append(record)
        try:
            await self._open.wait()
            await _play_embeddings(request, self._next_vectors(request), send)
            record.finished_at = time.monotonic()
        except asyncio.CancelledError:
            record.disconnected_at = time.monotonic()
            raise

    def _next_vectors(self, request: EmbeddingRequest) -> Sequence[Sequence[float]] | EmbeddingFault:
        return self._embedding_faults.popleft() if self._embedding_faults else self.embed(request)

    def _next_reply(self, request: ChatRequest, record: RecordedRequest) -> ChatReply:
        if self._replies:
            return self._replies.popleft()
        if not self.respond and self._is_strict:
            self._refused.append(record)
            return Reply.error(400, f"the test's script has no reply left for {last_message(request.messages)}")
        if not self.respond:
            return Reply("done")
        try:
            return self.respond(request)
        except BadRequest:
            raise
        except Exception as error:  # noqa: BLE001 - the test must see any error of its function
            return Reply.error(400, f"ModelServer.respond raised {error!r}")


class _Cut(Exception):
    """Aborts a response, upon which the web server closes the connection."""


async def _play(request: ChatRequest, reply: ChatReply, send: Send) -> None:
    """Sends a reply with its faults."""
    if not isinstance(reply, Reply):
        await send_reply(request, reply, send)
    elif reply.hang:
        await _forever()
    elif reply.body is not None:
        await send_body(send, reply.status, reply.content_type, reply.body, reply.headers)
    elif reply.status != 200:
        await asyncio.sleep(reply.delay)
        await send_json(send, reply.status, _error(reply), reply.headers)
    elif reply.unstreamed:
        await send_json(send, 200, _error(reply) if reply.stream_error else completion(request, reply))
    elif fault := _stream_fault(reply):
        await asyncio.sleep(reply.delay)
        await start_stream(send)
        chunks, count = StreamChunks.of(request, reply), _pieces_before_fault(reply)
        await send_pieces(send, [chunks.opening, *chunks.pieces[:count]], reply.piece_delay)
        await fault(send)
    else:
        await send_reply(request, reply, send)


async def _play_embeddings(
    request: EmbeddingRequest, outcome: Sequence[Sequence[float]] | EmbeddingFault, send: Send
) -> None:
    """Sends embeddings, with their faults."""
    fault = outcome if isinstance(outcome, EmbeddingFault) else EmbeddingFault()
    vectors = hashed_vectors(request) if isinstance(outcome, EmbeddingFault) else outcome
    if fault.hang:
        await _forever()
    if fault.status != 200:
        await send_json(send, fault.status, error_body(fault.message, kind="test_error"), fault.headers)
        return
    if fault.dimensions is not None:
        vectors = [[1.0] * fault.dimensions for _ in vectors]
    await send_json(send, 200, embeddings(request, vectors[: fault.count], "test"))


def _stream_fault(reply: Reply) -> Callable[[Send], Awaitable[None]] | None:
    """Returns the fault in the middle of a stream, if any."""

    async def hang(_send: Send) -> None:
        await _forever()

    async def cut(_send: Send) -> None:
        raise _Cut

    async def unfinished(send: Send) -> None:
        await send_bytes(send, b"", more=False)

    async def malformed(send: Send) -> None:
        await send_bytes(send, b'data: {"choices": [{"delta": \n\n', more=False)

    async def error(send: Send) -> None:
        await send_bytes(send, event(_error(reply)), more=False)

    faults = {
        hang: reply.hang_after is not None,
        cut: reply.cut_after is not None,
        unfinished: reply.unfinished,
        malformed: reply.malformed,
        error: reply.stream_error,
    }
    return next((fault for fault, wanted in faults.items() if wanted), None)


def _error(reply: Reply) -> dict[str, Any]:
    return error_body(reply.error_message, code=reply.error_code, kind=reply.error_type)


def _pieces_before_fault(reply: Reply) -> int | None:
    return reply.hang_after if reply.hang_after is not None else reply.cut_after


async def _forever() -> None:
    await asyncio.Event().wait()


async def _until(condition: Callable[[], bool], timeout: float, state: Callable[[], str]) -> None:
    """Waits until a condition holds, which another thread changes."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{state()} within {timeout:g} s")
        await asyncio.sleep(POLL_INTERVAL)
