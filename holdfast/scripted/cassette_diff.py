"""Comparison of a request with recorded ones, for people."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher, unified_diff
from typing import Any

CONTEXT_LINES = 2  # before and after a difference
SHOWN_LINES = 60
COMPARED_CHARS = 2_000  # of each text, to find the nearest request

Request = Mapping[str, Any]


def nearest(asked: Request, recorded: Sequence[Request]) -> int | None:
    """Returns the index of the recorded request that has most in common with a request; `None` if there is none."""
    return max(range(len(recorded)), key=lambda index: _likeness(asked, recorded[index]), default=None)


def difference(recorded: Request, asked: Request) -> str:
    """Returns the lines that differ between two requests, with some lines around them."""
    lines = list(unified_diff([*_lines(recorded)], [*_lines(asked)], lineterm="", n=CONTEXT_LINES))[2:]
    left_out = len(lines) - SHOWN_LINES
    return "\n".join([*lines[:SHOWN_LINES], *([f"… {left_out} more lines"] if left_out > 0 else [])])


def _likeness(one: Request, other: Request) -> float:
    """Returns how much two requests have in common: messages at the same place count most."""
    mine, theirs = one["messages"], other["messages"]
    shared: float = sum(_message_likeness(*pair) for pair in zip(mine, theirs, strict=False))
    same = sum(bool(one.get(name) == other.get(name)) for name in ("model", "tools"))
    return shared - abs(len(mine) - len(theirs)) + same / 10


def _message_likeness(one: Request, other: Request) -> float:
    if one == other:
        return 1.0
    mine, theirs = (json.dumps(message)[:COMPARED_CHARS] for message in (one, other))
    return SequenceMatcher(None, mine, theirs, autojunk=False).quick_ratio()


def _lines(request: Request) -> Iterator[str]:
    """Yields a request as lines that people can compare."""
    yield f"model: {request.get('model', '(the default)')}"
    for message in request["messages"]:
        answered = message.get("tool_call_id")
        yield f"{message['role']}{f' ({answered})' if answered else ''}:"
        yield from _indented(message["content"])
        for call in message.get("tool_calls", ()):
            yield f"  {call['id']}: {call['name']} {json.dumps(call['arguments'], ensure_ascii=False, sort_keys=True)}"
    for tool in request.get("tools", ()):
        yield f"tool {tool['name']}:"
        yield from _indented(tool["description"] or "")
        yield from _indented(json.dumps(tool["parameters"], ensure_ascii=False, sort_keys=True))


def _indented(content: object) -> Iterator[str]:
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False, sort_keys=True)
    yield from (f"  {line}" for line in text.splitlines())
