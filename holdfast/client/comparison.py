"""A comparison of two runs: the first message that differs, and what each used."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import Any, Self

from holdfast.types import AgentSpec, Data, Entry, ForkedFrom, Message, RunId, RunResult, RunStatus, Text, Usage


class ComparedRun(Data):
    """One of the runs; of a fork, only what it did itself."""

    run_id: RunId
    agent: str
    model: str | None
    """The model of the last reply, as the provider named it."""
    status: RunStatus
    turns: int
    usage: Usage
    tool_calls: dict[str, int]
    """Number of calls by tool, most calls first."""
    seconds: float | None
    """Time from its start to its end; `None` if it is open."""
    output: Text
    """The answer; if there is none, the last text that the model wrote."""
    forked: ForkedFrom | None

    @classmethod
    def of(cls, run_id: RunId, status: RunStatus, entries: Sequence[Entry]) -> Self:
        """Reads a log; `status` counts if the log has no end."""
        start = entries[0].data
        forked = ForkedFrom.model_validate(start["forked"]) if "forked" in start else None
        own = [entry for entry in entries if entry.turn > (forked.turn if forked else 0)]
        replies = [entry for entry in own if (message := entry.message) and message.role == "assistant"]
        end = entries[-1] if entries[-1].kind == "finish" else None
        result = RunResult.model_validate(end.data["result"], extra="allow") if end else None
        texts = [message.content for entry in replies if (message := entry.message) and message.content]
        calls = Counter(str(entry.data.get("tool")) for entry in own if entry.kind == "tool_result")
        return cls(
            run_id=run_id,
            agent=AgentSpec.model_validate(start["agent"], extra="allow").name,
            model=next((str(model) for entry in reversed(replies) if (model := entry.data.get("model"))), None),
            status=result.status if result else status,
            turns=len(replies),
            usage=sum((_usage(entry) for entry in replies), Usage()),
            tool_calls=dict(sorted(calls.items(), key=lambda item: (-item[1], item[0]))),
            seconds=(end.at - entries[0].at).total_seconds() if end else None,
            output=(result.output if result else "") or (texts[-1] if texts else ""),
            forked=forked,
        )


class RunDiff(Data):
    """Two runs beside each other."""

    a: ComparedRun
    b: ComparedRun
    same: int
    """Number of messages at the beginning that both have; ids that providers chose are not compared."""
    first: tuple[Message | None, Message | None] | None
    """The message of each at which they diverge; one is `None` if a run has no more, both if they are equal."""

    @classmethod
    def of(cls, a: ComparedRun, b: ComparedRun, entries_of_a: Sequence[Entry], entries_of_b: Sequence[Entry]) -> Self:
        """Compares the transcripts of two logs."""
        same, first = 0, None
        for pair in zip_longest(_messages(entries_of_a), _messages(entries_of_b)):
            if _compared(pair[0]) != _compared(pair[1]):
                first = pair
                break
            same += 1
        return cls(a=a, b=b, same=same, first=first)


def _messages(entries: Iterable[Entry]) -> list[Message]:
    return [message for entry in entries if (message := entry.message)]


def _usage(entry: Entry) -> Usage:
    return Usage.model_validate(entry.data.get("usage") or {}, extra="allow")


def _compared(message: Message | None) -> Any:
    """Returns what counts of a message."""
    if message is None:
        return None
    calls = [(call.name, _arguments(call.arguments)) for call in message.tool_calls]
    return (message.role, message.content, calls, message.partial)


def _arguments(text: str) -> str:
    """Returns arguments in one form, so that spaces and the order of names do not count."""
    try:
        return json.dumps(json.loads(text), sort_keys=True)
    except (ValueError, RecursionError):
        return text
