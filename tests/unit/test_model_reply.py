"""Assembly of a reply from streamed chunks, with the deviations of real providers."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any

import pytest

from holdfast.models.reply import MalformedChunk, StreamedReply
from holdfast.types import Message, Usage


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
    CallsCase(
        "the name in each delta",
        [call(0, "a", "f", '{"x"'), call(0, "a", "f", ":1}"), call(0, "a", "f", "")],
        [("a", "f", '{"x":1}')],
    ),
    CallsCase(
        "the name in each delta, neither index nor id",
        [call(None, None, "f", '{"x"'), call(None, None, "f", ":1}"), call(None, None, "f", '{"x":2}')],
        [("call_7_0", "f", '{"x":1}'), ("call_7_1", "f", '{"x":2}')],
    ),
    CallsCase("the name in pieces", [call(0, "a", "get_", None), call(0, None, "it", "{}")], [("a", "get_it", "{}")]),
    CallsCase(
        "a new id in each delta", [call(0, "a", "f", '{"x"'), call(0, "b", None, ":1}")], [("a", "f", '{"x":1}')]
    ),
    CallsCase("arguments null", [call(0, "a", "f", "null")], [("a", "f", "{}")]),
    CallsCase("arguments an empty list", [call(0, "a", "f", "[]")], [("a", "f", "{}")]),
    CallsCase("arguments quoted twice", [call(0, "a", "f", '"{\\"x\\": 1}"')], [("a", "f", '{"x": 1}')]),
    CallsCase("arguments a list", [call(0, "a", "f", "[1]")], [("a", "f", "[1]")]),
]


@pytest.mark.parametrize("case", CALLS, ids=lambda case: case.name)
def test_tool_calls_are_told_apart(case: CallsCase) -> None:
    """Tool calls are kept apart, each with an id of its own."""
    reply = StreamedReply("m", "call_7")
    for part in case.parts:
        reply.add(delta(tool_calls=[part]))
    assert [(made.id, made.name, made.arguments) for made in reply.reply(0).tool_calls] == case.calls


@pytest.mark.parametrize(("own_index", "call_id"), [(True, "c{}"), (False, "c{}"), (False, None)])
def test_a_call_costs_the_same_after_thousands(own_index: bool, call_id: str | None) -> None:
    """Deltas are not compared with each call, which would take minutes here."""
    count = 20_000
    assembled = StreamedReply("m", "call_0")
    started = time.process_time()
    for n in range(count):
        assembled.add(delta(tool_calls=[call(n if own_index else 0, call_id and call_id.format(n), "f", "{}")]))
    assert len(assembled.reply(0.1).tool_calls) == count
    assert time.process_time() - started < 5


@pytest.mark.parametrize(("given", "text"), [(None, "{}"), ({"x": 1}, '{"x": 1}'), ([], "{}"), ({}, "{}")])
def test_arguments_that_are_no_text_are_taken(given: object, text: str) -> None:
    """A provider may send the arguments themselves instead of their JSON text."""
    reply = StreamedReply("m", "call")
    reply.add(delta(tool_calls=[{"id": "a", "function": {"name": "f", "arguments": given}}]))
    assert [made.arguments for made in reply.reply(0).tool_calls] == [text]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "ab"),
        ([{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "a"}], "a"),
        (["a", "b"], "ab"),
        ({"type": "text", "text": "a"}, "a"),
        ([], ""),
    ],
    ids=repr,
)
def test_content_in_parts_is_text(content: object, text: str) -> None:
    """Content in parts is the text of its text parts."""
    reply = StreamedReply("m", "call")
    assert reply.add(delta(content=content)) == text
    assert reply.reply(0).content == text


@dataclass(frozen=True)
class FieldsCase:
    """Deltas with fields that only their provider knows, and the fields that are kept."""

    name: str
    deltas: list[dict[str, Any]]
    kept: dict[str, Any]


FIELDS = [
    FieldsCase(
        "text in pieces",
        [{"reasoning_content": "I "}, {"reasoning_content": "think."}],
        {"reasoning_content": "I think."},
    ),
    FieldsCase("without a value", [{"reasoning_content": None, "audio": {"data": "x"}, "annotations": []}], {}),
    FieldsCase(
        "items by index",
        [
            {"reasoning_details": [{"type": "reasoning.text", "index": 0, "text": "a"}]},
            {"reasoning_details": [{"type": "reasoning.text", "index": 0, "text": "b", "signature": None}]},
            {"reasoning_details": [{"type": "reasoning.text", "index": 0, "signature": "s"}]},
            {"reasoning_details": [{"type": "reasoning.text", "index": 1, "text": "c"}]},
        ],
        {
            "reasoning_details": [
                {"type": "reasoning.text", "index": 0, "text": "ab", "signature": "s"},
                {"type": "reasoning.text", "index": 1, "text": "c"},
            ]
        },
    ),
    FieldsCase(
        "reasoning without an index",
        [
            {"thinking_blocks": [{"type": "thinking", "thinking": "a"}]},
            {"thinking_blocks": [{"type": "thinking", "thinking": "b", "signature": "s"}]},
            {"thinking_blocks": [{"type": "thinking", "thinking": "c"}]},
        ],
        {
            "thinking_blocks": [
                {"type": "thinking", "thinking": "ab", "signature": "s"},
                {"type": "thinking", "thinking": "c"},
            ]
        },
    ),
    FieldsCase(
        "what cannot be stored", [{"a": float("nan"), "b": 2**64, "c": [[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]}], {}
    ),
    FieldsCase("half characters", [{"note": "\ud83d"}, {"note": "\ude00 \ud83d"}], {"note": "😀 \ufffd"}),
]


@pytest.mark.parametrize("case", FIELDS, ids=lambda case: case.name)
def test_fields_of_the_provider_are_kept(case: FieldsCase) -> None:
    """Unknown fields of a message are assembled from their pieces, and sent back with it."""
    reply = StreamedReply("m", "call")
    for part in case.deltas:
        reply.add(delta(**part))
    assert reply.reply(0).provider_fields == case.kept
    message = Message(seq=2, role="assistant", content="yes", provider_fields=reply.reply(0).provider_fields)
    assert json.loads(message.chat_json) == {**case.kept, "role": "assistant", "content": "yes"}


def test_fields_of_a_call_are_kept() -> None:
    """Unknown fields of a call and of its function are sent back, however often they are repeated."""
    signed = {"extra_content": {"google": {"thought_signature": "AbC="}}, "index": 0}
    reply = StreamedReply("m", "call")
    reply.add(delta(tool_calls=[{**signed, "id": "a", "function": {"name": "f", "arguments": "", "strict": True}}]))
    reply.add(delta(tool_calls=[{**signed, "function": {"arguments": "{}"}}]))
    message = Message(seq=2, role="assistant", tool_calls=reply.reply(0).tool_calls)
    assert json.loads(message.chat_json)["tool_calls"] == [
        {
            "id": "a",
            "type": "function",
            "function": {"name": "f", "arguments": "{}", "strict": True},
            "extra_content": signed["extra_content"],
        }
    ]


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        ([1], Usage(requests=1, unpriced=1)),
        ("many", Usage(requests=1, unpriced=1)),
        ({"completion_tokens": 2**64 - 1, "prompt_tokens": 3}, Usage(requests=1, input_tokens=3, unpriced=1)),
        ({"completion_tokens": -1, "prompt_tokens": "12"}, Usage(requests=1, input_tokens=12, unpriced=1)),
        (
            {"completion_tokens": 1.0, "prompt_tokens": [], "prompt_tokens_details": 7},
            Usage(requests=1, output_tokens=1, unpriced=1),
        ),
        ({"cost": float("nan"), "completion_tokens": 2}, Usage(requests=1, output_tokens=2, unpriced=1)),
        ({"cost": {"total_cost": 0.5, "input_tokens_cost": 0.2}}, Usage(requests=1, cost_usd=0.5)),
        ({"cost": {"other": 1}}, Usage(requests=1, unpriced=1)),
        ({"cost": "0.25"}, Usage(requests=1, cost_usd=0.25)),
        ({"cost": 1e300}, Usage(requests=1, unpriced=1)),
        (
            {"prompt_tokens": 9, "prompt_cache_hit_tokens": 4},
            Usage(requests=1, input_tokens=9, cached_tokens=4, unpriced=1),
        ),
    ],
    ids=repr,
)
def test_usage_costs_no_answer(usage: object, counted: Usage) -> None:
    """Usage that is unreadable or impossible is not counted, the answer is kept, and a missing cost is unknown."""
    reply = StreamedReply("m", "call")
    reply.add(delta(content="yes"))
    reply.add({"choices": [], "usage": usage})
    assert (reply.reply(0).content, reply.reply(0).usage) == ("yes", counted)


@pytest.mark.parametrize(
    ("reported", "reason"),
    [
        ("stop", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("cancelled", "error"),
        ("malformed_function_call", "error"),
        ("tool_use", "tool_calls"),
        ("whatever", "whatever"),
        (7, "7"),
    ],
)
def test_finish_reasons_are_openais(reported: object, reason: str) -> None:
    """Each provider's finish reason has its meaning in OpenAI's terms."""
    reply = StreamedReply("m", "call")
    reply.add({"choices": [{"delta": {"content": "a"}, "finish_reason": reported}]})
    assert reply.finish_reason == reason


def test_characters_split_between_pieces_are_whole() -> None:
    """Characters that are split between chunks are restored."""
    reply = StreamedReply("m", "call")
    shown = [reply.add(delta(content=piece)) for piece in ("a\ud83d", "\ude00b", "c\ud83d")]
    assert shown == ["a", "😀b", "c"]
    assert reply.reply(0).content == "a😀bc\ufffd"


@pytest.mark.parametrize(
    "chunk",
    [None, "text", [1], {"choices": [1]}, {"choices": 3}, delta(content=5), delta(tool_calls=[5])],
    ids=repr,
)
def test_what_is_no_chunk_is_refused(chunk: object) -> None:
    """Malformed chunks raise an error that is handled."""
    with pytest.raises(MalformedChunk):
        StreamedReply("m", "call").add(chunk)


def test_unusual_but_valid_chunks_are_taken() -> None:
    """Empty chunks, further choices, refusals and whole messages are handled."""
    reply = StreamedReply("m", "call")
    reply.add({})
    reply.add({"choices": None, "usage": None})
    reply.add({"choices": [{"index": 1, "delta": {"content": "other"}}]})
    reply.add({"choices": [{"index": 0, "delta": {"refusal": "I will not."}, "finish_reason": "stop"}]})
    assert reply.reply(0).content == "I will not."
    assert StreamedReply("m", "call").add({"choices": [{"message": {"content": "whole"}}]}) == "whole"
