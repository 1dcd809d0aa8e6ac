"""Logs of runs that Hypothesis generates, and ways in which they may reach a mirror."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from hypothesis import strategies as st

from holdfast.storage.mirror.sample import SPEC
from holdfast.types import (
    Entry,
    EntryBatch,
    EntryKind,
    ForkedFrom,
    Message,
    RunError,
    RunResult,
    RunStatus,
    RunSummary,
    ToolCall,
    TranscriptRef,
    Usage,
)

BIRTH = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
FAILURE = RunError(type="MaxTurnsExceeded", message="no answer\0after 3 turns")

ODD_TEXTS = (
    "",
    "\0",
    "a\0b",
    "\ud800",
    "\udfff\ud800",
    "\U0001f600",
    "\u202e\u05d0 rtl",
    "\ufffd",
    "\uffff",
    "'⟩`\\",
    "NONE",
)
texts = st.sampled_from(ODD_TEXTS) | st.text(st.characters(), max_size=20)
"""Any text that JSON can carry, lone surrogates too."""

numbers = (
    st.sampled_from([2**63, -(2**63) - 1, 2**200, -0.0, 1e308, 5e-324]) | st.integers() | st.floats(allow_nan=False)
)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
"""Any value of a JSON document."""


@dataclass(frozen=True)
class Turn:
    """The tool calls of a turn, and their outcomes."""

    text: str
    calls: tuple[str, ...]
    """Ids, which a model may use twice; empty if the model has answered."""
    answers: tuple[int, ...]
    """Indices into `calls`, in the order in which they ended; fewer if the run was interrupted."""
    extra: Any
    """Carried by each entry."""
    checkpoint: str | None = None
    """Name of a checkpoint that is made at the end; `None` means none."""
    waits: tuple[bool, ...] = ()
    """What the calls wait for, and whether each wait has ended."""


@dataclass(frozen=True)
class Log:
    """A run's whole log, as a workflow records it."""

    turns: tuple[Turn, ...]
    ended: bool
    parent: str | None = None
    forked: ForkedFrom | None = None
    chain: str = "only life"
    started_at: datetime = BIRTH
    run_id: str = field(default_factory=lambda: f"run-{uuid.uuid4()}")
    news: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the summary that this version does not know."""
    entries: list[Entry] = field(default_factory=list, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Records everything."""
        self._add("start", 0, agent=SPEC.model_dump(mode="json"), request={})
        self._say(0, "user", "go")
        for number, turn in enumerate(self.turns, start=1):
            self._take(number, turn)
        if self.ended:
            self._add("finish", len(self.turns), result=self._result().model_dump(mode="json"))

    @property
    def head(self) -> TranscriptRef:
        """The newest entry."""
        return self.entries[-1].ref

    @property
    def messages(self) -> list[Message]:
        """The whole transcript."""
        return [message for entry in self.entries if (message := entry.message)]

    def other(self, **changes: Any) -> Log:
        """Another log of the same run id."""
        return replace(self, entries=[], **changes)

    def continues(self, other: Log) -> bool:
        """Whether this log is the other one, and perhaps more."""
        return self.entries[: len(other.entries)] == other.entries

    def from_the_future(self) -> Log:
        """The same log with things in it that only a later version knows."""
        future = self.other(news={"plan": ["b"]})
        future.entries.clear()
        for entry in self.entries[:-1]:
            message = {"message": entry.data["message"] | {"tone": "dry"}} if entry.message else {}
            future._add(entry.kind, entry.turn, **entry.data | message)
        future._add("thought", 1, about="the weather")
        future.entries[-1] = Entry.model_validate(dict(future.entries[-1]) | {"mood": {"calm": 2**70}}, extra="allow")
        future._add(self.entries[-1].kind, self.entries[-1].turn, **self.entries[-1].data)
        return future

    def batch(self, first: int = 0, end: int | None = None) -> EntryBatch:
        """Entries from `first` to before `end`, with the summary of that time."""
        entries = self.entries[first:end]
        before = self.entries[first - 1].digest if first else ""
        return EntryBatch(
            run_id=self.run_id,
            chain=self.chain,
            previous_digest=before,
            entries=entries,
            summary=self.summary(entries[-1].seq),
        )

    def summary(self, seq: int) -> RunSummary:
        """The run as it was at entry `seq`."""
        last, over = self.entries[seq], self.entries[seq].kind == "finish"
        known = RunSummary(
            run_id=self.run_id,
            agent=SPEC.name,
            status=RunStatus.FAILED if over else RunStatus.RUNNING,
            turn=last.turn,
            usage=Usage(requests=last.turn, input_tokens=2**60 * last.turn, cost_usd=last.turn / 7),
            tool_calls=seq,
            input=self.turns[0].text,
            parent=self.parent,
            forked=self.forked,
            model="model\0x" if last.turn else None,
            error=FAILURE if over else None,
            started_at=self.started_at,
            finished_at=last.at if over else None,
        )
        return RunSummary.model_validate(dict(known) | dict(self.news), extra="allow")

    def _result(self) -> RunResult:
        return RunResult(
            run_id=self.run_id, agent=SPEC.name, status=RunStatus.FAILED, error=FAILURE, started_at=self.started_at
        )

    def _take(self, number: int, turn: Turn) -> None:
        calls = [ToolCall(id=call, name=f"tool {call}", arguments=turn.text) for call in turn.calls]
        self._say(number, "assistant", turn.text, tool_calls=calls, extra=turn.extra)
        began = [self._begin_wait(number, place, turn) for place in range(len(turn.waits))]
        for index in turn.answers:
            facts = {"tool": calls[index].name, "error": index == 1, "seconds": index / 3, "extra": turn.extra}
            self._say(number, "tool", f"{turn.text} {index}", answers=calls[index].id, **facts)
        for place, seq in enumerate(began):
            if turn.waits[place]:
                self._add("wait_ended", number, id=f"{number}/{place}", outcome="denied", by=turn.text, began=seq)
        if turn.checkpoint is not None:
            made = f"{turn.checkpoint}{number}"
            self._add("checkpoint", number, id=made, name=turn.checkpoint, data=turn.extra, by=turn.text)

    def _begin_wait(self, number: int, place: int, turn: Turn) -> int:
        since = (self.started_at + timedelta(seconds=len(self.entries))).isoformat()
        wait = {"id": f"{number}/{place}", "kind": "approval", "since": since, "what": turn.text}
        self._add("wait", number, wait=wait | {"data": {"call": turn.text}})
        return len(self.entries) - 1

    def _say(
        self,
        turn: int,
        role: str,
        content: str,
        *,
        tool_calls: Sequence[ToolCall] = (),
        answers: str | None = None,
        **data: Any,
    ) -> None:
        message = Message.model_validate(
            {
                "seq": len(self.messages),
                "role": role,
                "content": content,
                "tool_calls": list(tool_calls),
                "tool_call_id": answers,
            }
        )
        kind: EntryKind = "tool_result" if role == "tool" else "message"
        self._add(kind, turn, message=message.model_dump(mode="json"), **data)

    def _add(self, kind: EntryKind | str, turn: int, **data: Any) -> None:
        previous = self.entries[-1].digest if self.entries else ""
        at = self.started_at + timedelta(seconds=len(self.entries))
        seq, known = len(self.entries), cast("EntryKind", kind)
        self.entries.append(Entry.chained(previous, seq=seq, at=at, kind=known, turn=turn, data=data))


Slice = tuple[int, int]
"""Of a log: the first entry, and the one behind the last."""


@dataclass(frozen=True)
class Delivery:
    """How a log is sent."""

    log: Log
    writers: tuple[tuple[Slice, ...], ...]
    """What each sends, in this order; together, everything."""


@st.composite
def turns(draw: st.DrawFn, *, last: bool) -> Turn:
    """A turn; only the last may leave calls open."""
    calls = tuple(draw(st.lists(st.sampled_from(["a", "b", "b\0", "漢"]), max_size=3)))
    answers = tuple(draw(st.permutations(range(len(calls)))))
    if last:
        answers = answers[: draw(st.integers(0, len(calls)))]
    made = draw(st.none() | texts)
    waits = tuple(draw(st.lists(st.booleans(), max_size=2)))
    return Turn(text=draw(texts), calls=calls, answers=answers, extra=draw(values), checkpoint=made, waits=waits)


@st.composite
def logs(draw: st.DrawFn) -> Log:
    """A log of one to four turns."""
    count = draw(st.integers(1, 4))
    made = tuple(draw(turns(last=number == count)) for number in range(1, count + 1))
    return Log(turns=made, ended=draw(st.booleans()), parent=draw(st.none() | st.just("a parent") | texts))


@st.composite
def deliveries(draw: st.DrawFn) -> Delivery:
    """A log, cut anywhere, with pieces sent again, some overlapping, in any order, by up to three writers."""
    log = draw(logs())
    size = len(log.entries)
    cuts = sorted(draw(st.sets(st.integers(1, size - 1), max_size=5)))
    pieces = list(zip([0, *cuts], [*cuts, size], strict=True))
    pieces += draw(st.lists(st.sampled_from(pieces) | _slices(size), max_size=4))
    order = draw(st.permutations(pieces))
    count = draw(st.integers(1, 3))
    return Delivery(log, tuple(tuple(order[first::count]) for first in range(count)))


def _slices(size: int) -> st.SearchStrategy[Slice]:
    return st.tuples(st.integers(0, size - 1), st.integers(1, size)).filter(lambda ends: ends[0] < ends[1])
