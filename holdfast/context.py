"""The context of a model call: one pure function of a run's entries, for workflows, workers, stores and `doctor`.

An entry counts unless a later one, `restored`, goes back to before it. Of those that count, these change the context:

    message, tool_result    add a message. A result follows its call, in the order of the calls, whichever ended first.
                            One with a `handoff` makes another agent act, whose system prompt replaces the one before
    wait_ended              a person edited a call when they approved it: the model sees their arguments, and is told
    compaction              clears results of tools, or replaces messages by a summary
    guard                   a guard has blocked or replaced a message; it counts with the message, also if a later entry
                            goes back to before it

A partial reply that no message of a person follows is left out, as the next reply takes its place.
"""

from __future__ import annotations

import json
from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from itertools import islice, takewhile
from typing import Any

from pydantic import ValidationError

from holdfast.attachments import lines
from holdfast.errors import TranscriptUnavailable
from holdfast.types import AgentSpec, Context, Entry, Message, ToolCall

CLEARED = "[this result was cleared to save space; call the tool again if you need it]"
BLOCKED = "[this message was blocked: {reason}]"
LEFT_OUT = "\n[no longer shown: {attached}]"
SUMMARY = "[the messages before this one were replaced by this summary]\n\n"


def context_of(entries: Sequence[Entry]) -> Context:
    """Returns the context after a run's entries.

    Args:
        entries: the log from entry 0, without gaps.

    Raises:
        TranscriptUnavailable: entry 0 has no definition, or a restore goes back to an entry that does not exist.
    """
    start = Context.model_construct(spec=_spec(entries), messages=[])
    return _extended(start, in_force(entries))


def extend(context: Context, entries: Iterable[Entry]) -> Context | None:
    """Returns the context after further entries, at the cost of those; `context` stays as it is.

    `None` means that a restore is among them, so that the whole log is needed.
    """
    added = list(entries)
    return None if any(entry.kind == "restored" for entry in added) else _extended(context, added)


def in_force(entries: Sequence[Entry]) -> list[Entry]:
    """Returns the entries that count: all but those that a restore went back to before.

    Args:
        entries: the log from entry 0, without gaps.

    Raises:
        TranscriptUnavailable: a restore goes back to an entry that does not exist.
    """
    if not any(entry.kind == "restored" for entry in entries):
        return list(entries)
    found, seq = [], len(entries) - 1
    while seq >= 0:
        entry = entries[seq]
        found.append(entry)
        seq = _restored_to(entry) if entry.kind == "restored" else seq - 1
    return _with_guards(found[::-1], entries)


def up_to(entries: Sequence[Entry], seq: int) -> list[Entry]:
    """Returns the entries up to a point, and what guards have said later about the messages among them.

    Args:
        entries: the log from entry 0, without gaps.
        seq: the last entry before the point.
    """
    return _with_guards(list(entries[: seq + 1]), entries)


def _with_guards(found: list[Entry], entries: Sequence[Entry]) -> list[Entry]:
    said = [entry for entry in entries if entry.kind == "guard"]
    if not said:
        return found
    seqs, messages = {entry.seq for entry in found}, {entry.message.seq for entry in found if entry.message}
    later = [entry for entry in said if entry.seq not in seqs and entry.data.get("message") in messages]
    return [*found, *later]


def open_calls(context: Context) -> list[ToolCall]:
    """Returns the calls of the newest reply that have no result, in order."""
    answered: list[str | None] = []
    for message in reversed(context.messages):
        if message.role == "tool":
            answered.append(message.tool_call_id)
        elif message.role == "assistant":
            calls = []
            for call in message.tool_calls:
                if call.id in answered:
                    answered.remove(call.id)
                else:
                    calls.append(call)
            return calls
    return []


def spans(seqs: Iterable[int]) -> list[list[int]]:
    """Returns numbers as `[first, last]` pairs, in order, as a `compaction` entry names messages."""
    found: list[list[int]] = []
    for seq in sorted(seqs):
        if found and found[-1][1] >= seq - 1:
            found[-1][1] = seq
        else:
            found.append([seq, seq])
    return found


def compacted(messages: list[Message], data: dict[str, Any]) -> list[Message]:
    """Returns messages after a compaction, whose entry has this data (`cleared`, `summarized`, `summary`)."""
    cleared, summarized = _numbers(data.get("cleared")), _numbers(data.get("summarized"))
    summary, kept, asked = data.get("summary"), list[Message](), set[str | None]()
    if summary is not None:
        summary += _left_out(message for message in messages if message.seq in summarized)
    for message in messages:
        if message.role != "tool":
            asked = set() if message.seq in summarized else {call.id for call in message.tool_calls}
        elif message.tool_call_id not in asked:
            continue  # its reply was summarized
        if message.seq in summarized:
            if summary is not None:
                kept.append(Message(seq=message.seq, role="user", content=f"{SUMMARY}{summary}", summary=True))
                summary = None
        elif message.seq in cleared and message.role == "tool":
            kept.append(_changed(message, content=f"{CLEARED}{_left_out([message])}", attachments=[]))
        else:
            kept.append(message)
    return kept


def _left_out(messages: Iterable[Message]) -> str:
    """Returns a remark on the attachments of messages that the model no longer sees; empty if they have none."""
    attached = [attachment for message in messages for attachment in message.attachments]
    return LEFT_OUT.format(attached=lines(attached)) if attached else ""


def _spec(entries: Sequence[Entry]) -> AgentSpec:
    try:
        return AgentSpec.model_validate(entries[0].data["agent"], extra="allow")
    except (IndexError, KeyError, ValidationError):
        raise TranscriptUnavailable("entry 0 of the run has no agent definition") from None


def _restored_to(entry: Entry) -> int:
    to = entry.data.get("to")
    if not isinstance(to, int) or not 0 <= to < entry.seq:
        raise TranscriptUnavailable(f"entry {entry.seq} restores entry {to!r}, which does not exist before it")
    return to


def _extended(context: Context, entries: Iterable[Entry]) -> Context:
    """Returns a context after entries that all count."""
    messages, held = list(context.messages), context.held
    results: _Results | None = None
    for entry in entries:
        message = entry.message
        if (handoff := entry.data.get("handoff")) is not None:
            context = _handed(context, messages, str(handoff))
        if message is not None and message.role == "tool":
            results = _results(messages, message.tool_call_id, results)
            if results is not None:  # providers refuse a result without its call
                results.add(message)
            continue
        results = None
        if message is not None:
            if held is not None and message.role != "assistant":
                messages.append(held)
            held = _add(messages, message)
        elif entry.kind == "wait_ended":
            _edit_call(messages, entry.data)
        elif entry.kind == "compaction":
            messages = compacted(messages, entry.data)
        elif entry.kind == "guard":
            _guard(messages, entry.data)
    changed = {"messages": messages, "held": held}
    return Context.model_construct(**{name: getattr(context, name) for name in Context.model_fields} | changed)


def _handed(context: Context, messages: list[Message], to: str) -> Context:
    """Returns a context in which another agent acts, and gives its system prompt to the messages."""
    definition = context.definition or context.spec
    spec = definition.acting(to)
    if messages and messages[0].role == "system":
        messages[0] = _changed(messages[0], content=spec.system_prompt)
    return Context.model_construct(spec=spec, messages=messages, held=None, definition=definition, active=to)


def _add(messages: list[Message], message: Message) -> Message | None:
    """Adds a message, or returns it if what follows decides whether it counts."""
    if message.partial and not message.tool_calls:
        return message if message.content else None  # no provider takes an empty reply
    messages.append(message)
    return None


def _results(messages: list[Message], call_id: str | None, newest: _Results | None) -> _Results | None:
    """Returns the results among which one for this call belongs; `None` if no reply made the call.

    Args:
        messages: the context.
        call_id: the call.
        newest: those of the newest reply, if they are known.
    """
    if newest is not None and newest.are_of_newest(call_id):
        return newest
    asked = _find_call(messages, call_id)
    return None if asked is None else _Results(messages, asked)


class _Results:
    """The results that follow a reply, in the order of its calls.

    Args:
        messages: the context, which results are added to.
        asked: index of the reply.
    """

    def __init__(self, messages: list[Message], asked: int) -> None:
        self._messages, self._first = messages, asked + 1
        self._calls = messages[asked].tool_calls
        self._places: dict[str | None, list[int]] = {}
        for place, call in enumerate(self._calls):
            self._places.setdefault(call.id, []).append(place)
        self._taken: list[int] = []
        """Places of the calls that have a result, ascending."""
        for message in takewhile(lambda each: each.role == "tool", islice(messages, self._first, None)):
            insort(self._taken, self._place(message.tool_call_id))

    def are_of_newest(self, call_id: str | None) -> bool:
        """Returns whether the reply made this call, and no reply follows that may have made it, too."""
        return call_id in self._places and self._first + len(self._taken) == len(self._messages)

    def add(self, result: Message) -> None:
        """Adds a result; a second one for a call takes the place of the first."""
        place = self._place(result.tool_call_id)
        if editor := self._calls[place].edited_by:
            note = f"[{editor} edited the arguments of this call when they approved it]"
            result = _changed(result, content=f"{note}\n{result.content}")
        index = bisect_left(self._taken, place)
        if self._is_taken(place):
            self._messages[self._first + index] = result
        else:
            self._taken.insert(index, place)
            self._messages.insert(self._first + index, result)

    def _place(self, call_id: str | None) -> int:
        """Returns the index of the first call with this id that has no result, else of the last one with this id."""
        places = self._places[call_id]
        return next((place for place in places if not self._is_taken(place)), places[-1])

    def _is_taken(self, place: int) -> bool:
        index = bisect_left(self._taken, place)
        return index < len(self._taken) and self._taken[index] == place


def _find_call(messages: list[Message], call_id: str | None) -> int | None:
    """Returns the index of the newest reply that made a call; a provider may use an id again in a later turn."""
    for index in range(len(messages) - 1, -1, -1):
        if any(call.id == call_id for call in messages[index].tool_calls):
            return index
    return None


def _edit_call(messages: list[Message], data: dict[str, Any]) -> None:
    """Gives a call the arguments that a person approved instead of the model's."""
    edited, call_id = data.get("edited"), data.get("call") or data.get("id")
    if not isinstance(edited, dict) or "arguments" not in edited:
        return
    asked = _find_call(messages, call_id)
    if asked is None:
        return
    arguments = edited["arguments"]
    text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    change = {"arguments": text, "edited_by": str(data.get("by") or "a person")}
    calls = [call.model_copy(update=change) if call.id == call_id else call for call in messages[asked].tool_calls]
    messages[asked] = _changed(messages[asked], tool_calls=calls)


def _guard(messages: list[Message], data: dict[str, Any]) -> None:
    """Replaces a message by what a guard has made of it."""
    content = data.get("content")
    text = BLOCKED.format(reason=data.get("blocked")) if content is None else str(content)
    for index, message in enumerate(messages):
        if message.seq == data.get("message") and not message.summary:
            changes = {"content": text} if content is not None else {"content": text, "attachments": []}
            messages[index] = _changed(message, **changes)


def _numbers(pairs: list[list[int]] | None) -> set[int]:
    return {seq for first, last in pairs or () for seq in range(first, last + 1)}


def _changed(message: Message, **changes: Any) -> Message:
    """Returns a copy with other values, without the JSON text that the original has cached."""
    fields = {name: getattr(message, name) for name in message.model_fields_set} | (message.model_extra or {})
    return Message.model_construct(**{**fields, **changes})
