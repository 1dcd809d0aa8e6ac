"""Compaction: what of a context is cleared or summarized when it comes near the model's limit. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from holdfast import estimates
from holdfast.context import CLEARED, spans
from holdfast.estimates import MESSAGE_BYTES, message_size, text_size, tools_size
from holdfast.messages import Compaction, CompactionOrder
from holdfast.types import AgentSpec, Context, Message

TARGET = 0.5
"""Part of the window that the context may have after a compaction; a second one in a row aims at half of it."""
RECENT = 0.25
"""Part of the window that the last turns may have, which stay as they are; the very last one always does."""
REQUESTS = 0.15
"""Part of the window that the person's newest messages may have, which stay; the very last one always does."""
SOURCE = 0.6
"""Part of the window that the text to summarize may have."""
SUMMARY_TOKENS, SUMMARY_PART = 1_500, 0.1
"""Room for the summary: at most this many tokens, and this part of the window."""
WORDS_PER_TOKEN = 0.5
MIN_SAVED = 200  # bytes; a summary that saves less is not made
CUTS = (8_000, 2_000, 500, 120)
"""Characters of each message in the text to summarize: the first number with which it fits."""
DROPPED_SETTINGS = frozenset({"tool_choice", "parallel_tool_calls", "response_format", "stop", "functions"})

INSTRUCTIONS = """You write the summary that replaces a part of an AI agent's conversation, so that the agent can
continue its work without that part.
State what the person wants, and every constraint they named; what was decided, and why; what was found, with the exact
names, numbers, paths, ids and quotes that may be needed again; what was done, and its effects; what is still open.
Use short factual lines. Invent nothing. Do not continue the work, and call no tools. Write at most {words} words."""


@dataclass(frozen=True, slots=True)
class Cut:
    """What a compaction takes out of a context."""

    cleared: frozenset[int]
    """Seqs of results that are cleared."""
    summarized: frozenset[int]
    """Seqs of messages that a summary replaces; empty if clearing is enough, or nothing can be summarized."""
    tokens_before: int
    tokens_per_byte: float
    window: float
    """Bytes that the model accepts, or that the context is to have at most."""

    @property
    def summary_bytes(self) -> float:
        """Room for the summary."""
        return min(SUMMARY_TOKENS / self.tokens_per_byte, SUMMARY_PART * self.window)

    def settled(self, context: Context, summary: str, error: str | None = None) -> Compaction:
        """Returns what was done, with the summary if there is one."""
        summarized = self.summarized if summary else frozenset[int]()
        after = _size(context.spec, context.messages, self.cleared, summarized) + (
            text_size(summary) if summarized else 0
        )
        done = Compaction(tokens_before=self.tokens_before, tokens_after=round(after * self.tokens_per_byte))
        if cleared := self.cleared - summarized:
            done.cleared = spans(cleared)
        if summarized:
            done.summarized = spans(summarized)
        if error is not None:
            done.error = error
        return done


def plan(context: Context, order: CompactionOrder) -> Cut:
    """Returns what to clear, and what to summarize if clearing old results is not enough.

    The system prompt, pinned messages, the person's newest messages and the last turns stay, and calls stay with their
    results.
    """
    size = _size(context.spec, context.messages)
    tokens = order.tokens or estimates.tokens(size)
    limit = tokens if order.asked else (order.window or tokens)
    cut = Cut(frozenset(), frozenset(), tokens, tokens / size, window=limit * size / tokens)
    room = cut.window * (0.5 if order.harder else 1)
    turns = _turns(context.messages)
    kept = _recent(turns, room * RECENT) | _requests(context.messages, room * REQUESTS)
    cleared = frozenset(message.seq for message in context.messages if message.seq not in kept and _clearable(message))
    cut = replace(cut, cleared=cleared)
    after = _size(context.spec, context.messages, cleared)
    if not order.asked and cleared and after <= room * TARGET:
        return cut
    summarized = frozenset(
        message.seq for turn in turns if not _stays(turn) for message in turn if message.seq not in kept
    )
    saved = (size if order.asked else after) - _size(context.spec, context.messages, cleared, summarized)
    is_shorter = saved > max(cut.summary_bytes, MIN_SAVED)
    return replace(cut, summarized=summarized) if is_shorter else cut


def summary_request(context: Context, cut: Cut, order: CompactionOrder, *, part: float = 1.0) -> Context:
    """Returns the request for the summary: text only, so that any model and any provider takes it.

    Args:
        context: the whole context.
        cut: what is summarized.
        order: its `focus` is named in the request.
        part: of the text that has room; smaller if the model has refused more.
    """
    limit = max(int((order.window or cut.tokens_before) / cut.tokens_per_byte * SOURCE), 1_000)
    messages = [message for message in context.messages if message.seq in cut.summarized]
    source = _text(messages, limit)
    if part < 1:
        source = _text(messages, int(len(source) * part))
    focus = f"\n\nThe person asks that the summary keeps in particular: {order.focus}" if order.focus else ""
    settings = {name: value for name, value in context.spec.model_settings.items() if name not in DROPPED_SETTINGS}
    instructions = INSTRUCTIONS.format(words=round(cut.summary_bytes * cut.tokens_per_byte * WORDS_PER_TOKEN))
    changes = {"system_prompt": instructions, "model_settings": settings}
    spec = context.spec.model_copy(update={**changes, "tools": [], "output": None})
    request = f"<conversation>\n{source}\n</conversation>\n\nSummarize this part of the conversation.{focus}"
    asked = [Message(seq=0, role="system", content=instructions), Message(seq=1, role="user", content=request)]
    return Context.model_construct(spec=spec, messages=asked)


def _stays(turn: list[Message]) -> bool:
    return any(message.pinned or message.role == "system" for message in turn)


def _turns(messages: Sequence[Message]) -> list[list[Message]]:
    """Splits messages so that each reply is with the results of its calls, and any other message is alone."""
    turns: list[list[Message]] = []
    for message in messages:
        if message.role == "tool" and turns:
            turns[-1].append(message)
        else:
            turns.append([message])
    return turns


def _recent(turns: Sequence[list[Message]], room: float) -> set[int]:
    """Returns the seqs of the last turns that have room, at least of the last reply and what follows it."""
    kept: set[int] = set()
    has_reply = False
    for turn in reversed(turns):
        room -= sum(map(message_size, turn))
        if room < 0 and has_reply:
            break
        kept |= {message.seq for message in turn}
        has_reply = has_reply or turn[0].role == "assistant"
    return kept


def _requests(messages: Sequence[Message], room: float) -> set[int]:
    """Returns the seqs of the person's newest messages that have room, at least of the last one."""
    kept: set[int] = set()
    for message in reversed(messages):
        if message.role == "user" and not message.summary:
            room -= message_size(message)
            if room < 0 and kept:
                break
            kept.add(message.seq)
    return kept


def _clearable(message: Message) -> bool:
    return message.role == "tool" and not message.pinned and len(message.content) > 2 * len(CLEARED)


def _size(
    spec: AgentSpec,
    messages: Iterable[Message],
    cleared: frozenset[int] = frozenset(),
    summarized: frozenset[int] = frozenset(),
) -> int:
    """Returns the bytes of a request, after what is taken out of it."""
    total = tools_size(spec)
    for message in messages:
        if message.seq not in summarized:
            total += len(CLEARED) + MESSAGE_BYTES if message.seq in cleared else message_size(message)
    return max(total, 1)


def _text(messages: Sequence[Message], limit: int) -> str:
    """Returns messages as text of at most `limit` characters, long ones cut, and if need be without those between."""
    text = ""
    for cut in CUTS:
        text = "\n\n".join(_shown(message, cut) for message in messages)
        if len(text) <= limit:
            return text
    half = limit // 2
    return f"{text[:half]}\n\n[… a part is left out …]\n\n{text[-half:]}"


def _shown(message: Message, limit: int) -> str:
    if message.summary:
        return f"summary of what came before: {message.content}"
    lines = [f"{message.role}: {_short(message.content, limit)}"] if message.content else []
    lines += [f"{message.role} calls {call.name}({_short(call.arguments, limit)})" for call in message.tool_calls]
    return "\n".join(lines)


def _short(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit * 3 // 4]} […] {text[-limit // 4 :]}"
