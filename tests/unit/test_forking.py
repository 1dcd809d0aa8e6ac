"""Points of a log, the prefix up to one, and its edits."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from holdfast.errors import UsageError
from holdfast.forking import Prefix, check_prefix, edited_results, point_of
from holdfast.types import Entry, ForkedFrom
from holdfast.workflows.run.log import Log

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def calling(*ids: str) -> list[dict[str, str]]:
    """Tool calls with these ids."""
    return [{"id": call, "name": "look"} for call in ids]


def add(log: Log, turn: int, kind: str = "message", /, **message: Any) -> None:
    """Adds a message."""
    facts = {"tool": "look", "error": True} if kind == "tool_result" else {}
    log.append(kind, at=NOW, turn=turn, data={"message": {"seq": log.next_message, **message}, **facts})


@pytest.fixture
def log() -> Log:
    """Two turns with the same id of a call, a checkpoint, a wait, then a call without a result."""
    log = Log()
    log.append("start", at=NOW, turn=0, data={"agent": {"name": "scout"}, "request": {}})
    add(log, 0, role="system", content="You scout.")
    add(log, 0, role="user", content="Scout.")
    for turn in (1, 2):
        add(log, turn, role="assistant", tool_calls=calling("c", f"d{turn}"))
        add(log, turn, "tool_result", role="tool", content="nothing", tool_call_id="c")
        add(log, turn, "tool_result", role="tool", content="nothing", tool_call_id=f"d{turn}")
    log.append("checkpoint", at=NOW, turn=2, data={"id": "mark-9", "name": "before the hut"})
    add(log, 3, role="assistant", tool_calls=calling("e", "f"))
    log.append("wait", at=NOW, turn=3, data={"wait": {"id": "w1", "kind": "approval"}})
    log.append("wait", at=NOW, turn=3, data={"wait": {"id": "w2", "kind": "approval"}})
    log.append("wait_ended", at=NOW, turn=3, data={"id": "w1", "outcome": "approved"})
    add(log, 3, "tool_result", role="tool", content="a hut", tool_call_id="f")
    return log


def prefix(log: Log, upto: int) -> Prefix:
    """The log up to an entry."""
    entries = log.after(-1)[: upto + 1]
    return Prefix(ForkedFrom(run="r", seq=upto, digest=entries[-1].digest, turn=entries[-1].turn), entries)


@pytest.mark.parametrize(
    ("at", "seq"),
    [
        ("0", 2),
        ("turn-0", 2),
        ("1", 5),
        ("turn-2", 8),
        ("3", 14),
        ("message-2", 3),
        ("m0", 1),
        ("before the hut", 9),
        ("mark-9", 9),
        (None, 14),
    ],
)
def test_points(log: Log, at: str | None, seq: int) -> None:
    """Turns end with their last result; messages and checkpoints are single entries; everything is the default."""
    assert point_of(log.after(-1), at, "r") == seq


@pytest.mark.parametrize("at", ["4", "message-99", "after the hut", "-1", "turn-x", "", " 1"])
def test_points_that_do_not_exist(log: Log, at: str) -> None:
    """The message names the run and what it has."""
    with pytest.raises(UsageError, match="run 'r' has no"):
        point_of(log.after(-1), at, "r")
    with pytest.raises(UsageError, match="has recorded nothing yet"):
        point_of([], at, "r")


def test_the_end_of_a_run_is_not_copied(log: Log) -> None:
    """The entry with the result of a run is its own."""
    log.append("finish", at=NOW, turn=3, data={"result": {}})
    assert point_of(log.after(-1), None, "r") == 14


def test_a_turn_that_was_restored_away_is_not_meant(log: Log) -> None:
    """If a turn was taken twice, the one that counts is copied."""
    log.append("restored", at=NOW, turn=1, data={"to": 5})
    add(log, 2, role="assistant", content="Nothing.")
    assert point_of(log.after(-1), "2", "r") == 16
    with pytest.raises(UsageError):
        point_of(log.after(-1), "3", "r")


def test_a_log_that_went_back(log: Log) -> None:
    """Until something is said, the newest message is one that does not count."""
    log.append("restored", at=NOW, turn=3, data={"to": 3})
    gone_back = prefix(log, 15)
    assert (gone_back.is_restored, gone_back.answer, gone_back.turn_of_calls) == (True, None, 1)
    assert [call.id for call in gone_back.open_calls()] == ["c", "d1"]
    add(log, 4, role="assistant", content="Nothing.")
    said = prefix(log, 16)
    assert (said.is_restored, said.answer and said.answer.content, said.turn_of_calls) == (False, "Nothing.", 4)


def test_what_is_open_at_the_point(log: Log) -> None:
    """Calls without a result, and waits that have not ended."""
    assert [call.id for call in prefix(log, 14).open_calls()] == ["e"]
    assert [entry.data["wait"]["id"] for entry in prefix(log, 14).open_waits()] == ["w2"]
    assert [call.id for call in prefix(log, 3).open_calls()] == ["c", "d1"]
    assert prefix(log, 8).open_calls() == []


def test_edits(log: Log) -> None:
    """The copies have the new prompt and results, and everything else as it was; the original is not changed."""
    before = [entry.model_copy(deep=True) for entry in log.after(-1)]
    copied = list(prefix(log, 14).copies("You paint.", {"2/c": "a lake", "d1": ""}))
    changed = {entry.seq: data for entry, data in copied if data != entry.data}
    assert {seq: data["message"]["content"] for seq, data in changed.items()} == {1: "You paint.", 5: "", 7: "a lake"}
    assert (changed[7]["error"], changed[7]["tool"]) == (False, "look")
    assert [entry.seq for entry, _ in copied] == list(range(1, 15))
    assert log.after(-1) == before


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("c", "several turns have a call 'c'; name one of 1/c, 2/c"),
        ("e", "no call 'e' has a result before the point: the calls with a result are 1/c \\(look\\), 1/d1"),
        ("3/c", "no call '3/c'"),
    ],
)
def test_results_that_cannot_be_edited(log: Log, reference: str, said: str) -> None:
    """The message says which calls there are."""
    with pytest.raises(UsageError, match=said):
        edited_results(log.after(-1), {reference: "x"})


def test_a_prefix_from_which_a_run_cannot_continue(log: Log) -> None:
    """It needs an input, and something to answer; a session may wait for the next message."""
    entries = log.after(-1)
    with pytest.raises(UsageError, match="before the input"):
        check_prefix(entries[:2], has_message=True, session=False)
    check_prefix(entries[:3], has_message=False, session=False)
    check_prefix(entries, has_message=False, session=False)
    add(log, 4, role="assistant", content="Nothing.")
    with pytest.raises(UsageError, match="would end at once"):
        check_prefix(log.after(-1), has_message=False, session=False)
    check_prefix(log.after(-1), has_message=True, session=False)
    check_prefix(log.after(-1), has_message=False, session=True)


def test_a_partial_answer_is_made_again(log: Log) -> None:
    """The reply of a run that was cancelled does not count, so its fork calls the model again."""
    before: list[Entry] = log.after(-1)
    add(log, 4, role="assistant", content="Noth", partial=True)
    check_prefix(log.after(-1), has_message=False, session=False)
    assert prefix(log, 15).open_calls() == prefix(log, len(before) - 1).open_calls()
