"""The rows that a run's entries project to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any

from surrealdb import RecordID

from holdfast.store.exact import entry_text, summary_text
from holdfast.types import Entry, EntryBatch, Message, RunId, RunSummary, ToolCall, clean_text

Row = dict[str, Any]

INT_MIN, INT_MAX = -(2**63), 2**63 - 1
"""What the database's integers hold; beyond, it wraps around in silence."""


@dataclass(slots=True)
class Rows:
    """Everything that one append writes, table by table."""

    run: Row
    events: list[Row] = field(default_factory=list)
    messages: list[Row] = field(default_factory=list)
    tool_calls: dict[tuple[int, str], Row] = field(default_factory=dict)
    """By turn and call id: a batch may hold a call and its result."""


def project(batch: EntryBatch, entries: Sequence[Entry]) -> Rows:
    """The rows for `entries`, which are the last ones of `batch`."""
    rows = Rows(run=_run(batch))
    for entry in entries:
        rows.events.append(_event(batch.run_id, entry))
        if message := entry.message:
            rows.messages.append(_message(batch.run_id, entry, message))
            for row in _tool_calls(batch.run_id, entry, message):
                known = rows.tool_calls.setdefault((entry.turn, row["id"].id[2]), row)
                known.update((name, value) for name, value in row.items() if value is not None and name != "at")
    return rows


def run_id(run: RunId) -> RecordID:
    """Id of a run's row."""
    return RecordID("run", run)


def event_id(run: RunId, seq: int) -> RecordID:
    """Id of an entry's row."""
    return RecordID("event", [run, seq])


def storable(value: Any) -> Any:
    """A value that the database gives back, as near to `value` as there is one; None where there is none."""
    if isinstance(value, str):
        return clean_text(value).replace("\0", "\ufffd")
    if isinstance(value, int):
        return min(max(value, INT_MIN), INT_MAX)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


def _row(identity: RecordID, **values: Any) -> Row:
    return {"id": identity} | {name: storable(value) for name, value in values.items()}


def _event(run: RunId, entry: Entry) -> Row:
    return _row(
        event_id(run, entry.seq),
        kind=entry.kind,
        at=entry.at.astimezone(UTC),
        turn=entry.turn,
        digest=entry.digest,
        text=entry_text(entry),
    )


def _message(run: RunId, entry: Entry, message: Message) -> Row:
    tools = [call.name for call in message.tool_calls]
    if message.role == "tool":
        tools = [str(entry.data.get("tool", ""))]
    return _row(
        RecordID("message", [run, message.seq]),
        role=message.role,
        content=message.content,
        tools=[storable(tool) for tool in tools],
        turn=entry.turn,
        at=entry.at.astimezone(UTC),
        entry=event_id(run, entry.seq),
    )


def _tool_calls(run: RunId, entry: Entry, message: Message) -> list[Row]:
    if message.role == "tool":
        return [_answer(run, entry, message)]
    return [_call(run, entry, call) for call in message.tool_calls]


def _call_id(run: RunId, entry: Entry, call: str) -> RecordID:
    return RecordID("tool_call", [run, entry.turn, storable(call)])


def _call(run: RunId, entry: Entry, call: ToolCall) -> Row:
    return _row(
        _call_id(run, entry, call.id),
        tool=call.name,
        arguments=call.arguments,
        at=entry.at.astimezone(UTC),
        asked=entry.seq,
    )


def _answer(run: RunId, entry: Entry, message: Message) -> Row:
    seconds = entry.data.get("seconds")
    return _row(
        _call_id(run, entry, message.tool_call_id or ""),
        tool=str(entry.data.get("tool", "")),
        seconds=float(seconds) if isinstance(seconds, int | float) else None,
        at=entry.at.astimezone(UTC),
        answered=entry.seq,
        **{"error" if entry.data.get("error") else "result": message.content},
    )


def _run(batch: EntryBatch) -> Row:
    head = batch.entries[-1]
    return summary_row(batch.summary) | {"chain": batch.chain, "head": head.seq, "digest": head.digest}


def summary_row(summary: RunSummary) -> Row:
    """The part of a run's row that is its summary."""
    return _row(
        run_id(summary.run_id),
        agent=summary.agent,
        status=summary.status.value,
        turn=summary.turn,
        tool_calls=summary.tool_calls,
        requests=summary.usage.requests,
        input_tokens=summary.usage.input_tokens,
        output_tokens=summary.usage.output_tokens,
        cost_usd=summary.usage.cost_usd,
        input=summary.input,
        parent=None if summary.parent is None else run_id(storable(summary.parent)),
        started_at=summary.started_at.astimezone(UTC),
        finished_at=summary.finished_at and summary.finished_at.astimezone(UTC),
        text=summary_text(summary),
    )
