"""Replies from chunks with any JSON in them."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.model_reply import ModelReply
from holdfast.models.reply import MalformedChunk, StreamedReply
from holdfast.models.request import Concessions, request_body
from holdfast.types import AgentSpec, Message
from tests.support.tiers import scaled

TEXTS = st.sampled_from(["", "a", "null", "[]", '{"a": 1}', '{"a": NaN}', '"{}"', "\ud83d", "\ude00", "stop", "é"])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS
ANY = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2))


def objects(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Objects with some of these fields, or anything else instead."""
    return st.fixed_dictionaries({}, optional=dict(fields)) | ANY


CALLS = objects(index=ANY, id=ANY, type=ANY, function=objects(name=ANY, arguments=ANY, strict=ANY), extra_content=ANY)
DELTAS = objects(
    role=ANY, content=ANY, refusal=ANY, tool_calls=st.lists(CALLS, max_size=3) | ANY, reasoning_content=ANY, details=ANY
)
CHOICES = objects(index=ANY, delta=DELTAS, message=DELTAS, finish_reason=ANY)
USAGE = objects(prompt_tokens=ANY, completion_tokens=ANY, prompt_tokens_details=ANY, cost=ANY)
CHUNKS = objects(model=ANY, usage=USAGE, choices=st.lists(CHOICES, max_size=2) | ANY)


def strict(text: str) -> Any:
    """Parses JSON as a provider in another language does, without NaN."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} in {text}")

    return json.loads(text, parse_constant=refuse)


@settings(max_examples=scaled(200, 5000), deadline=None)
@given(st.lists(CHUNKS, max_size=4))
def test_any_json_is_a_reply_or_malformed(chunks: list[Any]) -> None:
    """Whatever the provider sends is refused as malformed, or a reply that can be stored and sent back."""
    answer = StreamedReply("m", "call")
    for chunk in chunks:
        with suppress(MalformedChunk):
            assert isinstance(answer.add(chunk), str)
    answer.end()
    reply = answer.reply(1.0)
    stored = ModelReply.model_validate_json(reply.model_dump_json(exclude_unset=True))
    assert stored == reply
    message = Message(
        seq=2,
        role="assistant",
        content=stored.content,
        tool_calls=stored.tool_calls,
        provider_fields=stored.provider_fields,
    )
    body = request_body(AgentSpec(name="test"), [message], "m", Concessions())
    sent = strict(body.decode())["messages"][0]
    ids = [call["id"] for call in sent.get("tool_calls", [])]
    assert len(set(ids)) == len(ids)
    assert all(isinstance(strict(call["function"]["arguments"]), dict) for call in sent.get("tool_calls", []))
