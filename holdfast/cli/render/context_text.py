"""Entries without a message on one line: checkpoints, restores, compactions, waits, and what was refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from holdfast.cli.render.text import one_line
from holdfast.types import Entry


def context_line(entry: Entry) -> str | None:
    """Returns one of these entries on one line; `None` if it is another one."""
    line = LINES.get(entry.kind)
    return line(entry.data) + _by(entry.data) if line else None


def _by(data: Mapping[str, Any]) -> str:
    return f" ({_text(data, 'by')})" if data.get("by") else ""


def _text(data: Mapping[str, Any], name: str) -> str:
    return one_line(str(data.get(name)))


def _wait_ended(data: Mapping[str, Any]) -> str:
    edited = ", with other arguments" if data.get("edited") else ""
    return f"{_text(data, 'id')}: {_text(data, 'outcome')}{edited}"


def _compaction(data: Mapping[str, Any]) -> str:
    before, after = data.get("tokens_before", 0), data.get("tokens_after", 0)
    how = "summarized" if data.get("summarized") else "old results cleared" if data.get("cleared") else "unchanged"
    return f"context compacted from some {before:,} to {after:,} tokens: {how}"


def _guard(data: Mapping[str, Any]) -> str:
    what = "a message" if data.get("on") == "input" else "the answer"
    how = f"blocked: {_text(data, 'blocked')}" if "blocked" in data else f"replaced by: {_text(data, 'content')}"
    return f"{_text(data, 'guard')}: {what} is {how}"


def _stage(data: Mapping[str, Any]) -> str:
    percent = data.get("percent")
    done = f" · {percent:.0f}%" if isinstance(percent, int | float) else ""
    return f"{_text(data, 'tool')}: {_text(data, 'stage')}{done}"


LINES: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "checkpoint": lambda data: f"checkpoint {_text(data, 'name')}",
    "stage": _stage,
    "restored": lambda data: f"went back to {_text(data, 'checkpoint')}, entry {data.get('to')}",
    "wait": lambda data: f"begins to wait for {_text(data.get('wait', {}), 'what')}",
    "wait_ended": _wait_ended,
    "refused": lambda data: f"{_text(data, 'signal')} was refused: {_text(data, 'reason')}",
    "dropped": lambda data: f"a message was dropped: {_text(data, 'reason')}",
    "compaction": _compaction,
    "guard": _guard,
}
"""By the kind of the entry."""
