"""Chunks of a chat completion, read from an HTTP response."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import suppress
from typing import Any, Protocol

import httpx2
import openai

from holdfast.models.event_stream import EventDecoder

OPENING_BYTES = 200  # of a response that is not a chat completion, quoted to show what it is
DRAIN_TIME = 0.1  # seconds to wait for the end of a response that is complete, so that its connection can be used again
DONE = b"[DONE]"


class Response(Protocol):
    """What is read of an HTTP response."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Its headers."""
        ...

    @property
    def request(self) -> httpx2.Request:
        """The request."""
        ...

    def aiter_bytes(self) -> AsyncIterator[bytes]:
        """Yields the pieces of the body."""
        ...


class CompletionChunks:
    """The chunks of one response: server-sent events, or the one JSON object that some gateways send instead.

    Args:
        response: an open response.

    Attributes:
        is_done: whether the provider has marked the end.
        opening: the first bytes of the body.
    """

    def __init__(self, response: Response) -> None:
        self.is_done = False
        self.opening = b""
        self._response = response

    async def read(self) -> AsyncGenerator[Any]:
        """Yields the chunks.

        Raises:
            openai.APIError: the provider reports an error.
            ValueError: a chunk is not JSON.
            RecursionError: its JSON is nested too deep.
        """
        pieces = self._response.aiter_bytes()
        first = await self._first(pieces)
        is_json = first.lstrip().startswith((b"{", b"["))  # content types are not reliable
        async for data in self._body(first, pieces) if is_json else self._events(first, pieces):
            for chunk in _loads(data):
                if error := _error_in(chunk):
                    raise openai.APIError("error in the body", self._response.request, body=error)
                yield chunk
        if self.is_done:
            await _drain(pieces)

    @property
    def description(self) -> str:
        """The content type and the first bytes, for a message about a body that is not a chat completion."""
        kind = self._response.headers.get("content-type", "none")
        text = " ".join(self.opening.decode(errors="replace").split())
        return f"content type {kind!r}; it begins {text!r}" if text else f"content type {kind!r}; the body is empty"

    async def _first(self, pieces: AsyncIterator[bytes]) -> bytes:
        """Returns the beginning of the body, up to something that is not blank."""
        first = b""
        async for piece in pieces:
            first += self._seen(piece)
            if not first.isspace():
                break
        return first

    async def _body(self, first: bytes, pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
        body = b"".join([first, *[self._seen(piece) async for piece in pieces]])
        self.is_done = True
        yield body

    async def _events(self, first: bytes, pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
        decoder = EventDecoder()
        events = decoder.feed(first)
        while True:
            for data in events:
                if data.startswith(DONE):
                    self.is_done = True
                    return
                yield data
            if (piece := await anext(pieces, None)) is None:
                break
            events = decoder.feed(self._seen(piece))
        for data in decoder.end():
            if data.startswith(DONE):
                self.is_done = True
            else:
                yield data

    def _seen(self, piece: bytes) -> bytes:
        if len(self.opening) < OPENING_BYTES:
            self.opening += piece[: OPENING_BYTES - len(self.opening)]
        return piece


async def _drain(pieces: AsyncIterator[bytes]) -> None:
    with suppress(TimeoutError, httpx2.HTTPError):
        async with asyncio.timeout(DRAIN_TIME):
            async for _ in pieces:
                pass


def _loads(data: bytes) -> list[Any]:
    """Parses the data of an event; some servers leave out the empty line between two events."""
    try:
        return [json.loads(data)]
    except ValueError:
        if b"\n" not in data:
            raise
        return [json.loads(line) for line in data.split(b"\n") if line.strip() and not line.startswith(DONE)]


def _error_in(chunk: Any) -> Any:
    """Returns the error that a chunk reports, wherever it does so; `None` if it reports none."""
    if not isinstance(chunk, dict):
        return None
    if error := chunk.get("error"):
        return error
    if chunk.get("object") == "error":
        return chunk
    choices = chunk.get("choices")
    found = [choice.get("error") for choice in choices if isinstance(choice, dict)] if isinstance(choices, list) else []
    return next(filter(None, found), None)
