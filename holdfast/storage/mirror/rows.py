"""The rows of the mirror, and the projection of a run's entries to them."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any

from surrealdb import RecordID

from holdfast.checkpoints import turn_name
from holdfast.storage.mirror.json_text import entry_text, summary_text
from holdfast.storage.mirror.wait_rows import began, end_values, wait_id, wait_values
from holdfast.types import Entry, EntryBatch, Message, RunId, RunSummary, ToolCall, TranscriptRef, clean_text

Row = dict[str, Any]

INT_MIN, INT_MAX = -(2**63), 2**63 - 1
"""The range of the database's integers; values beyond it wrap around silently."""


@dataclass(slots=True)
class Rows:
    """The rows that one append writes, by table."""

    run: Row
    events: list[Row] = field(default_factory=list)
    messages: list[Row] = field(default_factory=list)
    tool_calls: dict[tuple[int, str], Row] = field(default_factory=dict)
    """By turn and call id, since a batch may contain both a call and its result."""
    checkpoints: list[Row] = field(default_factory=list)
    """Those at replies that call no tool, and those that were made."""
    results: list[Row] = field(default_factory=list)
    """A checkpoint at each tool result that may end its turn."""
    spawned: list[Row] = field(default_factory=list)
    """The edge from the run's parent, if it has one; only with entry 0."""
    waits: dict[int, Row] = field(default_factory=dict)
    """Waits that begin in the batch, by the entry with which they do; some end in it, too."""
    ended_waits: list[Row] = field(default_factory=list)
    """The columns that change at the end of waits that began before the batch."""
    attachments: list[Row] = field(default_factory=list)
    """The contents that messages refer to."""
    forked: list[Row] = field(default_factory=list)
    """The edge from the run that it is a fork of, likewise."""

    @property
    def edges(self) -> list[Row]:
        """All edges that lead to the run."""
        return [*self.spawned, *self.forked]

    def tables(self) -> dict[str, list[Row]]:
        """Returns the rows that append.surql writes beside the run's own, by the names that it has for them."""
        every = {
            "events": self.events,
            "messages": self.messages,
            "attachments": self.attachments,
            "tool_calls": [*self.tool_calls.values()],
            "checkpoints": self.checkpoints,
            "results": self.results,
            "spawned": self.spawned,
            "forked": self.forked,
            "waits": [*self.waits.values()],
            "ended_waits": self.ended_waits,
        }
        return {name: rows for name, rows in every.items() if rows}

    def closing_results(self) -> list[Row]:
        """Returns the checkpoints among `results` whose tool result ends its turn: the newest, when no call is open.

        It is only right for turns all of whose calls so far are among these rows.
        """
        answered: dict[int, list[int | None]] = {}
        for (turn, _), call in self.tool_calls.items():
            answered.setdefault(turn, []).append(call.get("answered"))
        closed = {turn: max(filter(None, seqs)) for turn, seqs in answered.items() if None not in seqs}
        return [row for row in self.results if closed.get(row["data"]["turn"]) == row["data"]["seq"]]

    def close_turns(self, after: int) -> None:
        """Makes checkpoints of the results that end their turns, for turns after `after`, which began in this batch."""
        self.checkpoints += [row for row in self.closing_results() if row["data"]["turn"] > after]
        self.results = [row for row in self.results if row["data"]["turn"] <= after]


def project(batch: EntryBatch, entries: Sequence[Entry]) -> Rows:
    """Returns the rows of `entries`, which are the last ones of `batch`."""
    rows = Rows(run=_run(batch))
    if entries[0].seq == 0:
        rows.spawned += _spawned(batch.summary)
        rows.forked += _forked(batch.summary)
    for entry in entries:
        rows.events.append(_event(batch.run_id, entry))
        if message := entry.message:
            rows.messages.append(_message(batch.run_id, entry, message))
            rows.attachments += _attachments(batch.run_id, entry, message)
            _add_tool_calls(rows, batch, entry, message)
        elif entry.kind == "checkpoint":
            rows.checkpoints.append(_made_checkpoint(batch, entry))
        elif entry.kind in ("wait", "wait_ended"):
            _add_wait(rows, batch.run_id, entry)
    return rows


def _add_wait(rows: Rows, run: RunId, entry: Entry) -> None:
    if entry.kind == "wait":
        if values := wait_values(entry):
            rows.waits[entry.seq] = _row(wait_id(run, entry.seq), run=run_id(run), **values)
        return
    if (seq := began(entry)) is None:
        return
    end = _row(wait_id(run, seq), **end_values(entry))
    if seq in rows.waits:
        rows.waits[seq] |= end
    else:
        rows.ended_waits.append(end)


def _add_tool_calls(rows: Rows, batch: EntryBatch, entry: Entry, message: Message) -> None:
    """Adds tool calls, results and checkpoints; if a call has two results, the first counts."""
    calls = _tool_calls(batch.run_id, entry, message)
    for row in calls:
        known = rows.tool_calls.setdefault((entry.turn, row["id"].id[2]), row)
        if message.role == "tool" and (known is row or known.get("answered") is None):
            rows.results.append(_checkpoint(batch, entry, turn_name(entry.turn)))
        known.update((name, value) for name, value in row.items() if known.get(name) is None)
    if message.role == "assistant" and not calls and not message.partial and entry.turn:
        rows.checkpoints.append(_checkpoint(batch, entry, turn_name(entry.turn)))


def run_id(run: RunId) -> RecordID:
    """Returns the id of a run's row."""
    return RecordID("run", run)


def event_id(run: RunId, seq: int) -> RecordID:
    """Returns the id of an entry's row."""
    return RecordID("event", [run, seq])


def storable(value: Any) -> Any:
    """Returns the nearest value that the database can store; `None` if there is none."""
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
        _message_id(run, message),
        role=message.role,
        content=message.content,
        tools=[storable(tool) for tool in tools],
        turn=entry.turn,
        attempts=_attempts(entry) if message.role == "assistant" else None,
        at=entry.at.astimezone(UTC),
        entry=event_id(run, entry.seq),
    )


def _attachments(run: RunId, entry: Entry, message: Message) -> list[Row]:
    digests = [storable(each.digest) for each in message.attachments if each.digest]
    identity = RecordID("attachment", [run, entry.seq])
    return [_row(identity, message=_message_id(run, message), digests=digests)] if digests else []


def _attempts(entry: Entry) -> int | None:
    attempts = entry.data.get("attempts")
    return attempts if isinstance(attempts, int) else None


def _message_id(run: RunId, message: Message) -> RecordID:
    return RecordID("message", [run, message.seq])


def _tool_calls(run: RunId, entry: Entry, message: Message) -> list[Row]:
    if message.role == "tool":
        return [_answer(run, entry, message)]
    return [_call(run, entry, call) for call in message.tool_calls]


def _call_id(run: RunId, entry: Entry, call: str) -> RecordID:
    return RecordID("tool_call", [run, entry.turn, storable(call)])


def _call(run: RunId, entry: Entry, call: ToolCall) -> Row:
    return _row(
        _call_id(run, entry, call.id),
        run=run_id(run),
        turn=entry.turn,
        tool=call.name,
        arguments=call.arguments,
        at=entry.at.astimezone(UTC),
        asked=entry.seq,
    )


def _answer(run: RunId, entry: Entry, message: Message) -> Row:
    seconds = entry.data.get("seconds")
    return _row(
        _call_id(run, entry, message.tool_call_id or ""),
        run=run_id(run),
        turn=entry.turn,
        tool=str(entry.data.get("tool", "")),
        result=_message_id(run, message),
        error=message.content if entry.data.get("error") else None,
        seconds=float(seconds) if isinstance(seconds, int | float) else None,
        attempts=_attempts(entry),
        at=entry.at.astimezone(UTC),
        answered=entry.seq,
    )


def _checkpoint(batch: EntryBatch, entry: Entry, key: str, **facts: str) -> Row:
    data = {"name": key, "turn": entry.turn, "seq": entry.seq, "digest": entry.digest} | facts
    return _row(
        RecordID("agent_checkpoint", [batch.run_id, entry.seq, storable(key)]),
        agent_name=batch.summary.agent,
        timestamp=entry.at.astimezone(UTC),
        data={name: storable(value) for name, value in data.items()},
    )


def _made_checkpoint(batch: EntryBatch, entry: Entry) -> Row:
    """Returns the row of a checkpoint that a person or a tool made; its data may be anything, so it is JSON text."""
    made = {name: value for name, value in entry.data.items() if name != "id"}
    facts = {"name": str(made.get("name", "")), "text": json.dumps(made)}
    key = str(entry.data.get("id", ""))
    return _checkpoint(batch, entry, key, id=key, **facts)


def _spawned(summary: RunSummary) -> list[Row]:
    if summary.parent is None:
        return []
    parent, child = run_id(storable(summary.parent)), run_id(summary.run_id)
    return [{"id": RecordID("spawned", [parent.id, child.id]), "in": parent, "out": child}]


def _forked(summary: RunSummary) -> list[Row]:
    if (origin := summary.forked) is None:
        return []
    run, fork = run_id(storable(origin.run)), run_id(summary.run_id)
    facts = {"seq": storable(origin.seq), "digest": origin.digest, "at": summary.started_at.astimezone(UTC)}
    return [{"id": RecordID("forked", [run.id, fork.id]), "in": run, "out": fork, **facts}]


def _run_or_none(run: RunId | None) -> RecordID | None:
    return None if run is None else run_id(storable(run))


def _run(batch: EntryBatch) -> Row:
    return run_row(batch.summary, batch.chain, batch.entries[-1].ref)


def run_row(summary: RunSummary, chain: str, head: TranscriptRef) -> Row:
    """Returns a run's row."""
    return summary_row(summary) | {"chain": chain, "head": head.seq, "digest": head.digest}


def summary_row(summary: RunSummary) -> Row:
    """Returns the part of a run's row that its summary determines."""
    return _row(
        run_id(summary.run_id),
        agent=summary.agent,
        active_agent=summary.active_agent,
        model=summary.model,
        status=summary.status.value,
        turn=summary.turn,
        tool_calls=summary.tool_calls,
        requests=summary.usage.requests,
        input_tokens=summary.usage.input_tokens,
        cached_tokens=summary.usage.cached_tokens,
        output_tokens=summary.usage.output_tokens,
        cost_usd=summary.usage.cost_usd,
        input=summary.input,
        stage=summary.stage,
        stage_progress=summary.stage_progress,
        error_type=summary.error and summary.error.type,
        error=summary.error and summary.error.message,
        parent=_run_or_none(summary.parent),
        origin=_run_or_none(summary.forked.run if summary.forked else None),
        origin_seq=summary.forked and summary.forked.seq,
        origin_digest=summary.forked and summary.forked.digest,
        rerun_of=_run_or_none(summary.rerun_of),
        started_at=summary.started_at.astimezone(UTC),
        finished_at=summary.finished_at and summary.finished_at.astimezone(UTC),
        text=summary_text(summary),
    )
