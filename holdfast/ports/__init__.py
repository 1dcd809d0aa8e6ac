"""Ports: protocols of the adapters in `models/`, `storage/` and `temporal/`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

from pydantic import JsonValue

from holdfast.errors import StoreUnavailable
from holdfast.events import BusEvent
from holdfast.inbox import OpenWait
from holdfast.model_reply import ModelReply
from holdfast.protocol import RunSnapshot
from holdfast.types import (
    AgentSpec,
    Context,
    Entry,
    EntryBatch,
    Message,
    MirroredRun,
    RunId,
    RunSummary,
    TranscriptRef,
)

MISSING = "missing"
EXTRA = "not in the log"


@dataclass(frozen=True, slots=True)
class RowDifference:
    """A row that differs from the run's log."""

    table: str
    seq: int | None
    """`seq` of the entry, or of the message in table `message`; `None` for the run's row and for edges."""
    what: str
    """`missing`, `not in the log`, or `altered: ` and the names of the fields."""
    key: tuple[int | str, ...] = ()
    """Turn and call id, for rows of tool calls."""

    def __str__(self) -> str:
        place = self.table if self.seq is None else f"{self.table} {self.seq}"
        return f"{place}{self._detail()}: {self.what}"

    def _detail(self) -> str:
        return f" (turn {self.key[0]}, call {self.key[1]!r})" if self.table == "tool_call" and self.key else ""


class Cipher(Protocol):
    """Encrypts text that the database stores."""

    def seal(self, text: str) -> str:
        """Encrypts a text; the result for a text is always the same."""
        ...

    def unseal(self, text: str) -> str:
        """Decrypts the result of `seal`; any other text is returned unchanged.

        Raises:
            PayloadUnreadable: the key is missing, or the text was altered.
        """
        ...


@runtime_checkable
class Store(Protocol):
    """Stores the mirrors of runs.

    Every method may raise StoreUnavailable. The same store works again once its database is available again.
    """

    async def open(self) -> None:
        """Connects and applies the schema; may be called twice. Other methods open the store on demand."""

    async def append(self, batch: EntryBatch) -> TranscriptRef:
        """Writes a batch in one transaction and returns its last entry, which the mirror has then.

        Appending stored entries again changes nothing. A batch of a newer `chain` (by `summary.started_at`) replaces
        all rows of an older one; a batch of an older chain changes nothing.

        Raises:
            MirrorGap: entries before the batch are missing, or do not lead to `previous_digest`.
        """
        ...

    async def context(self, run_id: RunId, upto: TranscriptRef, later: Sequence[Entry] = ()) -> Context:
        """Returns the context of a run (`holdfast.context`) after entry `upto`, and after the entries `later`, if any.

        Raises:
            TranscriptUnavailable: the store does not have this entry, or it has another digest.
        """
        ...

    async def entries(self, run_id: RunId, after: int = -1, limit: int = 1000) -> list[Entry]:
        """Returns entries with `seq > after`, oldest first, exactly as they were appended."""
        ...

    async def messages(self, run_id: RunId, after: int = -1, limit: int = 1000) -> list[Message]:
        """Returns transcript messages with `seq > after`, oldest first."""
        ...

    async def summary(self, run_id: RunId) -> RunSummary | None:
        """Returns the summary in the run's row; `None` if there is no row."""
        ...

    async def head(self, run_id: RunId) -> TranscriptRef | None:
        """Returns the newest entry of a run; `None` if there is none."""
        ...

    async def run(self, run_id: RunId) -> MirroredRun | None:
        """Returns the run's row, in one small read; `None` if there is no row."""
        ...

    async def is_complete(self, run: MirroredRun) -> bool:
        """Returns whether there are as many entries as the run's head says, and the newest has its digest.

        It is one small read. A row of table `run` alone does not prove that the entries up to its head were written.
        """
        ...

    async def runs(self, after: RunId | None = None, limit: int = 1000) -> list[MirroredRun]:
        """Returns a page of all rows, ordered by run id, from the first id greater than `after`."""
        ...

    async def run_ids(self, after: RunId | None = None, limit: int = 1000, *, unfinished: bool = False) -> list[RunId]:
        """Returns a page of the ids of all runs, in order, from the first greater than `after`.

        Args:
            after: `None` means from the first id.
            limit: maximum number of ids.
            unfinished: only runs whose row has no final status.
        """
        ...

    async def open_waits(self, kinds: Collection[str], limit: int = 1000) -> list[OpenWait]:  # noqa: ARG002
        """Returns what active runs wait for, oldest first, as far as their mirrors have it.

        A store that does not implement it is unavailable for this question, which Temporal then answers.

        Args:
            kinds: kinds of waits.
            limit: maximum number of waits.
        """
        raise StoreUnavailable("this store does not list what runs wait for")

    async def conclude(self, run: MirroredRun) -> bool:
        """Writes the end of a run that could not record it: it was terminated, or timed out by the server.

        Only the summary is written, and only if the stored row has the same chain and head and is not final. For a run
        that recorded nothing (a head of seq -1 without digest), the row is created if there is none.

        Returns:
            Whether this call changed the row.
        """
        ...

    async def differences(self, log: EntryBatch) -> list[RowDifference]:
        """Compares every row of a run with its log and returns the differences.

        Args:
            log: all entries up to the head that the run's row should have, in one batch.
        """
        ...

    async def repair(self, log: EntryBatch, seen: TranscriptRef | None) -> bool:
        """Writes and deletes rows of a run until all are equal to its log.

        Correct rows stay readable meanwhile. An interrupted call may have repaired a part of them.

        Args:
            log: see `differences`.
            seen: the result of `head` before the log was read; nothing is written if the head has changed since, as
                the log may then be older than the rows.

        Returns:
            Whether all rows are equal to the log now; False means that another writer was faster.
        """
        ...

    async def delete(self, run_id: RunId, *, seen: TranscriptRef | None = None) -> None:
        """Deletes all rows of a run, if there are any.

        Args:
            run_id: the run.
            seen: the head when the caller decided to delete the run; nothing is deleted if it has changed since.
                `None` means to delete the run in any case.
        """

    async def close(self) -> None:
        """Closes all connections; may be called twice."""


class ChatModel(Protocol):
    """Calls language models."""

    async def complete(
        self,
        spec: AgentSpec,
        messages: list[Message],
        *,
        on_text: Callable[[str], None],
        max_output: int | None = None,
    ) -> ModelReply:
        """Makes one streamed model call.

        Args:
            spec: the tools, the model (`None`: the adapter's default) and its settings.
            messages: the context, oldest first.
            on_text: called with each piece of text as it arrives.
            max_output: tokens that the reply may have, beside a limit in the settings; `None` means no other limit.

        A cancellation closes the HTTP stream at once and raises CancelledError; `on_text` has then received all text
        that arrived before.

        Raises:
            ModelUnavailable: temporary; a retry may succeed.
            ModelRefused: permanent.
            ContextOverflow: the context is too large for the model.
        """
        ...

    async def close(self) -> None:
        """Closes connections."""


class EventSubscription(Protocol):
    """Events of one topic, in order and each once, for one `async for`."""

    async def __aenter__(self) -> Self:
        """Starts the subscription now instead of at the first event."""
        ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends the subscription."""

    def __aiter__(self) -> Self:
        """Returns the subscription itself."""
        ...

    async def __anext__(self) -> BusEvent:
        """Waits for the next event, also while the bus is unavailable.

        Raises:
            StopAsyncIteration: the bus, or this subscription, was closed.
            SubscriberTooSlow: the buffer of this subscriber is full; `resume_after` is the offset to resume after.
            EventsPruned: events after the given offset have been deleted; `resume_after` likewise.
            PayloadUnreadable: an event is encrypted with a key that is missing.
        """
        ...

    async def aclose(self) -> None:
        """Ends the subscription; may be called twice."""


class EventBus(Protocol):
    """Publishes events to subscribers, by topic."""

    async def publish(
        self, topic: str, *items: Mapping[str, JsonValue], ephemeral: bool = False, key: str | None = None
    ) -> int:
        """Adds consecutive events to a topic, all or none, and returns the offset of the last one.

        Args:
            topic: text of 1 to 1,000 characters; a run's is `run/<run id>`.
            items: JSON objects, at most 1 MiB each.
            ephemeral: not stored. Current subscribers receive them, and later ones those that are not discarded yet,
                at most the newest 2,000.
            key: makes publishing safe to repeat: if the topic has events with this key, nothing is added and their
                offset is returned. Not for ephemeral events.

        Raises:
            UsageError: an argument is not accepted.
            StoreUnavailable: the events may or may not be stored; published again without a `key`, they may be stored
                twice.
        """
        ...

    async def discard(self, topic: str, upto: int) -> None:
        """Drops the ephemeral events of a topic up to and including this offset, once they are obsolete."""

    async def prune(self, before: datetime) -> int:
        """Deletes events that were published before a time and returns their number; offsets are not reused.

        Raises:
            StoreUnavailable: some events were not deleted.
        """
        ...

    async def read(self, topic: str, after: int = 0, limit: int = 200) -> list[BusEvent]:
        """Returns existing events with `offset > after`, oldest first; none if there are no more.

        Args:
            topic: see `publish`.
            after: see `subscribe`.
            limit: approximate number of events; at least one is returned if there is one.

        Raises:
            UsageError: an argument is not accepted.
            EventsPruned: events after the given offset have been deleted.
            StoreUnavailable: the events cannot be read.
        """
        ...

    def subscribe(self, topic: str, after: int | None = None) -> EventSubscription:
        """Subscribes to the events with `offset > after`, each once and in order.

        Args:
            topic: see `publish`.
            after: offset of the last event that the caller has. 0 means all stored events. `None` means new events,
                from when the subscription is entered (`async with`), or else from when its first event is requested.

        Raises:
            UsageError: an argument is not accepted.
        """
        ...

    def may_have_subscribers(self) -> bool:
        """Whether anybody may be subscribed to any topic now; True if only another process knows.

        An event that has no value for later subscribers need not be published otherwise.
        """
        ...

    async def close(self) -> None:
        """Ends all subscriptions."""


class RunLog(Protocol):
    """Reads a run's log from Temporal's history, the authoritative source."""

    def entries(self, run_id: RunId, after: int = -1) -> AsyncIterator[Entry]:
        """Yields all entries with `seq > after` of an open or closed run, across continue-as-new.

        Raises:
            RunNotFound: no run has this id, or the first part of its history has been deleted.
            WorkerUnavailable: no worker is running that could replay the history.
        """
        ...

    def batches(self, run_id: RunId) -> AsyncIterator[EntryBatch]:
        """Yields the whole log in batches to append to a store; raises what `entries` raises."""
        ...

    async def snapshot(self, run_id: RunId) -> RunSnapshot:
        """Returns the current state of a run; raises what `entries` raises."""
        ...

    async def latest(self, run_id: RunId) -> MirroredRun:
        """Returns a run with its newest entry; if no worker can tell, as far as history shows it without one.

        Raises:
            RunNotFound: no run has this id.
        """
        ...

    async def is_catching_up(self, run_id: RunId) -> bool:
        """Returns whether a catch-up workflow is completing the mirror of the run."""
        ...


BusSource = Callable[[], "EventBus | None"]
"""Returns the bus, opening it on demand; `None` means that there is no bus that other processes publish to."""

MirrorSource = Callable[[], "Store | None"]
"""Returns the mirror, opening it on demand; `None` means that this process cannot reach it."""
