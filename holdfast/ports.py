"""What Holdfast needs from the outside, as protocols; adapters stand in `models/` and `store/`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Protocol, runtime_checkable

from pydantic import JsonValue

from holdfast.events import BusEvent
from holdfast.retrieval import StoredVector, VectorMatch
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

    async def conclude(self, run: MirroredRun) -> bool:
        """Gives a run the end that it could not record itself: terminated, timed out by the server.

        Only the summary is written, and only if the stored row has the same chain and head and is not final.

        Returns:
            Whether the row now says so by this call.
        """
        ...

    async def delete(self, run_id: RunId) -> None:
        """Forgets a run with all its rows; one that is not there is no error."""

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


class Embedder(Protocol):
    """Turns texts into vectors."""

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector per text, in order, all of one dimension; splits what is too much for one request.

        Raises:
            ModelUnavailable: worth another attempt.
            ModelRefused: not worth one.
        """
        ...

    async def close(self) -> None:
        """Closes connections."""


@runtime_checkable
class VectorStoreProtocol(Protocol):
    """Vectors of one namespace, found by cosine similarity."""

    async def upsert(
        self,
        id: str,  # noqa: A002 - the field's word
        vector: Sequence[float],
        metadata: Mapping[str, JsonValue] | None = None,
    ) -> None:
        """Adds a vector, or replaces it with its metadata.

        Raises:
            ValueError: not the namespace's dimension (the message names both), not finite, or zero.
        """

    async def query(
        self,
        vector: Sequence[float],
        k: int = 5,
        *,
        filter: Mapping[str, JsonValue] | None = None,  # noqa: A002 - the field's word
    ) -> list[VectorMatch]:
        """The `k` nearest, best first; of equal scores the smaller id first.

        Args:
            vector: of the namespace's dimension; raises what `upsert` raises.
            k: at most so many.
            filter: only vectors whose metadata has all these values under these keys.
        """
        ...

    async def get_vector(self, id: str) -> StoredVector | None:  # noqa: A002 - the field's word
        """A vector with its metadata; None when there is none of this id."""
        ...

    async def delete(self, id: str) -> bool:  # noqa: A002 - the field's word
        """Removes a vector; says whether it was there."""
        ...


class EventBus(Protocol):
    """Carries events from who makes them to whoever wants to know, topic by topic."""

    async def publish(self, topic: str, *items: Mapping[str, JsonValue], transient: bool = False) -> int:
        """Adds events to a topic and gives the last one's offset.

        Args:
            topic: any text; a run's is `run/<run id>`.
            items: JSON objects.
            transient: live only: subscribers of this moment get them; nothing is kept for later ones
                beyond `forget`.

        Raises:
            StoreUnavailable: they could not be kept; publishing again is safe.
        """
        ...

    async def forget(self, topic: str, upto: int) -> None:
        """Drops the transient events of a topic up to and with this offset: what they announced is complete."""

    def subscribe(self, topic: str, after: int | None = None) -> AsyncIterator[BusEvent]:
        """Events with `offset > after` and all that follow, each once, in order; None: from now on.

        Raises:
            SubscriberTooSlow: more events waited than are kept for one subscriber; `resume_after` says where to go on.
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
