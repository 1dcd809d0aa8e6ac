"""Cassettes as files and as answers, and what of a run's log becomes one."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from holdfast.chat_requests import normalised
from holdfast.errors import UsageError
from holdfast.scripted.cassette import Cassette, Interaction, RecordedReply
from holdfast.scripted.chat import ChatRequest
from holdfast.scripted.recording import recording_of
from holdfast.scripted.server import BadRequest
from holdfast.types import Entry


def request(text: str, **fields: Any) -> ChatRequest:
    """A request with one message."""
    return ChatRequest({"messages": [{"role": "user", "content": text}], **fields}, 0, {})


def interaction(text: str, reply: str) -> Interaction:
    """A recorded call."""
    return Interaction(request=normalised(request(text).body), reply=RecordedReply(content=reply))


def test_equal_requests_get_their_replies_in_order() -> None:
    """A request that was recorded twice gets both replies, then the last one again, as calls may be repeated."""
    cassette = Cassette([interaction("Hello", "one"), interaction("Bye", "bye"), interaction("Hello", "two")])
    assert [cassette.respond(request("Hello")).text for _ in range(3)] == ["one", "two", "two"]
    with pytest.raises(AssertionError, match="nothing has asked for line 2"):
        cassette.assert_complete()
    cassette.respond(request("Bye"))
    cassette.assert_complete()


def test_settings_and_ids_do_not_count() -> None:
    """Requests are equal that differ in settings, ids of calls, fields of a provider, or the default model."""
    call = {"id": "call_9", "type": "function", "function": {"name": "look", "arguments": '{"b": 1, "a": 2}'}}
    first = [{"role": "assistant", "content": None, "tool_calls": [call], "reasoning_content": "Hm."}]
    second = [{"role": "assistant", "content": "", "tool_calls": [{**call, "id": "x"}]}]
    for messages, answered in ((first, "call_9"), (second, "x")):
        messages.append({"role": "tool", "content": "3", "tool_call_id": answered})
    one = normalised({"model": "m", "messages": first, "temperature": 1}, "m")
    assert one == normalised({"messages": second, "stream": True})
    assert one != normalised({"model": "m", "messages": first})


def test_what_is_no_cassette_is_refused(tmp_path: Path) -> None:
    """A file that is missing, or is something else, is named; an empty one has nothing to compare with."""
    with pytest.raises(UsageError, match=r"no\.jsonl' cannot be read"):
        Cassette.load(tmp_path / "no.jsonl")
    wrong = tmp_path / "wrong.jsonl"
    wrong.write_text('{"request": 1}\n')
    with pytest.raises(UsageError, match="is not a cassette"):
        Cassette.load(wrong)
    wrong.write_text("\n")
    with pytest.raises(BadRequest, match=r"wrong\.jsonl has no recorded request"):
        Cassette.load(wrong).respond(request("Hello"))


def log_of(*items: tuple[str, dict[str, Any]], **start: Any) -> list[Entry]:
    """A log: entry 0 with an agent, and these entries."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    everything = [("start", {"agent": {"name": "clerk", "system_prompt": "Hi."}, **start}), *items]
    return [
        Entry(seq=seq, at=at, kind=kind, turn=0, data=data, digest="") for seq, (kind, data) in enumerate(everything)
    ]


def said(seq: int, role: str, content: str, **fields: Any) -> tuple[str, dict[str, Any]]:
    """An entry with a message."""
    return "message", {"message": {"seq": seq, "role": role, "content": content, **fields}}


def test_what_of_a_log_is_recorded() -> None:
    """Complete replies are recorded with the context before each; interrupted ones and summaries are counted."""
    log = log_of(
        said(0, "user", "Hello"),
        said(1, "assistant", "Hel", partial=True),
        said(2, "user", "Again"),
        said(3, "assistant", "Hello!"),
        ("compaction", {"summarized": [[0, 3]], "summary": "They greeted."}),
        said(4, "user", "Bye"),
        said(5, "assistant", "Bye!"),
    )
    found = recording_of(log)
    assert (found.interrupted, found.summaries) == (1, 1)
    asked = [[message["content"] for message in each.request["messages"]] for each in found.interactions]
    assert asked[0] == ["Hello", "Hel", "Again"]
    assert "They greeted." in asked[1][0]
    assert asked[1][1:] == ["Bye"]
    assert [each.reply.content for each in found.interactions] == ["Hello!", "Bye!"]


def test_what_a_fork_has_copied_is_not_recorded() -> None:
    """The calls that a fork has copied from its origin belong to that run."""
    log = log_of(
        said(0, "user", "Hello"),
        said(1, "assistant", "Hello!"),
        said(2, "user", "Bye"),
        said(3, "assistant", "Bye!"),
        forked={"run": "clerk-1", "seq": 2, "digest": ""},
    )
    assert [each.reply.content for each in recording_of(log).interactions] == ["Bye!"]
