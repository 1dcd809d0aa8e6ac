"""What Holdfast needs from the outside, as protocols; adapters stand in `models/` and `store/`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

from pydantic import JsonValue

from holdfast.events import BusEvent
from holdfast.protocol import RunSnapshot
from holdfast.types import (
    AgentSpec,
    Context,
    Entry,
    EntryBatch,
    Message,
    MirroredRun,
    ModelReply,
    RunId,
    RunSummary,
    TranscriptRef,
)

MISSING = "missing"
EXTRA = "not in the log"


@dataclass(frozen=True, slots=True)
class RowDifference:
    """A row that is not as the run's log has it."""

    table: str
    seq: int | None
    """Of an entry; in table `message` of a message; None: the row is the run's own, or an edge."""
    what: str
    """`missing`, `not in the log`, or `altered: ` and the names of the fields."""
    key: tuple[int | str, ...] = ()
    """What follows the run id in the row's id, where it is more than the seq: turn and call id of a tool call."""

    def __str__(self) -> str:
        place = self.table if self.seq is None else f"{self.table} {self.seq}"
        return f"{place}{self._detail()}: {self.what}"

    def _detail(self) -> str:
        return f" (turn {self.key[0]}, call {self.key[1]!r})" if self.table == "tool_call" and self.key else ""


class Cipher(Protocol):
    """Makes text unreadable for whoever has the database alone."""

    def seal(self, text: str) -> str:
        """Encrypts; the same text gives the same each time."""
        ...

    def unseal(self, text: str) -> str:
        """What `seal` was given; text that was never sealed is given back as it is.

        Raises:
            PayloadUnreadable: the key is not here, or the text was altered.
        """
        ...


@runtime_checkable
class Store(Protocol):
    """Holds the mirror of every run.

    Every method may raise StoreUnavailable; a store that was away works again, without
    being made anew, once what it stands on is back.
    """

    async def open(self) -> None:
        """Makes ready and applies the schema; may be called again. Other methods open by themselves."""

    async def append(self, batch: EntryBatch) -> TranscriptRef:
        """Writes a batch in one transaction and gives the mirror's newest entry.

        Appending what is already there changes nothing. A batch of a newer `chain` (by
        `summary.started_at`) replaces all that an older one left; a batch of an older chain changes nothing.

        Raises:
            MirrorGap: entries before the batch are missing, or do not lead to `previous_digest`.
        """
        ...

    async def context(self, run_id: RunId, upto: TranscriptRef) -> Context:
        """The definition and the messages of a run up to and with entry `upto`.

        Raises:
            TranscriptUnavailable: the run is not there, not that far, or has another digest there.
        """
        ...

    async def entries(self, run_id: RunId, after: int = -1, limit: int = 1000) -> list[Entry]:
        """Entries with `seq > after`, oldest first, exactly as they were appended; empty when there are none."""
        ...

    async def messages(self, run_id: RunId, after: int = -1, limit: int = 1000) -> list[Message]:
        """Transcript messages with `seq > after`, oldest first."""
        ...

    async def summary(self, run_id: RunId) -> RunSummary | None:
        """The run's row; None when the mirror does not know it."""
        ...

    async def head(self, run_id: RunId) -> TranscriptRef | None:
        """The newest entry of a run; None when there is none."""
        ...

    async def run(self, run_id: RunId) -> MirroredRun | None:
        """The run's row, in one small read; None when the mirror does not know it."""
        ...

    async def runs(self, after: RunId | None = None, limit: int = 1000) -> list[MirroredRun]:
        """A page of all rows, ordered by run id, from the first id that is greater than `after`."""
        ...

    async def run_ids(self, after: RunId | None = None, limit: int = 1000, *, unfinished: bool = False) -> list[RunId]:
        """A page of the ids of all runs, in order, from the first that is greater than `after`.

        Args:
            after: None: from the beginning.
            limit: at most so many.
            unfinished: only runs whose row does not say that they have ended.
        """
        ...

    async def conclude(self, run: MirroredRun) -> bool:
        """Gives a run the end that it could not record itself: terminated, timed out by the server.

        Only the summary is written, and only if the stored row has the same chain and head and is not final. A run
        that recorded nothing (a head of seq -1 without digest) gets its row by this, if there is none.

        Returns:
            Whether the row now says so by this call.
        """
        ...

    async def differences(self, log: EntryBatch) -> list[RowDifference]:
        """Holds every row of a run against its log; empty when all are as the log has them.

        Args:
            log: everything up to the head that the run's row shall have, in one batch.
        """
        ...

    async def repair(self, log: EntryBatch, seen: TranscriptRef | None) -> bool:
        """Writes and deletes the rows of a run that are not as its log has them, whatever they claim to be.

        What is right stays readable all the while. Broken off in the middle, it has repaired a part.

        Args:
            log: as `differences` takes it.
            seen: what `head` gave before the log was read; with another head nothing is written, as then the log
                may be the older of the two.

        Returns:
            Whether all were written; False: the run has other writers, look again.
        """
        ...

    async def delete(self, run_id: RunId, *, seen: TranscriptRef | None = None) -> None:
        """Forgets a run with all its rows; one that is not there is no error.

        Args:
            run_id: of the run.
            seen: what `head` gave when it was decided; with another head nothing is deleted, as the run goes on.
                None: whatever there is.
        """

    async def close(self) -> None:
        """Lets go of everything; may be called twice."""


class ChatModel(Protocol):
    """Calls language models."""

    async def complete(
        self,
        spec: AgentSpec,
        messages: list[Message],
        *,
        model: str | None,
        on_text: Callable[[str], None],
    ) -> ModelReply:
        """Makes one streamed model call.

        Args:
            spec: gives the tools, the model and its settings.
            messages: the context, oldest first.
            model: overrides `spec.model`; when both are None the adapter's default answers.
            on_text: called with each piece of text as it arrives.

        Cancelling the awaiting task closes the HTTP stream at once. CancelledError is then raised;
        what arrived until then has gone through `on_text`.

        Raises:
            ModelUnavailable: worth another attempt.
            ModelRefused: not worth one.
            ContextOverflow: the context is too large for the model.
        """
        ...

    async def close(self) -> None:
        """Closes connections."""


class EventSubscription(Protocol):
    """Events of one topic, in order, each once: for one `async for`."""

    async def __aenter__(self) -> Self:
        """Takes its place at once, rather than when the first event is asked for."""
        ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends it."""

    def __aiter__(self) -> Self:
        """The subscription itself."""
        ...

    async def __anext__(self) -> BusEvent:
        """Waits for the next event; a bus that is away is waited for.

        Raises:
            StopAsyncIteration: the bus, or this subscription, was closed.
            SubscriberTooSlow: more events waited than are kept for one subscriber; `resume_after` says where to go on.
            EventsPruned: events after the given offset are no longer there; so does it here.
            PayloadUnreadable: an event is encrypted, and its key is not here.
        """
        ...

    async def aclose(self) -> None:
        """Ends it; may be called twice."""


class EventBus(Protocol):
    """Carries events from who makes them to whoever wants to know, topic by topic."""

    async def publish(
        self, topic: str, *items: Mapping[str, JsonValue], transient: bool = False, key: str | None = None
    ) -> int:
        """Adds events to a topic, all or none, next to each other, and gives the last one's offset.

        Args:
            topic: text of 1 to 1,000 characters; a run's is `run/<run id>`.
            items: JSON objects, at most 1 MiB each.
            transient: live only: subscribers of this moment get them, and later ones what is not yet forgotten, the
                newest 2,000 at most.
            key: makes publishing safe to repeat: where this topic has events of this key, nothing is added, and their
                offset is given; not for transient events.

        Raises:
            UsageError: an argument is not accepted.
            StoreUnavailable: nobody knows whether they were kept. Published again without a `key`, they may be there
                twice.
        """
        ...

    async def forget(self, topic: str, upto: int) -> None:
        """Drops the transient events of a topic up to and with this offset: what they announced is complete."""

    async def prune(self, before: datetime) -> int:
        """Deletes events that were published before a time, and gives their number; offsets are not given again.

        Raises:
            StoreUnavailable: they could not be deleted, or not all.
        """
        ...

    async def read(self, topic: str, after: int = 0, limit: int = 200) -> list[BusEvent]:
        """Events with `offset > after` that are there now, oldest first; none: there are no more.

        Args:
            topic: see `publish`.
            after: see `subscribe`.
            limit: some so many at a time, at least one.

        Raises:
            UsageError: an argument is not accepted.
            EventsPruned: events after the given offset are no longer there.
            StoreUnavailable: they cannot be read.
        """
        ...

    def subscribe(self, topic: str, after: int | None = None) -> EventSubscription:
        """Events with `offset > after` and all that follow, each once, in order.

        Args:
            topic: see `publish`.
            after: the offset of the last event that one has; 0: everything that is kept; None: from now on, which
                is when the subscription is entered (`async with`), or else when its first event is asked for.

        Raises:
            UsageError: an argument is not accepted.
        """
        ...

    async def close(self) -> None:
        """Ends all subscriptions."""


class RunLog(Protocol):
    """Reads a run's log from Temporal's history, where the truth is."""

    def entries(self, run_id: RunId, after: int = -1) -> AsyncIterator[Entry]:
        """All entries with `seq > after`, over continue-as-new, open run or closed.

        Raises:
            RunNotFound: no run has this id, or the beginning of its history is gone.
            WorkerUnavailable: nobody is there to replay the history.
        """
        ...

    def batches(self, run_id: RunId) -> AsyncIterator[EntryBatch]:
        """The whole log, ready to be appended to a store; raises what `entries` raises."""
        ...

    async def snapshot(self, run_id: RunId) -> RunSnapshot:
        """Where a run stands; raises what `entries` raises."""
        ...

    async def is_catching_up(self, run_id: RunId) -> bool:
        """Whether something that the run left behind is to complete its mirror."""
        ...


BusSource = Callable[[], "EventBus | None"]
"""Returns a bus when it is first needed; None: there is none that others publish to."""
