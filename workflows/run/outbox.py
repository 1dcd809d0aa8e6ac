"""The outbox of a run: sends entries to the mirror that no model call has appended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from holdfast import names
    from holdfast.errors import ErrorType
    from holdfast.types import EntryBatch, RunId, RunSummary, TranscriptRef
    from holdfast.workflows.calls import call_activity
    from holdfast.workflows.local import attempt_locally
    from holdfast.workflows.options import STORE_APPEND, STORE_REBUILD
    from holdfast.workflows.run.log import Log

MAX_BATCH_ENTRIES = 200
MAX_BATCH_BYTES = 512 * 1024  # a quarter of Temporal's limit for an activity's input
MAX_HANDED_OVER = 256 * 1024
"""Bytes of entries that a run hands over to its next execution, of the 2 MB that Temporal accepts."""
MAX_FAILURES = 5  # in a row; a mirror that cannot be repaired is not retried forever


class Outbox:
    """Tracks what the mirror has, and appends in the background, with at most one append in flight.

    Usually the next model call appends the entries of a turn. The outbox sends what no call carries: the end of a run,
    large batches, and everything after a failed append.
    """

    def __init__(
        self, run_id: RunId, chain: str, log: Log, summary: Callable[[], RunSummary], acked: TranscriptRef | None = None
    ) -> None:
        """
        Args:
            run_id: the run whose log it is.
            chain: see CarriedState.chain.
            log: the run's log.
            summary: returns the summary of the run.
            acked: the newest entry that the mirror has acknowledged; `None` means none.
        """
        self._run_id = run_id
        self._chain = chain
        self._log = log
        self._summary = summary
        self._sender: asyncio.Task[None] | None = None
        self._goal = -1
        self.acked = acked

    @property
    def acked_seq(self) -> int:
        """Seq of the newest acknowledged entry; -1 means none."""
        return self.acked.seq if self.acked else -1

    @property
    def is_idle(self) -> bool:
        """Whether the outbox has no append in flight, so that a model call may append."""
        return self._sender is None or self._sender.done()

    @property
    def has_news(self) -> bool:
        """Whether entries were recorded that are neither acknowledged nor on their way."""
        head = self._log.head
        return head is not None and head.seq > max(self._goal, self.acked_seq)

    def send(self) -> None:
        """Starts to send everything recorded so far; returns at once."""
        head = self._log.head
        self._goal = head.seq if head else -1
        if self.is_idle:
            self._sender = asyncio.create_task(self._send_until_goal())

    async def flush(self, timeout: timedelta | None = None) -> bool:
        """Sends everything recorded so far, and returns whether the mirror has it.

        Args:
            timeout: maximum time to wait; `None` waits until the mirror has everything or rejects it for good.
        """
        head = self._log.head
        goal = head.seq if head else -1
        self.send()
        try:
            await workflow.wait_condition(
                lambda: self.acked_seq >= goal or self.is_idle,
                timeout=timeout,
                timeout_summary="waiting for the mirror",
            )
        except TimeoutError:
            return False
        return self.acked_seq >= goal

    async def can_hand_over(self, timeout: timedelta | None) -> bool:
        """Does what `flush` does, and returns whether the entries recorded meanwhile can be handed over.

        Args:
            timeout: as in `flush`.
        """
        return await self.flush(timeout) and self._log.size_after(self.acked_seq) <= MAX_HANDED_OVER

    async def finish(self, timeout: timedelta) -> bool:
        """Sends the end of the run and returns whether the mirror has every entry.

        As a rule that is one append within the current workflow task; if that fails, it is flushed.
        """
        batch = self._next_batch()
        is_last = self.is_idle and batch.entries[-1].ref == self._log.head
        if is_last and await attempt_locally(names.MIRROR_FINISH, batch, result_type=EntryBatch):
            self.acked = self._log.head
            return True
        return await self.flush(timeout)

    async def _send_until_goal(self) -> None:
        failures = 0
        while self.acked_seq < self._goal and failures < MAX_FAILURES:
            try:
                self.acked = await self._append()
                failures = 0
            except ActivityError as error:
                failures += 1
                await self._recover(error)

    async def _append(self) -> TranscriptRef:
        batch = self._next_batch()
        first, last = batch.entries[0].ref, batch.entries[-1].ref
        await call_activity(
            names.MIRROR_APPEND,
            batch,
            TranscriptRef,
            summary=f"entries {first.seq}-{last.seq} to the mirror",
            **STORE_APPEND,
        )
        return last

    def _next_batch(self) -> EntryBatch:
        """Returns the entries after the newest acknowledged one, as many as one append takes."""
        previous, entries = self._log.batch_after(
            self.acked_seq, max_entries=MAX_BATCH_ENTRIES, max_bytes=MAX_BATCH_BYTES
        )
        return EntryBatch(
            run_id=self._run_id,
            chain=self._chain,
            previous_digest=previous,
            entries=entries,
            summary=self._summary(),
        )

    async def _recover(self, error: ActivityError) -> None:
        """Resends entries that the mirror has lost after it acknowledged them, from this execution or from history."""
        cause = error.cause
        if not isinstance(cause, ApplicationError) or cause.type != ErrorType.MIRROR_GAP:
            workflow.logger.error("the mirror rejects the entries after %d: %s", self.acked_seq, cause)
            return
        expected = int(cause.details[0])
        workflow.logger.warning("the mirror lacks the entries from %d on; resending them", expected)
        self.acked = self._log.ref_at(expected - 1) if expected >= self._log.first else await self.rebuild()

    async def rebuild(self) -> TranscriptRef:
        """Rebuilds the mirror of the whole run from Temporal's history; returns the newest entry."""
        return await call_activity(
            names.MIRROR_REBUILD,
            self._run_id,
            TranscriptRef,
            summary="rebuilding the mirror from history",
            **STORE_REBUILD,
        )
