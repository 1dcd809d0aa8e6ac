"""Texts about entries that change what the model sees."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

import pytest

from holdfast.cli.render.context_text import context_line
from holdfast.types import Entry, EntryKind


@pytest.mark.parametrize(
    ("kind", "data", "line"),
    [
        ("checkpoint", {"id": "a", "name": "half\nway", "by": "Ada"}, "checkpoint half way (Ada)"),
        ("restored", {"to": 7, "checkpoint": "turn-2"}, "went back to turn-2, entry 7"),
        (
            "compaction",
            {"tokens_before": 9_000, "tokens_after": 2_000, "cleared": [[3, 5]], "summarized": [[1, 2]]},
            "context compacted from some 9,000 to 2,000 tokens: summarized",
        ),
        (
            "compaction",
            {"tokens_before": 9_000, "tokens_after": 4_000, "cleared": [[3, 5]]},
            "context compacted from some 9,000 to 4,000 tokens: old results cleared",
        ),
        (
            "compaction",
            {"tokens_before": 9_000, "tokens_after": 9_000},
            "context compacted from some 9,000 to 9,000 tokens: unchanged",
        ),
        (
            "guard",
            {"on": "input", "guard": "safe", "message": 1, "blocked": "no\nnames"},
            "safe: a message is blocked: no names",
        ),
        (
            "guard",
            {"on": "output", "guard": "safe", "message": 2, "content": "fine"},
            "safe: the answer is replaced by: fine",
        ),
        ("refused", {"signal": "sned", "reason": "no such command", "given": []}, "sned was refused: no such command"),
        ("dropped", {"id": "m1", "reason": "the run has ended"}, "a message was dropped: the run has ended"),
        ("status", {"status": "paused"}, None),
    ],
)
def test_each_is_one_line(kind: str, data: dict[str, Any], line: str | None) -> None:
    """Such an entry is told on one line; any other is not told here."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    entry = Entry.chained("", seq=1, at=at, kind=cast("EntryKind", kind), turn=1, data=data)
    assert context_line(entry) == line
