"""Activities that write to the mirror."""

from __future__ import annotations

from temporalio import activity
from temporalio.exceptions import ApplicationError

from holdfast import names
from holdfast._util.logger import get_logger
from holdfast.activities.context_cache import ContextCache
from holdfast.activities.failures import EXPECTED, store_unavailable
from holdfast.activities.finished import FinishedCalls
from holdfast.activities.heartbeat import heartbeats
from holdfast.activities.mirror_writer import MirrorWriter
from holdfast.errors import ErrorType, MirrorGap, RunNotFound, StoreUnavailable, Unavailable, UsageError
from holdfast.ports import RunLog
from holdfast.ports.telemetry import NoTelemetry, Telemetry
from holdfast.types import EntryBatch, RunId, TranscriptRef

log = get_logger(__name__)


class MirrorActivities:
    """Appends batches to the mirror; a repeated append changes nothing."""

    def __init__(
        self,
        writer: MirrorWriter,
        run_log: RunLog,
        contexts: ContextCache,
        finished: FinishedCalls,
        telemetry: Telemetry | None = None,
    ) -> None:
        self._writer = writer
        self._run_log = run_log
        self._contexts = contexts
        self._finished = finished
        self._telemetry = telemetry or NoTelemetry()

    @activity.defn(name=names.MIRROR_APPEND)
    async def append(self, batch: EntryBatch) -> TranscriptRef:
        """Appends a batch and returns the mirror's newest entry.

        Raises:
            ApplicationError: of type MirrorGap, with the seq that the mirror needs next; or of type StoreUnavailable.
        """
        async with heartbeats():
            return await self._append(batch)

    @activity.defn(name=names.MIRROR_FINISH)
    async def finish(self, batch: EntryBatch) -> EntryBatch:
        """Appends the last entries of a run, as a local activity, and returns them, so that history has them.

        Raises:
            ApplicationError: see `append`.
        """
        await self._append(batch)
        return batch

    @activity.defn(name=names.MIRROR_REBUILD)
    async def rebuild(self, run_id: RunId) -> TranscriptRef:
        """Rebuilds the mirror of a run from Temporal's history and returns the newest entry.

        Raises:
            ApplicationError: the store is unavailable, or the run's history has been deleted.
        """
        async with heartbeats():
            try:
                async for batch in self._run_log.batches(run_id):
                    newest = await self._append(batch)
            except RunNotFound as error:
                raise ApplicationError(str(error), type=ErrorType.INTERNAL, non_retryable=True) from None
            except Unavailable as error:  # usually this worker is shutting down, and another will answer
                raise ApplicationError(str(error), type=ErrorType.INTERNAL, category=EXPECTED) from None
            return newest

    async def _append(self, batch: EntryBatch) -> TranscriptRef:
        if batch.summary.status.is_final:
            self._contexts.drop(batch.run_id)
            self._finished.forget(activity.info().workflow_run_id)
        try:
            head = await self._writer.append(batch)
        except MirrorGap as gap:
            raise ApplicationError(
                str(gap), gap.expected, type=ErrorType.MIRROR_GAP, non_retryable=True, category=EXPECTED
            ) from None
        except UsageError as error:  # a retry would be rejected as well
            raise ApplicationError(str(error), type=ErrorType.INTERNAL, non_retryable=True) from None
        except StoreUnavailable as error:
            log.warning("the mirror lags, will retry", attempt=activity.info().attempt, reason=str(error))
            raise store_unavailable(error) from None
        if batch.entries[-1].kind == "finish":
            await self._telemetry.run_ended(batch)
        return head
