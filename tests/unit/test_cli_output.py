"""Output of commands: to pipes, at 80 columns, as JSON."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from rich.cells import cell_len

from holdfast.cli.render.narrator import Narrator
from holdfast.cli.render.output import Output
from holdfast.cli.render.run_list import show_runs
from holdfast.cli.render.run_page import LogSummary, describe, lasted, show_page
from holdfast.cli.render.table import Column, show_table
from holdfast.client.listed_run import ListedRun
from holdfast.events import Event, Notice, TextDelta
from holdfast.progress import RunProgress
from holdfast.types import Entry, EntryKind, Message, RunError, RunStatus, ToolCall, Usage

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
CALL = ToolCall(id="c1", name="read_file", arguments='{"path": "notes.md"}')
OTHER = ToolCall(id="c2", name="read_file", arguments='{"path": "other.md"}')


pytestmark = pytest.mark.usefixtures("narrow_pipe")


def entry(kind: EntryKind, message: Message | None = None, *, seq: int = 0, turn: int = 1, **data: object) -> Entry:
    if message:
        data["message"] = message.model_dump(mode="json")
    return Entry.chained("", seq=seq, at=NOW, kind=kind, turn=turn, data=data)


def assistant(text: str, *calls: ToolCall, turn: int = 1, partial: bool = False) -> Entry:
    message = Message(seq=2, role="assistant", content=text, tool_calls=list(calls), partial=partial)
    return entry("message", message, turn=turn)


def tool_result(call: ToolCall, text: str, *, error: bool = False) -> Entry:
    message = Message(seq=3, role="tool", content=text, tool_call_id=call.id)
    return entry("tool_result", message, tool=call.name, error=error, seconds=0.25)


def told(capsys: pytest.CaptureFixture[str], events: Sequence[Event], *, notices_only: bool = False) -> str:
    narrator = Narrator(Output(), notices_only=notices_only)
    for event in events:
        narrator.show(event)
    narrator.end()
    return capsys.readouterr().out


def test_narrator_shows_a_turn(capsys: pytest.CaptureFixture[str]) -> None:
    """A turn is shown with its text, calls, arguments and results."""
    shown = told(capsys, [assistant("I look.", CALL), tool_result(CALL, "1\n2\n3\n4\n5")])
    assert shown.splitlines() == [
        "turn 1",
        "  I look.",
        "  → read_file(path=notes.md)",
        "  ← read_file 0.2 s",
        "      1",
        "      2",
        "      3",
        "      … 2 more lines",
    ]


def test_narrator_says_which_of_several_calls_a_result_is_of(capsys: pytest.CaptureFixture[str]) -> None:
    """Each result names its call."""
    shown = told(capsys, [assistant("", CALL, OTHER), tool_result(OTHER, "b"), tool_result(CALL, "a", error=True)])
    assert "← read_file(path=other.md) 0.2 s  b" in shown
    assert "✗ read_file(path=notes.md) 0.2 s  a" in shown


def test_narrator_shows_live_text_once(capsys: pytest.CaptureFixture[str]) -> None:
    """Streamed text is shown once and completely."""
    deltas = [TextDelta(turn=1, text="The ans"), TextDelta(turn=1, text="wer is ")]
    assert told(capsys, [*deltas, assistant("The answer is 42.")]).splitlines() == ["turn 1", "  The answer is 42."]


def test_narrator_says_when_an_answer_was_begun_anew(capsys: pytest.CaptureFixture[str]) -> None:
    """A repeated answer is announced and shown apart."""
    shown = told(capsys, [TextDelta(turn=1, text="Perhaps it is "), assistant("No.")]).splitlines()
    assert shown == ["turn 1", "  Perhaps it is", "  (the model was called again; this is its new answer)", "  No."]


def test_narrator_shows_that_another_model_answers(capsys: pytest.CaptureFixture[str]) -> None:
    """Text of a model that broke off is shown apart from that of the next one, which is shown once."""
    tried = [{"model": "first", "reason": "broken_reply", "message": "it broke off"}]
    message = Message(seq=2, role="assistant", content="It is 42.")
    deltas = [TextDelta(turn=1, text="Perhaps it is "), TextDelta(turn=1, text="It is ", attempt=2)]
    shown = told(capsys, [*deltas, entry("message", message, model="second", tried=tried)]).splitlines()
    assert shown == [
        "turn 1",
        "  Perhaps it is",
        "  (the text above was discarded; this is a new answer)",
        "  It is 42.",
        "  (answered by second; first: broken reply)",
    ]


def test_narrator_marks_partial_text(capsys: pytest.CaptureFixture[str]) -> None:
    """Partial text is marked as such."""
    assert "(incomplete)" in told(capsys, [assistant("The ans", partial=True)])


def test_notices_go_to_stderr_even_when_nothing_else_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """Notices go to stderr in every mode."""
    narrator = Narrator(Output(), notices_only=True)
    narrator.show(assistant("text"))
    narrator.show(Notice(text="no worker"))
    written = capsys.readouterr()
    assert written.out == ""
    assert written.err == "! no worker\n"


def test_everything_fits_and_steers_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """Long lines and escape sequences do not disturb an 80-column terminal."""
    text = "wörter und 漢字 " * 40
    call = ToolCall(id="c", name="write_file", arguments=json.dumps({"path": "p" * 90, "content": text}))
    shown = told(capsys, [assistant(f"{text}\x1b[31m", call), tool_result(call, f"\x1b[2J{text}\n" * 9)])
    assert "\x1b" not in shown
    assert max(map(cell_len, shown.splitlines())) <= 80


def test_json_keeps_stdout_for_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    """With JSON, stdout holds one document only."""
    out = Output(json=True)
    out.say("for people")
    out.note("note")
    out.document({"größe": 1})
    written = capsys.readouterr()
    assert json.loads(written.out) == {"größe": 1}
    assert written.err == "for people\nnote\n"


def summary(run_id: str, **changes: object) -> ListedRun:
    fields = {
        "run_id": run_id,
        "agent": "researcher",
        "status": RunStatus.COMPLETED,
        "turn": 5,
        "input": "What is promised,\nand to whom? " * 8,
        "started_at": NOW - timedelta(minutes=2),
        "finished_at": NOW,
        **changes,
    }
    return ListedRun.model_validate(fields)


@pytest.mark.parametrize("length", [8, 20, 34, 50])
def test_list_cuts_the_input_and_never_the_id(capsys: pytest.CaptureFixture[str], length: int) -> None:
    """A list truncates inputs, never ids."""
    ids = ["x" * length, "short"]
    show_runs(Output(), [summary(run_id) for run_id in ids], NOW)
    titles, *lines = capsys.readouterr().out.splitlines()
    assert titles.startswith("ID")
    assert [line.split()[0] for line in lines] == ids
    assert all("✓ completed" in line and "2m ago" in line for line in lines)
    assert max(map(cell_len, lines)) <= 80


def test_list_shows_an_id_that_takes_the_whole_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A very long id is shown whole on one line."""
    show_runs(Output(), [summary("x" * 200, status=RunStatus.TIMED_OUT)], NOW)
    [_, line] = capsys.readouterr().out.splitlines()
    assert line.split()[0] == "x" * 200
    assert "timed out" in line


def progress(**changes: object) -> RunProgress:
    fields = {
        **summary("researcher-1").model_dump(),
        "usage": Usage(requests=5, input_tokens=1000, output_tokens=234),
        "max_turns": 30,
        "deadline": NOW + timedelta(hours=1),
        "head": 9,
        "mirrored": 9,
        "model": "scripted",
        "files": ["reports/a.md"],
        "workspace": "/work",
        **changes,
    }
    return RunProgress.model_validate(fields)


def test_show_counts_tools_and_marks_the_scripted_model(capsys: pytest.CaptureFixture[str]) -> None:
    """`show` counts calls and failures, names files and marks the scripted model."""
    log = LogSummary()
    for one in (tool_result(CALL, "a"), tool_result(OTHER, "b", error=True)):
        log.add(one)
    show_page(Output(), progress(), log, "http://ui/run")
    shown = capsys.readouterr().out
    assert "read_file ×2 (1 failed)" in shown
    assert "/work/reports/a.md" in shown
    assert "scripted model, not a language model" in shown
    assert "1,234 tokens (1,000 in, 234 out)" in shown
    assert max(map(cell_len, shown.splitlines())) <= 80


def test_the_mirror_of_an_ended_run_may_be_further_than_the_run_knows(capsys: pytest.CaptureFixture[str]) -> None:
    """What is written after a run's end is not known to the run; the page says where to see it."""
    show_page(Output(), progress(mirrored=3), LogSummary(), None)
    assert "4 of 10 entries when the run ended; see `doctor verify`" in capsys.readouterr().out


def test_show_says_that_the_mirror_is_behind(capsys: pytest.CaptureFixture[str]) -> None:
    """`show` says how far the mirror lags."""
    show_page(Output(), progress(mirrored=3, status=RunStatus.RUNNING, doing="turn 6"), LogSummary(), None)
    shown = capsys.readouterr().out
    assert "4 of 10 entries" in shown
    assert "● running · turn 6" in shown


@pytest.mark.parametrize(
    ("status", "doing", "expected"),
    [
        ("waiting", "waiting for approval of pay(amount=5)", "r  ● waiting for approval of pay(amount=5)"),
        ("queued", "waiting for a free slot", "r  ● queued · waiting for a free slot"),
        ("paused", "paused", "r  ● paused"),
        ("completed", "completed", "r  ✓ completed"),
    ],
)
def test_show_says_once_that_a_run_waits(
    status: str, doing: str, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a run does continues its status where it begins with it."""
    show_page(Output(), progress(run_id="r", status=status, doing=doing), LogSummary(), None)
    assert capsys.readouterr().out.splitlines()[0] == expected


STATUSES: dict[str, tuple[dict[int, str], str, str]] = {
    "runs": ({}, "running", ", running for 1m 00s"),
    "waits": ({5: "waiting"}, "waiting", ", has run for 5.0 s"),
    "waits from history": ({}, "waiting", ""),
    "is queued": ({}, "queued", ""),
    "runs again": ({5: "waiting", 45: "running"}, "running", ", has run for 20.0 s"),
    "is paused while it waits": ({5: "waiting", 20: "paused", 45: "running"}, "running", ", has run for 20.0 s"),
    "has ended": ({}, "completed", ", took 1m 00s"),
    "has waited": ({5: "waiting", 45: "running"}, "completed", ", took 1m 00s, of which it ran 20.0 s"),
    "ended while it waited": ({5: "waiting"}, "cancelled", ", took 1m 00s, of which it ran 5.0 s"),
    "is a fork": ({1: "waiting"}, "completed", ", took 1m 00s"),
}
"""Statuses by the second in which they were recorded, the status a minute after the start, what is shown."""


@pytest.mark.parametrize("case", STATUSES)
def test_show_says_how_long_a_run_has_run(case: str) -> None:
    """The time in which a run waited or was paused is not time in which it ran."""
    recorded, status, expected = STATUSES[case]
    log, now = LogSummary(), NOW + timedelta(seconds=60)
    log.add(entry("start", forked={"turn": 1, "seq": 9}) if case == "is a fork" else entry("start"))
    for second, name in recorded.items():
        log.add(entry("status", seq=second, status=name).model_copy(update={"at": NOW + timedelta(seconds=second)}))
    ended = now if RunStatus(status).is_final else None
    assert lasted(progress(status=status, started_at=NOW, finished_at=ended), log, now) == expected


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (entry("start", agent={"name": "researcher"}), "start of researcher"),
        (entry("status", status="paused", reason="by hand"), "paused: by hand"),
        (entry("finish", result={"status": "completed"}), "completed"),
        (assistant("I look.", CALL), "assistant: I look.  → read_file(path=notes.md)"),
        (tool_result(CALL, "a\nb"), "← read_file  a b"),
    ],
    ids=["start", "status", "finish", "reply", "tool"],
)
def test_entry_on_one_line(one: Entry, expected: str) -> None:
    """Every kind of entry is described on one line."""
    assert describe(one) == expected


HOSTILE = "a\x1b[2Jb\x1b]0;title\x07c\x9b31md\u202ee\u2066f\x08g"
"""What a run id, a name, a file or a model may contain."""

SAFE = "ab]0;titlec31mdefg"


def assert_safe(written: str) -> None:
    """Nothing in a text controls a terminal."""
    assert {sign for sign in written if sign != "\n" and unicodedata.category(sign) in {"Cc", "Cf"}} == set()
    assert SAFE in written


def test_nothing_that_others_wrote_controls_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever a command writes for people has no escape sequences and no bidi overrides, wherever they come from."""
    out = Output()
    for text in (HOSTILE, f"reason: {HOSTILE}"):
        out.say(text, (text, "bold"))
        out.lines([text])
        out.note(text)
        out.warn(text)
        out.error(text)
    show_table(out, [Column("TITLE", [HOSTILE])])
    shown, told = capsys.readouterr()
    assert_safe(shown)
    assert_safe(told)


def test_runs_and_their_pages_control_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """A list, a page and the narration of a run whose every text is hostile are safe."""
    call = ToolCall(id=HOSTILE, name=HOSTILE, arguments=json.dumps({HOSTILE: HOSTILE}))
    summary = ListedRun.model_construct(
        run_id=HOSTILE, agent=HOSTILE, input=HOSTILE, status=RunStatus.COMPLETED, started_at=NOW, finished_at=NOW
    )
    progress = RunProgress.model_construct(
        run_id=HOSTILE,
        agent=HOSTILE,
        model=HOSTILE,
        input=HOSTILE,
        status=RunStatus.FAILED,
        error=RunError(type="X", message=HOSTILE),
        workspace=f"/{HOSTILE}",
        files=[HOSTILE],
        doing=HOSTILE,
        started_at=NOW,
        finished_at=NOW,
        usage=Usage(),
    )
    entries = [assistant(HOSTILE, call), tool_result(call, HOSTILE), entry("status", status="failed", reason=HOSTILE)]
    log = LogSummary()
    for each in entries:
        log.add(each)
    show_runs(Output(), [summary], NOW)
    show_page(Output(), progress, log, None)
    assert_safe(capsys.readouterr().out)
    assert_safe(told(capsys, [TextDelta(turn=1, text=HOSTILE), *entries]))
    Narrator(Output()).show(Notice(text=HOSTILE))
    assert_safe(capsys.readouterr().err)


def test_json_keeps_every_character(capsys: pytest.CaptureFixture[str]) -> None:
    """A JSON document has the same values, with the characters escaped."""
    Output(json=True).document({HOSTILE: HOSTILE})
    written = capsys.readouterr().out
    assert json.loads(written) == {HOSTILE: HOSTILE}
    assert {sign for sign in written if sign != "\n" and unicodedata.category(sign) in {"Cc", "Cf"}} == set()
