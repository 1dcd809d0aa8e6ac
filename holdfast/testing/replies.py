"""Replies of a model server for tests: what the model says, which tools it calls, and how its provider fails."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Self

from holdfast.scripted.chat import ChatReply, ChatToolCall

SHOWN_CHARS = 200  # of a text in a message about a script


@dataclass(frozen=True, kw_only=True)
class Reply(ChatReply):
    """A reply of the model, or a failure of the provider.

    The faults that come after some `pieces` need a streamed request; a piece is some words of the text, or a
    part of a tool call.
    """

    hang: bool = False
    """Sends nothing, not even headers, for as long as the client waits."""
    hang_after: int | None = None
    """Sends this many pieces, then nothing for as long as the client waits."""
    cut_after: int | None = None
    """Sends this many pieces, then closes the connection."""
    unfinished: bool = False
    """Sends its pieces, then ends the response normally, but without a finish reason."""
    malformed: bool = False
    """Sends its pieces, then an event that is not JSON."""
    stream_error: bool = False
    """Sends its pieces, then an event with `error_message`, `error_type` and `error_code`."""
    unstreamed: bool = False
    """Sends one JSON object although a stream was requested, as some gateways do; with `stream_error`, an error."""
    body: bytes | None = None
    """Sends these bytes, as `content_type`, instead of a reply or an error."""
    content_type: str = "text/event-stream"
    """Content type of `body`."""
    status: int = 200
    """A status other than 200 sends `error_message` instead of a reply."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers of an error, such as `Retry-After`."""
    error_message: str = "the test requested this error"
    error_code: str | None = None
    error_type: str = "test_error"

    @classmethod
    def error(cls, status: int, message: str = "the test requested this error", **fields: Any) -> Self:
        """Returns an error response; `fields` are those of the class."""
        return cls(status=status, error_message=message, **fields)

    @classmethod
    def overflow(cls) -> Self:
        """Returns the error that providers send if the context is too large."""
        message = "This model's maximum context length is 8192 tokens, but the messages resulted in 9000 tokens."
        return cls.error(400, message, error_code="context_length_exceeded", error_type="invalid_request_error")


@dataclass(frozen=True, kw_only=True)
class EmbeddingFault:
    """A failure of a provider in response to a request for embeddings."""

    status: int = 200
    """A status other than 200 sends `message` instead of embeddings."""
    message: str = "the test requested this error"
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers of an error, such as `Retry-After`."""
    dimensions: int | None = None
    """Sends vectors with this many dimensions, regardless of the request."""
    count: int | None = None
    """Sends at most this many vectors."""
    hang: bool = False
    """Sends nothing for as long as the client waits."""


REPLY_FIELDS = frozenset(each.name for each in fields(Reply)) - {"tool_calls"}


def say(text: str, **fields: Any) -> Reply:
    """Returns a reply with a text; `fields` are those of `Reply`."""
    return Reply(text, **fields)


def call_tools(*calls: tuple[str, Mapping[str, Any] | str], text: str = "", **named: Any) -> Reply:
    """Returns a reply that calls tools.

        call_tools(order={"article": "rope"}, mail={"to": "ada"})
        call_tools(("order", {"article": "rope"}), ("order", {"article": "anchor"}))

    Args:
        calls: names of tools with their arguments, for a tool that is called twice; arguments that are text are sent
            unchanged, even if they are malformed.
        text: what the model says beside the calls.
        named: arguments by the name of a tool. The fields of `Reply` have precedence: a tool that is named as one of
            them is passed among `calls`.
    """
    settings = {name: value for name, value in named.items() if name in REPLY_FIELDS}
    pairs = [*calls, *((name, arguments) for name, arguments in named.items() if name not in REPLY_FIELDS)]
    return Reply(text, tool_calls=[ChatToolCall(name, arguments) for name, arguments in pairs], **settings)


def described(reply: ChatReply) -> str:
    """Returns a reply as a test would write it."""
    if isinstance(reply, Reply) and reply.status != 200:
        return f"Reply.error({reply.status}, {shortened(reply.error_message)})"
    if not reply.tool_calls:
        return f"say({shortened(reply.text)})"
    calls = [f"{call.name}={_arguments(call.arguments_text)}" for call in reply.tool_calls]
    return f"call_tools({', '.join(calls)})"


def last_message(messages: Sequence[Mapping[str, Any]]) -> str:
    """Returns the newest message of a request, in short."""
    newest = messages[-1] if messages else {}
    content = newest.get("content")
    return f"{newest.get('role', 'nobody')}: {shortened(content if isinstance(content, str) else json.dumps(content))}"


def shortened(text: str) -> str:
    """Returns a text in quotes, cut if it is long."""
    return repr(text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}…")


def _arguments(text: str) -> str:
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}…"
