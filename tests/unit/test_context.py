"""The context of a model call, as a function of a run's entries."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.checkpoints import restore_point
from holdfast.context import CLEARED, SUMMARY, context_of, extend, in_force, open_calls, spans
from holdfast.errors import TranscriptUnavailable
from holdfast.types import AgentSpec, Context, Entry, EntryKind, Message, ToolCall

AT = datetime(2026, 1, 1, tzinfo=UTC)


class Log:
    """A log that a test writes."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.messages = 0
        self.add("start", agent=AgentSpec(name="tested").model_dump(mode="json"), request={})

    def add(self, kind: str, **data: Any) -> int:
        """Adds an entry, and returns its seq."""
        previous = self.entries[-1].digest if self.entries else ""
        seq = len(self.entries)
        self.entries.append(Entry.chained(previous, seq=seq, at=AT, kind=cast("EntryKind", kind), turn=0, data=data))
        return seq

    def say(self, role: str, content: str, *calls: str, **fields: Any) -> int:
        """Adds a message; `calls` are ids of calls."""
        asked = [ToolCall(id=call, name="look", arguments='{"at": 1}') for call in calls]
        message = Message.model_validate(
            {"seq": self.messages, "role": role, "content": content, "tool_calls": asked, **fields}
        )
        self.messages += 1
        return self.add("message", message=message.model_dump(mode="json", exclude_defaults=True))

    def answer(self, call: str, content: str) -> int:
        """Adds the result of a call."""
        message = Message(seq=self.messages, role="tool", content=content, tool_call_id=call)
        self.messages += 1
        return self.add("tool_result", message=message.model_dump(mode="json", exclude_defaults=True), tool="look")

    @property
    def context(self) -> Context:
        """The context of everything."""
        return context_of(self.entries)

    @property
    def said(self) -> list[str]:
        """The content of each message of the context."""
        return [message.content for message in self.context.messages]


def test_results_come_in_the_order_of_their_calls() -> None:
    """A result follows the reply that asked for it, in the order of the calls, whichever ended first."""
    log = Log()
    log.say("assistant", "first", "a", "b", "c")
    log.answer("c", "third")
    log.say("user", "a message that came while the tools ran")
    log.answer("a", "first")
    log.answer("b", "second")
    assert log.said == ["first", "first", "second", "third", "a message that came while the tools ran"]


def test_an_id_that_is_used_again_belongs_to_the_newest_reply() -> None:
    """Providers may use the id of a call again in a later turn, and a model twice in one reply."""
    log = Log()
    log.say("assistant", "one", "a")
    log.answer("a", "1")
    log.say("assistant", "two", "a", "a")
    log.answer("a", "2")
    assert [call.id for call in open_calls(log.context)] == ["a"]
    log.answer("a", "3")
    assert log.said == ["one", "1", "two", "2", "3"]
    assert open_calls(log.context) == []


def test_a_second_result_of_a_call_takes_the_place_of_the_first() -> None:
    """A provider never sees two results of one call."""
    log = Log()
    log.say("assistant", "asks", "a", "b")
    log.answer("a", "unknown")
    log.answer("b", "fine")
    log.answer("a", "it happened")
    assert log.said == ["asks", "it happened", "fine"]


def test_partial_replies() -> None:
    """A partial reply counts only if something other than a reply follows; an empty one never counts."""
    log = Log()
    log.say("user", "go")
    log.say("assistant", "I was ab", partial=True)
    assert log.said == ["go"]
    log.say("assistant", "I was about", partial=True)
    log.say("user", "stop")
    log.say("assistant", "", partial=True)
    log.say("user", "and now?")
    assert log.said == ["go", "I was about", "stop", "and now?"]
    log.say("assistant", "I will", partial=True)
    log.say("assistant", "I have done it")
    assert log.said[-2:] == ["and now?", "I have done it"]


def test_the_model_sees_edited_arguments_and_who_edited_them() -> None:
    """Arguments that a person edited replace those of the model, also where the transcript's message has been sent."""
    log = Log()
    seq = log.say("assistant", "pays", "a", "b")
    sent = log.context.messages[-1].chat_json
    log.add("wait_ended", id="a", outcome="approved", edited={"arguments": {"amount": 5}}, by="ann")
    log.add("wait_ended", id="b", outcome="approved", by="ann")
    log.answer("a", "paid")
    log.answer("b", "paid, too")
    reply, paid, other = log.context.messages
    assert [call.arguments for call in reply.tool_calls] == ['{"amount": 5}', '{"at": 1}']
    assert b"amount" in reply.chat_json
    assert b"amount" not in sent
    assert paid.content == "[ann edited the arguments of this call when they approved it]\npaid"
    assert other.content == "paid, too"
    original = log.entries[seq].message
    assert original is not None
    assert original.tool_calls[0].arguments == '{"at": 1}'


def test_a_restore_goes_back() -> None:
    """After a restore, what came after its point does not count; one to before an earlier restore counts again."""
    log = Log()
    log.say("user", "0")
    first = log.say("assistant", "1")
    second = log.say("user", "2")
    log.say("assistant", "3")
    log.add("restored", to=first)
    log.say("user", "4")
    assert log.said == ["0", "1", "4"]
    log.add("restored", to=second)
    log.say("assistant", "5")
    assert log.said == ["0", "1", "2", "5"]
    assert [entry.seq for entry in in_force(log.entries)] == [0, 1, 2, 3, 7, 8]


@pytest.mark.parametrize("to", [2, 3, 9, -1, None, "1"])
def test_a_restore_to_nowhere_is_refused(to: object) -> None:
    """A restore to an entry that does not exist before it makes the log unusable, instead of running for ever."""
    log = Log()
    log.say("user", "0")
    log.add("restored", to=to)
    with pytest.raises(TranscriptUnavailable, match="restores entry"):
        _ = log.context


def test_a_compaction_clears_and_summarizes() -> None:
    """Cleared results keep their place; a summary takes the place of the first message that it stands for."""
    log = Log()
    for content in ("system", "go"):
        log.say("user", content)
    log.say("assistant", "looks", "a")
    log.answer("a", "a long text")
    log.say("assistant", "looks again", "b")
    log.answer("b", "another text")
    log.add("compaction", cleared=[[3, 3]], summarized=[])
    assert log.said == ["system", "go", "looks", CLEARED, "looks again", "another text"]
    log.add("compaction", cleared=[], summarized=[[1, 3]], summary="they looked")
    assert log.said == ["system", f"{SUMMARY}they looked", "looks again", "another text"]
    log.add("compaction", cleared=[], summarized=[[1, 1], [4, 5]], summary="they looked twice")
    assert log.said == ["system", f"{SUMMARY}they looked twice"]


def test_spans() -> None:
    """Spans name numbers by first and last."""
    assert spans([]) == []
    assert spans([5, 3, 4, 9, 1]) == [[1, 1], [3, 5], [9, 9]]


@pytest.mark.parametrize("entries", [[], "without a definition"])
def test_a_log_without_a_definition_is_refused(entries: object) -> None:
    """A log that does not begin with a definition has no context."""
    log = Log()
    log.entries[0].data.clear()
    with pytest.raises(TranscriptUnavailable, match="no agent definition"):
        context_of(log.entries if entries else [])


IDS = st.sampled_from("abc")


@st.composite
def logs(draw: st.DrawFn) -> list[Entry]:
    """Any log, also one that no run would write."""
    log = Log()
    for number in range(draw(st.integers(0, 25))):
        match draw(
            st.sampled_from(["user", "assistant", "calls", "partial", "result", "edit", "compaction", "restored"])
        ):
            case "user":
                log.say("user", f"m{number}")
            case "assistant":
                log.say("assistant", f"m{number}")
            case "calls":
                log.say("assistant", f"m{number}", *draw(st.lists(IDS, min_size=1, max_size=4)))
            case "partial":
                log.say("assistant", draw(st.sampled_from(["", f"m{number}"])), partial=True)
            case "result":
                log.answer(draw(IDS), f"m{number}")
            case "edit":
                log.add("wait_ended", id=draw(IDS), outcome="approved", edited={"arguments": f"{{{number}}}"})
            case "compaction":
                seqs = st.sets(st.integers(0, max(log.messages, 1)))
                log.add("compaction", cleared=spans(draw(seqs)), summarized=spans(draw(seqs)), summary=f"s{number}")
            case "restored":
                log.add("restored", to=draw(st.integers(0, len(log.entries) - 1)))
    return log.entries


def incremental(entries: Sequence[Entry], cuts: Sequence[int]) -> Context:
    """The context, extended by pieces of the log; after a restore, from the whole log so far."""
    context, done = context_of(entries[:1]), 1
    for cut in [*cuts, len(entries)]:
        before = context.model_copy(update={"messages": list(context.messages)})
        extended = extend(context, entries[done:cut])
        assert context == before, "a context that was extended stays as it was"
        context = context_of(entries[:cut]) if extended is None else extended
        done = cut
    return context


@settings(derandomize=True, database=None, deadline=None, max_examples=300)
@given(logs(), st.data())
def test_the_incremental_context_is_the_one_from_scratch(entries: list[Entry], data: st.DataObject) -> None:
    """A context that was extended piece by piece is the one from the whole log, wherever it was cut."""
    cuts = sorted(data.draw(st.sets(st.integers(1, len(entries)), max_size=5)))
    assert incremental(entries, cuts) == context_of(entries)


@settings(derandomize=True, database=None, deadline=None, max_examples=300)
@given(logs())
def test_providers_accept_the_order(entries: list[Entry]) -> None:
    """Each result follows its reply, in the order of the calls; no partial reply is the last message."""
    messages = context_of(entries).messages
    ids: list[str | None] = []
    for message in messages:
        if message.role == "tool":
            assert message.tool_call_id in ids
            ids = ids[ids.index(message.tool_call_id) + 1 :]
        else:
            ids = [call.id for call in message.tool_calls]
    assert not messages or not messages[-1].partial


def test_what_a_guard_has_said_counts_with_its_message() -> None:
    """The model sees the text of a guard, also after the run went back to a point between the message and the guard."""
    log = Log()
    log.say("user", "Ada asks")
    between = log.add("checkpoint", id="c", name="c")
    log.add("guard", on="input", guard="g", message=0, content="somebody asks")
    log.say("assistant", "You fool.")
    log.add("guard", on="output", guard="g", message=1, blocked="rude")
    assert log.said == ["somebody asks", "[this message was blocked: rude]"]
    point = restore_point(log.entries, "c", "run")
    assert (point.ref.seq, point.output) == (between, "")
    log.add("restored", to=between, checkpoint="c")
    assert log.said == ["somebody asks"]
