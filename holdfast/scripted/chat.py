"""Chat completions for a server: requests, replies and their wire format, without I/O."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

from holdfast.scripted.api_request import ApiRequest
from holdfast.types import Usage

CHARS_PER_TOKEN = 4  # a common rule of thumb, for replies without usage
WORDS_PER_PIECE = 6
ARGUMENTS_PER_PIECE = 512  # characters

_PIECE = re.compile(rf"(?:\s*\S+){{1,{WORDS_PER_PIECE}}}|\s+")


class ChatRequest(ApiRequest):
    """A request for a chat completion."""

    @property
    def messages(self) -> list[Any]:
        """The messages, unchanged."""
        messages: list[Any] = self.body["messages"]
        return messages

    @property
    def streams(self) -> bool:
        """Whether the client requests a stream."""
        return bool(self.body.get("stream"))


@dataclass(frozen=True, slots=True)
class ChatToolCall:
    """A tool call in a reply."""

    name: str
    arguments: Mapping[str, Any] | str
    """Text is sent unchanged, even if it is malformed."""
    id: str | None = None
    """`None` derives the id from the call's position in the transcript."""

    @property
    def arguments_text(self) -> str:
        """The arguments as JSON text."""
        return self.arguments if isinstance(self.arguments, str) else json.dumps(self.arguments, ensure_ascii=False)


@dataclass(frozen=True)
class ChatReply:
    """A reply of the model."""

    text: str = ""
    _: KW_ONLY
    tool_calls: Sequence[ChatToolCall] = ()
    usage: Usage | None = None
    """`None` estimates it from the lengths of request and reply."""
    model: str | None = None
    """`None` means the requested model."""
    finish_reason: str | None = None
    """`None` means `stop`, or `tool_calls` if there are any."""
    delay: float = 0.0
    """Seconds before the first byte."""
    piece_delay: float = 0.0
    """Seconds between pieces of the stream."""


@dataclass(frozen=True, slots=True)
class StreamChunks:
    """A streamed reply, as server-sent events."""

    opening: bytes
    """The event with the role."""
    pieces: list[bytes]
    """The text and the tool calls."""
    closing: list[bytes]
    """The finish reason, the usage if requested, and the end marker."""

    def __iter__(self) -> Iterator[bytes]:
        yield self.opening
        yield from self.pieces
        yield from self.closing

    @classmethod
    def of(cls, request: ChatRequest, reply: ChatReply) -> StreamChunks:
        """Returns the chunks of a reply."""
        head = {**_head(request, reply), "object": "chat.completion.chunk"}

        def chunk(delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
            choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
            return event({**head, "choices": [choice]})

        pieces = [chunk({"content": piece}) for piece in text_pieces(reply.text)]
        for index, call in enumerate(_wire_calls(request, reply)):
            pieces += [chunk({"tool_calls": [delta]}) for delta in _call_deltas(index, call)]
        closing = [chunk({}, _finish_reason(reply))]
        if (request.body.get("stream_options") or {}).get("include_usage"):
            closing.append(event({**head, "choices": [], "usage": _wire_usage(request, reply)}))
        return cls(chunk({"role": "assistant", "content": ""}), pieces, [*closing, b"data: [DONE]\n\n"])


def completion(request: ChatRequest, reply: ChatReply) -> dict[str, Any]:
    """Returns the body of a reply that is not streamed."""
    message: dict[str, Any] = {"role": "assistant", "content": reply.text}
    if reply.tool_calls:
        message["tool_calls"] = _wire_calls(request, reply)
    choice = {"index": 0, "message": message, "finish_reason": _finish_reason(reply)}
    usage = _wire_usage(request, reply)
    return {**_head(request, reply), "object": "chat.completion", "choices": [choice], "usage": usage}


def text_pieces(text: str) -> list[str]:
    """Splits a text into pieces of a few words; joined, they equal the text."""
    return _PIECE.findall(text)


def event(data: object) -> bytes:
    """Returns a server-sent event."""
    return b"data: " + encode(data) + b"\n\n"


def encode(data: object) -> bytes:
    """Returns JSON in UTF-8; characters that UTF-8 cannot encode, such as lone surrogates, are escaped."""
    try:
        return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        return json.dumps(data, separators=(",", ":")).encode()


def _head(request: ChatRequest, reply: ChatReply) -> dict[str, Any]:
    model = reply.model or request.body.get("model") or "unnamed"
    return {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": model}


def _finish_reason(reply: ChatReply) -> str:
    return reply.finish_reason or ("tool_calls" if reply.tool_calls else "stop")


def _wire_calls(request: ChatRequest, reply: ChatReply) -> list[dict[str, Any]]:
    place = len(request.messages)  # makes ids unique within a run
    return [
        {
            "id": f"call_{place}_{number}" if call.id is None else call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments_text},
        }
        for number, call in enumerate(reply.tool_calls)
    ]


def _call_deltas(index: int, call: dict[str, Any]) -> list[dict[str, Any]]:
    arguments = call["function"]["arguments"]
    first = {**call, "index": index, "function": {"name": call["function"]["name"], "arguments": ""}}
    starts = range(0, len(arguments), ARGUMENTS_PER_PIECE)
    parts = [arguments[start : start + ARGUMENTS_PER_PIECE] for start in starts]
    return [first, *({"index": index, "function": {"arguments": part}} for part in parts)]


def _wire_usage(request: ChatRequest, reply: ChatReply) -> dict[str, Any]:
    usage = reply.usage or _estimated_usage(request, reply)
    wire = {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
    }
    return {**wire, "cost": usage.cost_usd} if usage.cost_usd else wire


def _estimated_usage(request: ChatRequest, reply: ChatReply) -> Usage:
    written = len(reply.text) + sum(len(call.name) + len(call.arguments_text) for call in reply.tool_calls)
    return Usage(input_tokens=request.size // CHARS_PER_TOKEN + 1, output_tokens=written // CHARS_PER_TOKEN + 1)


def error_body(message: str, *, code: str | None = None, kind: str = "invalid_request_error") -> dict[str, Any]:
    """Returns an error in OpenAI's format."""
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}
