"""Conversion of a run's log to recorded model calls."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from holdfast.chat_requests import normalised
from holdfast.context import context_of, extend
from holdfast.inlining import inlined
from holdfast.messages import Message
from holdfast.models.request import Concessions, request_body
from holdfast.scripted.cassette import Interaction, RecordedCall, RecordedReply
from holdfast.types import AgentSpec, Attachment, Context, Entry, RunId
from holdfast.usage import Usage

DEFAULT_MODEL = "\0"  # no model is named like this


@dataclass
class Recording:
    """What the log of a run has of its model calls."""

    interactions: list[Interaction] = field(default_factory=list)
    """Its own calls in order, without those that a fork has copied."""
    summaries: int = 0
    """Summaries of a compaction, whose requests the log does not have."""
    interrupted: int = 0
    """Replies that were interrupted."""
    children: list[RunId] = field(default_factory=list)
    """The runs that it has started, in the order of their answers."""


def recording_of(entries: Sequence[Entry], contents: Mapping[str, bytes] | None = None) -> Recording:
    """Returns the model calls of a run.

    The request of a reply is a function of the entries before it, as in the run itself.

    Args:
        entries: the log from entry 0, without gaps.
        contents: of the attachments, by digest; without one, its request has another key than the run's.

    Raises:
        TranscriptUnavailable: the log has no definition of the agent.
    """
    found = Recording()
    copied = _copied(entries)
    for entry, context in _with_contexts(entries):
        if entry.seq <= copied:
            continue
        message = entry.message
        if entry.kind == "compaction" and entry.data.get("summary"):
            found.summaries += 1
        elif message is None or message.role not in ("assistant", "tool"):
            continue
        elif message.role == "tool":
            found.children += [entry.data["run"]] if entry.data.get("run") else []
        elif message.partial:
            found.interrupted += 1
        else:
            found.interactions.append(
                Interaction(request=_request(context, contents or {}), reply=_reply(entry, message))
            )
    return found


def attachments_of(entries: Iterable[Entry]) -> Iterator[Attachment]:
    """Yields the images and files of messages."""
    for entry in entries:
        if entry.message is not None:
            yield from entry.message.attachments


def _with_contexts(entries: Sequence[Entry]) -> Iterator[tuple[Entry, Context]]:
    """Yields each entry after entry 0, with the context before it."""
    context = context_of(entries[:1])
    for place, entry in enumerate(entries[1:], 1):
        yield entry, context
        context = extend(context, [entry]) or context_of(entries[: place + 1])


def _copied(entries: Sequence[Entry]) -> int:
    """Returns the newest entry that a fork has copied; 0 if the run is not a fork."""
    forked = entries[0].data.get("forked") if entries else None
    return int(forked["seq"]) if forked else 0


def _request(context: Context, contents: Mapping[str, bytes]) -> dict[str, object]:
    spec: AgentSpec = context.spec
    # A call asks its first model first, whichever answered.
    attached = {each.digest for message in context.messages for each in message.attachments if each.digest}
    messages = list(inlined(context.messages, {digest: contents.get(digest, b"") for digest in attached}))
    body = request_body(spec, messages, next(iter(spec.models), DEFAULT_MODEL), Concessions())
    return normalised(json.loads(body), DEFAULT_MODEL)


def _reply(entry: Entry, message: Message) -> RecordedReply:
    usual = "tool_calls" if message.tool_calls else "stop"
    finish_reason, usage = entry.data.get("finish_reason"), Usage.model_validate(entry.data.get("usage") or {})
    return RecordedReply(
        content=message.content,
        tool_calls=[RecordedCall(name=call.name, arguments=call.arguments) for call in message.tool_calls],
        finish_reason=None if finish_reason == usual else finish_reason,
        model=entry.data.get("model"),
        usage=usage if usage.total_tokens else None,
    )
