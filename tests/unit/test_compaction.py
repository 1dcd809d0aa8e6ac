"""Compactions: what they take out of a context, and what they leave."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.activities.compaction import plan, summary_request
from holdfast.context import CLEARED, SUMMARY, compacted
from holdfast.estimates import message_size
from holdfast.messages import CompactionOrder
from holdfast.types import AgentSpec, Context, Message, ToolCall, ToolSpec

SPEC = AgentSpec(
    name="tested",
    model_settings={"temperature": 0.1, "tool_choice": "required", "response_format": {"type": "json_object"}},
    tools=[ToolSpec(name="look", activity="tool.look")],
)


class Conversation:
    """A context that a test writes."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.say("system", "Be brief.")

    def say(self, role: str, content: str, *calls: str, **fields: object) -> int:
        """Adds a message, and returns its seq."""
        asked = [ToolCall(id=call, name="look", arguments="{}") for call in calls]
        seq = len(self.messages)
        self.messages.append(
            Message.model_validate({"seq": seq, "role": role, "content": content, "tool_calls": asked, **fields})
        )
        return seq

    def turn(self, size: int, **fields: object) -> None:
        """Adds a turn with one call, and a result of this many characters."""
        call = f"call-{len(self.messages)}"
        self.say("assistant", "Looking.", call)
        self.say("tool", "x" * size, tool_call_id=call, **fields)

    @property
    def context(self) -> Context:
        return Context(spec=SPEC, messages=self.messages)

    def compacted(self, order: CompactionOrder, summary: str = "") -> list[Message]:
        """The messages after a compaction."""
        done = plan(self.context, order).settled(self.context, summary)
        return compacted(self.messages, done.model_dump() | ({"summary": summary} if summary else {}))


def chars(messages: list[Message]) -> int:
    return sum(map(message_size, messages))


def test_old_results_are_cleared_first() -> None:
    """If clearing old results is enough, nothing is summarized; the last turns keep theirs."""
    talk = Conversation()
    talk.say("user", "Find it.")
    for _ in range(10):
        talk.turn(4_000)
    order = CompactionOrder(tokens=10_000, window=12_000)
    cut = plan(talk.context, order)
    assert not cut.summarized
    after = talk.compacted(order)
    assert [message.content for message in after if message.role == "tool"] == [CLEARED] * 7 + ["x" * 4_000] * 3
    done = cut.settled(talk.context, "")
    assert done.tokens_before == 10_000
    assert 3_000 < done.tokens_after < 3_500
    assert [message.tool_calls for message in after] == [message.tool_calls for message in talk.messages]


def test_if_clearing_is_not_enough_the_rest_is_summarized() -> None:
    """Replies are summarized; the system prompt, the newest request, pins and the last turns stay."""
    talk = Conversation()
    talk.say("user", "An old request. " * 600)
    for _ in range(8):
        talk.say("assistant", "a long thought " * 200)
        talk.say("user", "go on")
    pinned = talk.say("user", "My name is Ann.", pinned=True)
    for _ in range(4):
        talk.say("assistant", "b long thought " * 200)
    talk.say("user", "What is my name?")
    order = CompactionOrder(tokens=9_000, window=10_000)
    done = plan(talk.context, order).settled(talk.context, "they talked")
    after = talk.compacted(order, "they talked")
    assert after[0].role == "system"
    assert after[1].content == f"{SUMMARY}they talked"
    assert talk.messages[pinned] in after
    assert after[-1].content == "What is my name?"
    assert after[-2] == talk.messages[-2]
    assert done.tokens_after < 0.5 * 10_000


def test_a_second_compaction_keeps_less() -> None:
    """A compaction that follows one without gain keeps fewer of the last turns."""
    talk = Conversation()
    talk.say("user", "Find it.")
    for _ in range(10):
        talk.turn(2_000)
    order = CompactionOrder(tokens=10_000, window=10_000)
    harder = order.model_copy(update={"harder": True})
    assert len(plan(talk.context, order).cleared) < len(plan(talk.context, harder).cleared)


def test_the_last_turn_and_the_newest_request_stay_whatever_their_size() -> None:
    """A result that has not been answered stays, although it alone exceeds the window."""
    talk = Conversation()
    talk.say("user", "Find it. " * 5_000)
    talk.turn(100_000)
    for order in (CompactionOrder(tokens=50_000, window=1_000, harder=True), CompactionOrder(tokens=0, asked=True)):
        cut = plan(talk.context, order)
        assert (cut.cleared, cut.summarized) == (frozenset(), frozenset())


def test_what_is_asked_for_is_done() -> None:
    """A person's order makes a summary of a context that is small, and names the focus."""
    talk = Conversation()
    talk.say("user", "Find it.")
    for _ in range(30):
        talk.turn(1_000)
    talk.say("user", "And now?")
    order = CompactionOrder(tokens=9_000, window=1_000_000)
    cut = plan(talk.context, order)
    assert (cut.cleared, cut.summarized) == (frozenset(), frozenset())
    order = order.model_copy(update={"asked": True, "focus": "the price"})
    cut = plan(talk.context, order)
    assert cut.summarized
    request = summary_request(talk.context, cut, order)
    assert "the price" in request.messages[-1].content
    assert request.spec.tools == []
    assert request.spec.model_settings == {"temperature": 0.1}


@pytest.mark.parametrize("part", [1.0, 0.5, 0.01])
def test_the_text_to_summarize_fits(part: float) -> None:
    """The request for the summary is smaller than the window, whatever the context is."""
    talk = Conversation()
    for number in range(300):
        talk.turn(number * 20)
    talk.say("user", "And now?")
    order = CompactionOrder(tokens=250_000, window=10_000)
    request = summary_request(talk.context, plan(talk.context, order), order, part=part)
    per_char = 250_000 / chars(talk.messages)
    assert chars(request.messages) * per_char < 10_000 * max(part, 0.15)


@st.composite
def conversations(draw: st.DrawFn) -> Conversation:
    """Conversations as runs have them: every call has its result."""
    talk = Conversation()
    for _ in range(draw(st.integers(1, 25))):
        fields = {"pinned": True} if draw(st.integers(0, 9)) == 0 else {}
        size = draw(st.sampled_from([1, 200, 3_000, 40_000]))
        match draw(st.sampled_from(["user", "assistant", "turn", "summary"])):
            case "turn":
                talk.turn(size, **fields)
            case "summary":
                talk.say("user", "s" * size, summary=True)
            case role:
                talk.say(role, "m" * size, **fields)
    return talk


@settings(derandomize=True, database=None, deadline=None, max_examples=300)
@given(
    conversations(),
    st.builds(
        CompactionOrder,
        tokens=st.integers(0, 100_000),
        window=st.none() | st.integers(100, 100_000),
        asked=st.booleans(),
        harder=st.booleans(),
    ),
)
def test_what_must_stay_stays(talk: Conversation, order: CompactionOrder) -> None:
    """The system prompt, pins, the newest request, and the last reply with all after it stay; calls have results."""
    cut = plan(talk.context, order)
    after = talk.compacted(order, "s" if cut.summarized else "")
    assert after[0] == talk.messages[0]
    assert [message for message in talk.messages if message.pinned and message not in after] == []
    requests = [message for message in talk.messages if message.role == "user" and not message.summary]
    assert not requests or requests[-1] in after
    replies = [message.seq for message in talk.messages if message.role == "assistant"]
    if replies:
        last = talk.messages[replies[-1] :]
        assert after[-len(last) :] == last
    assert [message.tool_call_id for message in after if message.role == "tool"] == [
        call.id for message in after for call in message.tool_calls
    ]
    assert chars(after) <= chars(talk.messages)
    assert cut.settled(talk.context, "s" if cut.summarized else "").tokens_after <= cut.tokens_before
