"""Values as short text for people, by pure functions."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size

from holdfast._util.terminal import clean

if TYPE_CHECKING:
    from holdfast.types import ToolCall, Usage

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "m"))  # seconds
_JUST_NOW = timedelta(seconds=2)
SHOWN_ARGUMENT = 48  # cells of one argument of a tool call


def one_line(text: str) -> str:
    """Text on one line, each run of white space replaced by one blank."""
    return " ".join(clean(text).split())


def cut(text: str, width: int) -> str:
    """Text in at most `width` terminal cells, with an ellipsis where something is missing."""
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, max(width - 1, 0)).rstrip() + "…"


def duration(seconds: float) -> str:
    """Seconds as `0.02 s`, `3.2 s`, `2m 05s`, `3h 07m`, `2d 04h`."""
    if seconds < 0.1:
        return f"{seconds:.2f} s"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for size, unit, below, small in ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "m"), (60, "m", 1, "s")):
        if whole >= size:
            return f"{whole // size}{unit} {whole % size // below:02d}{small}"
    return f"{whole} s"


def ago(moment: datetime, now: datetime | None = None) -> str:
    """A moment as `just now`, `45s ago`, `2m ago`, `3h ago`, `5d ago`."""
    passed = (now or datetime.now(UTC)) - moment
    if passed < _JUST_NOW:
        return "just now"
    seconds = int(passed.total_seconds())
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{seconds // size}{unit} ago"
    return f"{seconds}s ago"


def local_time(moment: datetime) -> str:
    """A moment in the local time zone."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def count(number: int, noun: str) -> str:
    """A number with its noun: `1 turn`, `12 turns`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def cost(usage: Usage) -> str:
    """The cost, as `, $0.0120`, or `, $?` if it is not known; empty if there is none."""
    return f", {usage.shown_cost}" if usage.shown_cost else ""


def tokens(usage: Usage) -> str:
    """Tokens and cost: `1,234 tokens (1,000 in, 234 out), $0.0120`."""
    total = count(usage.total_tokens, "token")
    return f"{total} ({usage.input_tokens:,} in, {usage.output_tokens:,} out){cost(usage)}"


def tool_call(call: ToolCall) -> str:
    """A call on one line: `read_file(path=notes.md)`; arguments that are not a JSON object are shown unchanged."""
    try:
        arguments = json.loads(call.arguments)
        shown = ", ".join(f"{name}={_argument(value)}" for name, value in arguments.items())
    except (ValueError, AttributeError, RecursionError):
        shown = cut(one_line(call.arguments), SHOWN_ARGUMENT)
    return f"{one_line(call.name)}({shown})"


def wrapped(text: str, width: int, indent: int = 0) -> str:
    """Text in lines of at most `width` characters; a longer word stays whole, as it may be a URL."""
    return "\n".join(
        textwrap.fill(
            line,
            width,
            initial_indent=" " * indent,
            subsequent_indent=" " * indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
        for line in clean(text).splitlines()
    )


def head(text: str, lines: int) -> tuple[list[str], int]:
    """The first lines of a text that are not blank, and the number of the others."""
    written = [line.expandtabs().rstrip() for line in clean(text).splitlines() if line.strip()]
    return written[:lines], max(len(written) - lines, 0)


def pairs(rows: Iterable[tuple[str, str]], indent: int = 2) -> list[str]:
    """Names and values, one pair a line, with the values aligned."""
    lines = list(rows)
    width = max((cell_len(name) for name, _ in lines), default=0)
    return [f"{'':{indent}}{set_cell_size(name, width)}  {value}" for name, value in lines]


def _argument(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return cut(one_line(text), SHOWN_ARGUMENT)


def reason_after(words: str, reason: str, sign: str = ": ") -> str:
    """Returns what to write after a status, as `: turn 2`; a reason that begins with the status continues it.

    Args:
        words: the status.
        reason: what to write; empty means nothing.
        sign: what stands between them.
    """
    if reason.startswith(words):
        return reason[len(words) :]
    return f"{sign}{reason}" if reason else ""
