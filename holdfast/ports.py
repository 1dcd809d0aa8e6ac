"""What Holdfast needs from the outside, as protocols; adapters stand in `models/` and `store/`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Protocol, runtime_checkable

from holdfast.types import (
    AgentSpec,
    Context,
    Entry,
    EntryBatch,
    Message,
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
