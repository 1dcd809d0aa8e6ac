"""Assembly of a reply from streamed chunks, with the deviations of real providers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from holdfast.models.wire import MalformedChunk, StreamedReply


def delta(**fields: Any) -> dict[str, Any]:
    """A chunk with one delta."""
    return {"choices": [{"index": 0, "delta": fields}]}


def call(index: int | None, call_id: str | None, name: str | None, arguments: str | None) -> dict[str, Any]:
    """A part of a tool call."""
    return {"index": index, "id": call_id, "function": {"name": name, "arguments": arguments}}


@dataclass(frozen=True)
class CallsCase:
    """Chunks with parts of tool calls, and the calls (id, name, arguments) that they make."""

    name: str
    parts: list[dict[str, Any]]
    calls: list[tuple[str, str, str]] = field(default_factory=list)


CALLS = [
    CallsCase(
        "by index",
        [call(0, "a", "f", ""), call(1, "b", "g", ""), call(1, None, None, "{}"), call(0, "", None, '{"x":1}')],
        [("a", "f", '{"x":1}'), ("b", "g", "{}")],
    ),
    CallsCase(
        "one index for all", [call(0, "a", "f", "{}"), call(0, "b", "g", "{}")], [("a", "f", "{}"), ("b", "g", "{}")]
    ),
    CallsCase(
        "no index",
        [call(None, "a", "f", '{"x"'), call(None, None, None, ":1}"), call(None, "b", "g", "{}")],
        [("a", "f", '{"x":1}'), ("b", "g", "{}")],
    ),
    CallsCase(
        "no ids",
        [call(0, None, "f", "{}"), call(1, None, "f", "{}")],
        [("call_7_0", "f", "{}"), ("call_7_1", "f", "{}")],
    ),
    CallsCase(
        "one id twice", [call(0, "a", "f", "{}"), call(1, "a", "g", "{}")], [("a", "f", "{}"), ("call_7_1", "g", "{}")]
    ),
    CallsCase("no arguments", [call(0, "a", "f", None)], [("a", "f", "{}")]),
]


@pytest.mark.parametrize("case", CALLS, ids=lambda case: case.name)
def test_tool_calls_are_told_apart(case: CallsCase) -> None:
    """Tool calls are kept apart, each with an id of its own."""
    reply = StreamedReply("m", "call_7")
    for part in case.parts:
        reply.add(delta(tool_calls=[part]))
    assert [(made.id, made.name, made.arguments) for made in reply.reply(0).tool_calls] == case.calls


def test_characters_split_between_pieces_are_whole() -> None:
    """Characters that are split between chunks are restored."""
    reply = StreamedReply("m", "call")
    shown = [reply.add(delta(content=piece)) for piece in ("a\ud83d", "\ude00b", "c\ud83d")]
    assert shown == ["a", "😀b", "c"]
    assert reply.reply(0).content == "a😀bc\ufffd"


@pytest.mark.parametrize(
    "chunk",
    [None, "text", [1], {"choices": [1]}, {"choices": 3}, delta(content=5), delta(tool_calls=[5]), {"usage": [1]}],
    ids=repr,
)
def test_what_is_no_chunk_is_refused(chunk: object) -> None:
    """Malformed chunks raise an error that is handled."""
    with pytest.raises(MalformedChunk):
        StreamedReply("m", "call").add(chunk)


def test_odd_but_valid_chunks_are_taken() -> None:
    """Empty chunks, further choices, refusals and whole messages are handled."""
    reply = StreamedReply("m", "call")
    reply.add({})
    reply.add({"choices": None, "usage": None})
    reply.add({"choices": [{"index": 1, "delta": {"content": "other"}}]})
    reply.add({"choices": [{"index": 0, "delta": {"refusal": "I will not."}, "finish_reason": "stop"}]})
    assert reply.reply(0).content == "I will not."
    assert StreamedReply("m", "call").add({"choices": [{"message": {"content": "whole"}}]}) == "whole"
