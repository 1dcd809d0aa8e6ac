"""The checkpoints of a log, and what going back to one leaves done."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

import pytest

from holdfast.checkpoints import checkpoints_of, effects_since, find_checkpoint, restore_point
from holdfast.errors import UsageError
from holdfast.types import AgentSpec, Entry, EntryKind, Message, ToolCall, ToolSpec

AT = datetime(2026, 1, 1, tzinfo=UTC)
SPEC = AgentSpec(
    name="tested",
    tools=[ToolSpec(name="look", activity="tool.look", read_only=True), ToolSpec(name="pay", activity="tool.pay")],
)


class Log:
    """A log that a test writes."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.turn = 0
        self.messages = 0
        self.add("start", agent=SPEC.model_dump(mode="json"), request={})
        self.say("user", "go")

    def add(self, kind: str, **data: Any) -> int:
        previous = self.entries[-1].digest if self.entries else ""
        seq, known = len(self.entries), cast("EntryKind", kind)
        self.entries.append(Entry.chained(previous, seq=seq, at=AT, kind=known, turn=self.turn, data=data))
        return seq

    def say(self, role: str, content: str, **fields: Any) -> int:
        message = Message.model_validate({"seq": self.messages, "role": role, "content": content, **fields})
        self.messages += 1
        return self.add("message", message=message.model_dump(mode="json", exclude_defaults=True))

    def reply(self, content: str, *calls: str, partial: bool = False) -> int:
        """A reply, which begins a turn; `calls` are names of tools, with ids like `3.pay`."""
        self.turn += 1
        made = [ToolCall(id=f"{self.turn}.{name}", name=name, arguments='{"euros": 5}') for name in calls]
        return self.say("assistant", content, tool_calls=made, partial=partial)

    def result(self, name: str, *, seconds: float = 0.1, error: bool = False) -> int:
        message = Message(seq=self.messages, role="tool", content="done", tool_call_id=f"{self.turn}.{name}")
        self.messages += 1
        data = {"tool": name, "seconds": seconds, "error": error}
        return self.add("tool_result", message=message.model_dump(mode="json", exclude_defaults=True), **data)


def test_each_turn_ends_with_a_checkpoint() -> None:
    """A turn ends with its last result, or with a whole reply that calls nothing."""
    log = Log()
    log.reply("", "look", "pay")
    log.result("pay")
    first = log.result("look")
    log.reply("I was ab", partial=True)
    second = log.reply("done")
    found = list(checkpoints_of(log.entries))
    assert [(each.id, each.turn, each.ref) for each in found] == [
        ("turn-1", 1, log.entries[first].ref),
        ("turn-3", 3, log.entries[second].ref),
    ]


def test_a_made_checkpoint_is_found_by_id_and_by_name() -> None:
    """The newest checkpoint of a name is meant, and a turn by its number."""
    log = Log()
    log.add("checkpoint", id="a", name="before", data={"step": 1})
    log.reply("", "pay")
    log.add("checkpoint", id="b", name="before", by="ann")
    end = log.result("pay")
    assert find_checkpoint(log.entries, "a", "r").data == {"step": 1}
    assert find_checkpoint(log.entries, "before", "r").id == "b"
    assert find_checkpoint(log.entries, "1", "r").ref.seq == end
    assert find_checkpoint(log.entries, "turn-1", "r").ref.seq == end
    with pytest.raises(UsageError, match=r"no checkpoint '7': it has turn-1, 'before'"):
        find_checkpoint(log.entries, "7", "r")
    with pytest.raises(UsageError, match="it has none yet"):
        find_checkpoint(log.entries[:2], "before", "r")


def test_the_state_at_a_point() -> None:
    """A point within a turn has open calls; one after an answer is answered."""
    log = Log()
    log.reply("paying", "look", "pay")
    log.result("look")
    log.add("checkpoint", id="mid", name="mid")
    log.result("pay")
    log.reply("It is paid.")
    log.add("restored", to=2)
    mid = restore_point(log.entries, "mid", "r")
    assert ([call.id for call in mid.open_calls], mid.answered, mid.turn, mid.output) == (["1.pay"], False, 1, "paying")
    turn = restore_point(log.entries, "turn-1", "r")
    assert (turn.open_calls, turn.answered, turn.turn) == ([], False, 1)
    answer = restore_point(log.entries, "turn-2", "r")
    assert (answer.open_calls, answer.answered, answer.turn, answer.output) == ([], True, 2, "It is paid.")


def test_results_after_a_restore_do_not_end_a_turn_again() -> None:
    """Calls that were open at the point get a result once more, which is no second end of their turn."""
    log = Log()
    log.reply("", "pay")
    log.add("checkpoint", id="mid", name="mid")
    log.result("pay")
    log.add("restored", to=3)
    log.result("pay", seconds=0)
    assert [each.id for each in checkpoints_of(log.entries)] == ["mid", "turn-1"]


def test_what_stays_done() -> None:
    """Calls that were made after the point count, unless their tool is read-only, also those of an earlier restore."""
    log = Log()
    log.reply("", "pay")
    point = log.result("pay")
    log.reply("", "look", "pay")
    log.result("look")
    log.result("pay", error=True)
    log.add("restored", to=point)
    log.reply("", "pay")
    log.result("pay", seconds=0)
    log.reply("", "pay")
    log.result("pay")
    found = effects_since(log.entries, point)
    assert [(effect.turn, effect.call.id, effect.failed) for effect in found] == [
        (2, "2.pay", True),
        (4, "4.pay", False),
    ]
