"""Values as short text."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from rich.cells import cell_len

from holdfast._util.terminal import clean
from holdfast.cli.render.live_text import LiveText
from holdfast.cli.render.text import ago, cut, duration, head, reason_after, tool_call, wrapped
from holdfast.types import ToolCall

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Shown:
    value: float
    expected: str


@pytest.mark.parametrize(
    "case",
    [
        Shown(-3, "just now"),  # clocks differ
        Shown(1, "just now"),
        Shown(45, "45s ago"),
        Shown(60, "1m ago"),
        Shown(3599, "59m ago"),
        Shown(3600, "1h ago"),
        Shown(86_400 * 40, "40d ago"),
    ],
    ids=str,
)
def test_ago(case: Shown) -> None:
    """Times are shown in the right unit."""
    assert ago(NOW - timedelta(seconds=case.value), NOW) == case.expected


@pytest.mark.parametrize(
    "case",
    [
        Shown(0.004, "0.00 s"),
        Shown(0.02, "0.02 s"),
        Shown(3.24, "3.2 s"),
        Shown(59.97, "1m 00s"),
        Shown(125, "2m 05s"),
        Shown(3 * 3600 + 7 * 60, "3h 07m"),
        Shown(2 * 86_400 + 4 * 3600, "2d 04h"),
    ],
    ids=str,
)
def test_duration(case: Shown) -> None:
    """Durations have one format."""
    assert duration(case.value) == case.expected


@pytest.mark.parametrize(
    ("words", "reason", "expected"),
    [
        ("waiting", "waiting for approval of pay()", "waiting for approval of pay()"),
        ("paused", "paused", "paused"),
        ("running", "turn 2", "running: turn 2"),
        ("queued", "", "queued"),
    ],
)
def test_a_reason_does_not_repeat_the_status(words: str, reason: str, expected: str) -> None:
    """A reason follows its status, or continues it."""
    assert words + reason_after(words, reason) == expected


def test_clean_removes_control_characters() -> None:
    """Escape sequences and control characters are removed; text, line breaks and tabs stay."""
    assert clean("\x1b[2J\x1b]0;owned\x07red\x1b[31m\r\nnext\ttab\x9b1m") == "]0;ownedred\nnext\ttab1m"
    assert clean("safe\u202etxt.exe\u2066\u2069 שלום \u200f") == "safetxt.exe שלום \u200f"


@pytest.mark.parametrize("text", ["plain text that is long", "漢字漢字漢字漢字漢字漢字", "e\u0301" * 30])
def test_cut_counts_cells(text: str) -> None:
    """Lines are truncated by terminal cells."""
    shown = cut(text, 10)
    assert cell_len(shown) <= 10
    assert shown.endswith("…")
    assert cut("short", 10) == "short"


@dataclass(frozen=True)
class CallCase:
    arguments: str
    expected: str


@pytest.mark.parametrize(
    "case",
    [
        CallCase('{"path": "notes.md", "lines": [1, 2]}', "f(path=notes.md, lines=[1, 2])"),
        CallCase("{}", "f()"),
        CallCase('{"path": "a\\nb"}', "f(path=a b)"),
        CallCase('{"path": ', 'f({"path":)'),
        CallCase("[1]", "f([1])"),
    ],
    ids=lambda case: case.arguments,
)
def test_tool_call(case: CallCase) -> None:
    """Any arguments are shown on one line."""
    assert tool_call(ToolCall(id="1", name="f", arguments=case.arguments)) == case.expected


def test_head_counts_what_it_leaves_out() -> None:
    """A shortened text says how much was left out."""
    assert head("a\n\nb\nc\nd\n", 3) == (["a", "b", "c"], 1)
    assert head("", 3) == ([], 0)


def test_wrapped_keeps_addresses_whole() -> None:
    """Addresses are not broken."""
    address = "http://127.0.0.1:8233/namespaces/default/workflows/researcher-3f9a12bc"
    lines = wrapped(f"look at {address} and come back", 40, indent=2).splitlines()
    assert f"  {address}" in lines
    assert "  look at" in lines


@dataclass(frozen=True)
class LiveCase:
    name: str
    pieces: tuple[str, ...]
    expected: str


@pytest.mark.parametrize(
    "case",
    [
        LiveCase("words come in parts", ("one tw", "o three four", " five"), "  one two\n  three four\n  five\n"),
        LiveCase("lines and blank lines are kept", ("a\n", "\nb"), "  a\n\n  b\n"),
        LiveCase("indentation is kept", ("x:\n    y",), "  x:\n      y\n"),
        LiveCase("a long word is not broken", ("see http://example.org/x",), "  see\n  http://example.org/x\n"),
        LiveCase("nothing leaves nothing", ("", " "), ""),
    ],
    ids=lambda case: case.name,
)
def test_live_text(case: LiveCase) -> None:
    """Streamed text looks like text printed at once."""
    written: list[str] = []
    text = LiveText(written.append, width=12, indent=2)
    for piece in case.pieces:
        text.feed(piece)
    text.end()
    assert "".join(written) == case.expected


def test_live_text_writes_whole_words_at_once() -> None:
    """Streamed words appear as soon as they are complete."""
    written: list[str] = []
    text = LiveText(written.append, width=80)
    text.feed("hello wor")
    assert "".join(written) == "hello"
    text.feed("ld again ")
    assert "".join(written) == "hello world again"
