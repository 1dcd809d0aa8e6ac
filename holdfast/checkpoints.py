"""Checkpoints of a run: the points of its log that it can go back to, and what stays done if it does. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import AwareDatetime, Field

from holdfast.bounds import Json, Text
from holdfast.context import context_of, open_calls, up_to
from holdfast.errors import UsageError
from holdfast.types import AgentSpec, Entry, RunId, Tolerant, ToolCall, TranscriptRef
from holdfast.workspace_log import workspace_at
from holdfast.workspace_states import WorkspacePoint

SHOWN = 10  # names in a message
_TURN = re.compile(r"(?:turn-)?([0-9]{1,9})")
MAX_DATA_BYTES = 64 * 1024
"""Of the data of one checkpoint, as JSON: it is part of the log, which the run's history holds twice."""


class Checkpoint(Tolerant):
    """A point of a run that can be restored; every turn ends with one, and people and tools make more."""

    id: Text
    """Unique within the run; that of a turn's end is its name."""
    name: Text
    turn: int
    at: AwareDatetime
    ref: TranscriptRef
    data: Json = None
    """What was stored with it."""
    by: Text | None = None
    """Who made it: a person, or the tool; `None` means the run itself."""


class RestorePoint(Tolerant):
    """What a run needs to know of the point that it goes back to."""

    id: Text
    """The checkpoint's."""
    ref: TranscriptRef
    turn: int
    """The turn of the newest reply at the point."""
    open_calls: list[ToolCall] = []
    """The calls of that reply that had no result."""
    answered: bool = False
    """Whether that reply is an answer that nothing follows."""
    output: Text = ""
    """The last text of the model."""
    active: Text | None = None
    """The agent that acted there, as in `AgentSpec.acting`."""
    workspace: Annotated[WorkspacePoint, Field(exclude_if=lambda point: not point.heads)] = WorkspacePoint()
    """The state of the workspace."""


def turn_name(turn: int) -> str:
    """Returns the name, and the id, of the checkpoint at the end of a turn."""
    return f"turn-{turn}"


def turn_of(reference: str) -> int | None:
    """Returns the turn whose end is meant by `turn-3` or `3`; `None` means that no turn is meant."""
    match = _TURN.fullmatch(reference)
    return int(match[1]) if match else None


def checkpoints_of(entries: Iterable[Entry]) -> Iterator[Checkpoint]:
    """Yields the checkpoints of a log, oldest first: those that were made, and the end of each turn.

    Args:
        entries: the log from entry 0; also entries that a restore went back to before.
    """
    unanswered: dict[int, list[str]] = {}  # ids of calls by turn
    for entry in entries:
        message = entry.message
        if entry.kind == "checkpoint":
            yield Checkpoint(
                id=entry.data["id"],
                name=entry.data["name"],
                turn=entry.turn,
                at=entry.at,
                ref=entry.ref,
                data=entry.data.get("data"),
                by=entry.data.get("by"),
            )
        elif message is not None and message.role == "assistant" and entry.turn:
            if message.tool_calls:
                unanswered[entry.turn] = [call.id for call in message.tool_calls]
            elif not message.partial:
                yield _turn_end(entry)
        elif message is not None and message.role == "tool":
            calls = unanswered.get(entry.turn, [])
            if message.tool_call_id in calls:
                calls.remove(message.tool_call_id)
                if not calls:
                    yield _turn_end(entry)


def find_checkpoint(entries: Sequence[Entry], reference: str, run_id: RunId) -> Checkpoint:
    """Returns the checkpoint with an id, or else the newest one with a name.

    Args:
        entries: the log from entry 0.
        reference: an id or a name; that of a turn may be just its number.
        run_id: the run, for messages.

    Raises:
        UsageError: the run has no such checkpoint; the message says which it has.
    """
    known = list(checkpoints_of(entries))
    ways = [("id", reference), ("name", reference)]
    if (turn := turn_of(reference)) is not None:
        ways.append(("id", turn_name(turn)))
    for field, wanted in ways:
        for checkpoint in reversed(known):
            if getattr(checkpoint, field) == wanted:
                return checkpoint
    raise UsageError(f"run {run_id!r} has no checkpoint {reference!r}: {_listed(known)}")


def restore_point(entries: Sequence[Entry], reference: str, run_id: RunId) -> RestorePoint:
    """Returns the point that a run goes back to.

    Args:
        entries: the log from entry 0.
        reference: the id or the name of a checkpoint.
        run_id: the run, for messages.

    Raises:
        UsageError: the run has no such checkpoint.
        TranscriptUnavailable: the log cannot be read.
    """
    checkpoint = find_checkpoint(entries, reference, run_id)
    context = context_of(up_to(entries, checkpoint.ref.seq))
    replies = [message for message in context.messages if message.role == "assistant"]
    turns = {entry.message.seq: entry.turn for entry in entries if entry.message}
    last = context.messages[-1] if context.messages else None
    point = RestorePoint(id=checkpoint.id, ref=checkpoint.ref, turn=turns.get(replies[-1].seq, 0) if replies else 0)
    point.open_calls = open_calls(context)
    point.answered = last is not None and last.role == "assistant" and not last.tool_calls
    if context.active is not None:
        point.active = context.active
    point.output = next((reply.content for reply in reversed(replies) if reply.content), "")
    if (workspace := workspace_at(entries, checkpoint.ref.seq)).heads:
        point.workspace = workspace
    return point


@dataclass(frozen=True, slots=True)
class Effect:
    """A call of a tool that may have changed something outside of the run."""

    turn: int
    call: ToolCall
    failed: bool


def effects_since(entries: Sequence[Entry], seq: int) -> list[Effect]:
    """Returns the calls after entry `seq` that may have changed something; going back does not undo them.

    Args:
        entries: the log from entry 0.
        seq: the newest entry that counts after a restore.
    """
    spec = AgentSpec.model_validate(entries[0].data["agent"], extra="allow")
    tools = [tool for agent in (spec, *spec.team.values()) for tool in agent.tools]
    harmless = {tool.name for tool in tools} - {tool.name for tool in tools if not tool.read_only}
    asked: dict[str | None, ToolCall] = {}
    found = []
    for entry in entries:
        message = entry.message
        if message is None:
            continue
        asked |= {call.id: call for call in message.tool_calls}
        call = asked.get(message.tool_call_id)
        was_called = entry.kind == "tool_result" and bool(entry.data.get("seconds"))
        if entry.seq > seq and was_called and call is not None and call.name not in harmless:
            found.append(Effect(entry.turn, call, failed=bool(entry.data.get("error"))))
    return found


def _turn_end(entry: Entry) -> Checkpoint:
    name = turn_name(entry.turn)
    return Checkpoint(id=name, name=name, turn=entry.turn, at=entry.at, ref=entry.ref)


def _listed(known: Sequence[Checkpoint]) -> str:
    if not known:
        return "it has none yet; the first turn ends with one"
    turns = [checkpoint for checkpoint in known if checkpoint.id == turn_name(checkpoint.turn)]
    names = list(dict.fromkeys(checkpoint.name for checkpoint in known if checkpoint not in turns))
    shown = [f"{turns[0].name} to {turns[-1].name}" if len(turns) > 1 else turns[0].name] if turns else []
    shown += [repr(name) for name in names[-SHOWN:]]
    return f"it has {', '.join(shown)}"
