"""Runs as Markdown documents."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from holdfast.ops.transfer.record import RunRecord
from holdfast.types import Entry, Message, ToolCall

SHORTEST_FENCE = 3  # backticks
BACKTICKS = re.compile(r"`+")
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Characters that could control a terminal or reverse the direction of the surrounding text."""
MARKS = re.compile(r"([\\`*_{}\[\]<>#|!~&])")


def markdown_page(run: RunRecord) -> str:
    """Returns the page of a run. Messages are in quotes and fences, so that they cannot break the page."""
    return "\n\n".join([*_head(run), *_body(run), *_end(run)]) + "\n"


def _head(run: RunRecord) -> Iterator[str]:
    summary = run.summary
    yield f"# {_plain(summary.run_id)}"
    rows = {
        "agent": _plain(summary.agent),
        "model": _plain(summary.model or ""),
        "status": summary.status.value.replace("_", " "),
        "started": summary.started_at.isoformat(sep=" ", timespec="seconds"),
        "finished": summary.finished_at.isoformat(sep=" ", timespec="seconds") if summary.finished_at else "",
        "turns": str(summary.turn),
        "tool calls": str(summary.tool_calls),
        "tokens": f"{summary.usage.input_tokens:,} in, {summary.usage.output_tokens:,} out",
        "cost": summary.usage.shown_cost,
        "started by": _plain(summary.parent or ""),
    }
    yield "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items() if value)])


def _body(run: RunRecord) -> Iterator[str]:
    turn = 0
    for entry in run.entries:
        message = entry.message
        if message is None:
            continue
        if entry.turn != turn:
            turn = entry.turn
            yield f"## Turn {turn}"
        yield from _message(entry, message)


def _message(entry: Entry, message: Message) -> Iterator[str]:
    if message.role == "tool":
        failed = " failed" if entry.data.get("error") else ""
        yield f"**Result of {_plain(str(entry.data.get('tool', '')))}{failed}**"
        yield _fenced(message.shown)
        return
    if message.shown or not message.tool_calls:
        yield f"**{message.role.capitalize()}**{' (incomplete)' if message.partial else ''}"
        yield _quoted(message.shown)
    for call in message.tool_calls:
        yield f"**Calls {_plain(call.name)}**"
        yield _fenced(_arguments(call), "json")


def _end(run: RunRecord) -> Iterator[str]:
    if run.summary.error:
        yield f"**Ended: {_plain(run.summary.error.type)}**"
        yield _quoted(run.summary.error.message)


def _arguments(call: ToolCall) -> str:
    try:
        return json.dumps(json.loads(call.arguments), indent=2, ensure_ascii=False)
    except ValueError:
        return call.arguments


def _fenced(text: str, language: str = "") -> str:
    """Returns a code block, with a fence that is longer than any in the text."""
    clean = _clean(text)
    longest = max((len(found) for found in BACKTICKS.findall(clean)), default=0)
    fence = "`" * max(SHORTEST_FENCE, longest + 1)
    return f"{fence}{language}\n{clean}\n{fence}"


def _quoted(text: str) -> str:
    """Returns a quote, which contains its Markdown: an unclosed fence ends with the quote."""
    return "\n".join(f"> {line}".rstrip() for line in _clean(text).split("\n"))


def _plain(text: str) -> str:
    """Returns text on one line, with all Markdown escaped."""
    return MARKS.sub(r"\\\1", " ".join(_clean(text).split()))


def _clean(text: str) -> str:
    return CONTROL.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))
