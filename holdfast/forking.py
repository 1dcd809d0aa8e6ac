"""Points of a run's log at which another run can begin, and the prefix that it begins with. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from holdfast.checkpoints import find_checkpoint
from holdfast.context import context_of, in_force, open_calls
from holdfast.errors import UsageError
from holdfast.types import Entry, ForkedFrom, Message, ToolCall
from holdfast.workspace_log import workspace_at
from holdfast.workspace_states import WorkspacePoint

MAX_PREFIX_BYTES = 16_000_000
"""Of the entries that a fork copies: its history holds them twice, and Temporal ends a run whose history has 50 MB."""
NOT_RUN = "not run in this fork"
"""The result of a tool call that the origin had not finished at the point."""
SHOWN_CALLS = 20  # in a message

_TURN = re.compile(r"(?:turn-)?(\d{1,9})")
_MESSAGE = re.compile(r"(?:message-|m)(\d{1,9})")


def point_of(entries: Sequence[Entry], at: str | None, run_id: str) -> int:
    """Returns the seq of the last entry before a point.

    Args:
        entries: the log of the run, from entry 0.
        at: `3` or `turn-3`, the end of a turn; `message-5` or `m5`, a message; the name of a checkpoint; `None` means
            everything that is recorded.
        run_id: the run, for messages.

    Raises:
        UsageError: the run has no such point; the message says which it has.
    """
    if not entries:
        raise UsageError(f"run {run_id!r} has recorded nothing yet: fork it when it has begun")
    if at is None:
        return _newest(entries)
    return _with_verdict(entries, _named_point(entries, at, run_id))


def _named_point(entries: Sequence[Entry], at: str, run_id: str) -> int:
    if match := _TURN.fullmatch(at):
        found = [entry.seq for entry in in_force(entries) if entry.turn == int(match[1]) and _ends_turn(entry)]
    elif match := _MESSAGE.fullmatch(at):
        found = [entry.seq for entry in entries if (message := entry.message) and message.seq == int(match[1])]
    else:
        return find_checkpoint(entries, at, run_id).ref.seq
    if not found:
        raise UsageError(f"run {run_id!r} has no point {at!r}: {_known(entries)}")
    return found[-1]


def check_prefix(entries: Sequence[Entry], *, has_message: bool, session: bool) -> None:
    """Checks that a run can continue from a prefix.

    Args:
        entries: the prefix.
        has_message: whether a message follows it.
        session: whether the fork waits for the next message, instead of ending after an answer.

    Raises:
        UsageError: it is too large, has no input yet, or ends with an answer and no message follows.
    """
    size = sum(entry.size for entry in entries)
    if size > MAX_PREFIX_BYTES:
        raise UsageError(
            f"the log up to entry {entries[-1].seq} has {size:,} bytes, but a fork copies at most "
            f"{MAX_PREFIX_BYTES:,}: fork at an earlier turn"
        )
    messages = context_of(entries).messages
    if session and messages:
        return
    if not any(found.role == "user" for found in messages):
        raise UsageError("the point is before the input of the run: fork at turn 0 or later")
    if messages[-1].role == "assistant" and not messages[-1].tool_calls and not has_message:
        raise UsageError(
            "the fork would end at once, as the model has answered at this point: add a message, or fork at an "
            "earlier turn"
        )


def edited_results(entries: Sequence[Entry], results: Mapping[str, str]) -> dict[int, str]:
    """Returns the new contents of tool results, by the seq of their entries.

    Args:
        entries: the prefix.
        results: contents by the id of the call, or by turn and id (`3/call_1`) if several turns have the id.

    Raises:
        UsageError: the prefix has no result of a call, or several; the message says which calls it has.
    """
    found: dict[int, str] = {}
    for reference, content in results.items():
        places = [entry for entry in entries if _answers(entry, reference)]
        if not places:
            raise UsageError(f"no call {reference!r} has a result before the point: {_calls(entries)}")
        if len(places) > 1:
            named = ", ".join(f"{entry.turn}/{reference}" for entry in places[:SHOWN_CALLS])
            raise UsageError(f"several turns have a call {reference!r}; name one of {named}")
        found[places[0].seq] = content
    return found


@dataclass(frozen=True, slots=True)
class Prefix:
    """The log of another run, up to a point, that a fork begins with."""

    origin: ForkedFrom
    entries: Sequence[Entry]
    """From entry 0, which the fork replaces by its own start."""

    def copies(self, system_prompt: str, results: Mapping[str, str]) -> Iterator[tuple[Entry, dict[str, Any]]]:
        """Yields each entry after entry 0, with the data that it has in the fork.

        Args:
            system_prompt: that of the fork.
            results: see `edited_results`, whose errors it raises.
        """
        edits = edited_results(self.entries, results)
        for entry in self.entries[1:]:
            message = entry.message
            if message is not None and message.seq == 0:
                yield entry, _with_content(entry, system_prompt)
            else:
                yield entry, _with_content(entry, edits[entry.seq]) if entry.seq in edits else entry.data

    @property
    def messages(self) -> list[Message]:
        """The context at the point."""
        return context_of(self.entries).messages

    @property
    def active(self) -> str | None:
        """The agent that acts at the point, as in `AgentSpec.acting`."""
        return context_of(self.entries).active

    @property
    def answer(self) -> Message | None:
        """The answer of the model at the point; `None` if it has not answered there."""
        messages = context_of(self.entries).messages
        last = messages[-1] if messages else None
        return last if last is not None and last.role == "assistant" and not last.tool_calls else None

    @property
    def is_restored(self) -> bool:
        """Whether the run went back to an earlier point, and nothing was said since then."""
        said = (entry for entry in reversed(self.entries) if entry.kind == "restored" or entry.message)
        newest = next(said, None)
        return newest is not None and newest.kind == "restored"

    @property
    def turn_of_calls(self) -> int:
        """The turn of the newest reply that counts."""
        replies = (
            entry for entry in reversed(in_force(self.entries)) if (said := entry.message) and said.role == "assistant"
        )
        reply = next(replies, None)
        return reply.turn if reply else 0

    @property
    def workspace(self) -> WorkspacePoint:
        """The state of the workspace at the point."""
        return workspace_at(self.entries)

    def open_waits(self) -> list[Entry]:
        """Returns the entries of the waits that have not ended at the point."""
        found: dict[str, Entry] = {}
        for entry in self.entries:
            if entry.kind == "wait":
                found[str(entry.data["wait"]["id"])] = entry
            elif entry.kind == "wait_ended":
                found.pop(str(entry.data.get("id")), None)
        return list(found.values())

    def open_calls(self) -> list[ToolCall]:
        """Returns the calls that have no result at the point."""
        return open_calls(context_of(self.entries))


def _with_content(entry: Entry, content: str) -> dict[str, Any]:
    """Returns the data of an entry whose message has another content; an edited result is not an error."""
    data = {**entry.data, "message": {**entry.data["message"], "content": content}}
    return {**data, "error": False} if entry.kind == "tool_result" else data


def _with_verdict(entries: Sequence[Entry], seq: int) -> int:
    """Returns a point after what the guards have said about an answer at a point."""
    following = takewhile(lambda entry: entry.message is None, entries[seq + 1 :])
    said = [entry.seq for entry in following if entry.kind == "guard" and entry.data.get("on") == "output"]
    return said[-1] if said else seq


def _newest(entries: Sequence[Entry]) -> int:
    return max((entry.seq for entry in entries if entry.kind != "finish"), default=-1)


def _ends_turn(entry: Entry) -> bool:
    message = entry.message
    return message is not None and (entry.turn == 0 or message.role in ("assistant", "tool"))


def _answers(entry: Entry, reference: str) -> bool:
    if entry.kind != "tool_result":
        return False
    call = entry.data["message"].get("tool_call_id")
    return reference in (call, f"{entry.turn}/{call}")


def _known(entries: Sequence[Entry]) -> str:
    turns = max((entry.turn for entry in entries), default=0)
    messages = max((message.seq for entry in entries if (message := entry.message)), default=0)
    return f"it has the turns 0 to {turns} and the messages 0 to {messages}"


def _calls(entries: Sequence[Entry]) -> str:
    shown = list(_references(entries))
    more = f" and {len(shown) - SHOWN_CALLS} more" if len(shown) > SHOWN_CALLS else ""
    return f"the calls with a result are {', '.join(shown[:SHOWN_CALLS]) or 'none'}{more}"


def _references(entries: Sequence[Entry]) -> Iterator[str]:
    for entry in entries:
        if entry.kind == "tool_result":
            yield f"{entry.turn}/{entry.data['message'].get('tool_call_id')} ({entry.data.get('tool')})"
