"""The line that `run` and `watch` show while nothing happens."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from holdfast.cli.render.narrator import Narrator
from holdfast.cli.render.output import Output
from holdfast.cli.render.waiting import Waiting
from holdfast.events import Event, Notice, TextDelta
from holdfast.types import Entry, EntryKind, Message, ToolCall

THEN = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
LOOK, FIND = ToolCall(id="1", name="look"), ToolCall(id="2", name="find")


def entry(kind: EntryKind, message: Message | None = None, *, turn: int = 0) -> Entry:
    data = {"message": message.model_dump(mode="json")} if message else {}
    return Entry.chained("", seq=0, at=THEN, kind=kind, turn=turn, data=data)


ASKED = entry("message", Message(seq=1, role="user", content="hi"))
CALLED = entry("message", Message(seq=2, role="assistant", tool_calls=[LOOK, FIND]), turn=1)
LOOKED = entry("tool_result", Message(seq=3, role="tool", tool_call_id="1"), turn=1)
FOUND = entry("tool_result", Message(seq=4, role="tool", tool_call_id="2"), turn=1)
ANSWERED = entry("message", Message(seq=5, role="assistant", content="so"), turn=2)
ENDED = entry("finish", turn=2)


@dataclass(frozen=True)
class WaitCase:
    """Events, the seconds that have passed since, and the line that is shown."""

    name: str
    events: Sequence[Event]
    seconds: float
    line: str | None


WAITS = [
    WaitCase("nothing is known", [], 60, None),
    WaitCase("the model answers soon", [ASKED], 1.9, None),
    WaitCase("the model thinks", [ASKED], 12.7, "turn 1: waiting for the model, 12 s"),
    WaitCase("two tools run", [ASKED, CALLED], 3, "turn 1: running look, find, 3 s"),
    WaitCase("one tool runs", [ASKED, CALLED, LOOKED], 3, "turn 1: running find, 3 s"),
    WaitCase("the model reads", [ASKED, CALLED, LOOKED, FOUND], 95, "turn 2: waiting for the model, 1 min 35 s"),
    WaitCase("a notice changes nothing", [ASKED, Notice(text="x")], 5, "turn 1: waiting for the model, 5 s"),
    WaitCase("the answer is there", [ASKED, CALLED, LOOKED, FOUND, ANSWERED], 60, None),
    WaitCase("the run has ended", [ASKED, ENDED], 60, None),
    WaitCase("a clock that is behind", [ASKED], -60, None),
]


@pytest.mark.parametrize("case", WAITS, ids=lambda case: case.name)
def test_the_turn_and_the_seconds_are_shown(case: WaitCase) -> None:
    """While nothing happens, the turn, what the run waits for and the seconds are named."""
    waiting = Waiting()
    for event in case.events:
        waiting.hear(event)
    assert waiting.line(THEN + timedelta(seconds=case.seconds)) == case.line


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


def shown(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, events: Sequence[Event]) -> str:
    """What a narrator writes that shows what it waits for after each event."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stdout", stream)
    narrator = Narrator(Output())
    for event in events:
        narrator.show(event)
        narrator.show_waiting()
    narrator.end()
    return stream.getvalue()


def test_a_terminal_shows_it_until_something_else_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal the line is there until the next line, and is erased at the end; text within a line is kept."""
    written = shown(monkeypatch, Terminal(), [ASKED, TextDelta(turn=1, text="It is "), ANSWERED])
    assert written.count("waiting for the model") == 1
    before, _, after = written.partition("waiting for the model")
    assert before.count("\x1b[2K") == 1
    assert after.count("\x1b[2K") == 1
    assert after.index("\x1b[2K") < after.index("turn")


def test_a_pipe_shows_nothing_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a pipe or a file there is no such line, also if colors are forced."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    written = shown(monkeypatch, io.StringIO(), [ASKED, CALLED])
    assert "waiting" not in written
    assert "running" not in written
    assert "\x1b[2K" not in written
