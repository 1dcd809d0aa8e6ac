"""The log of a run in Temporal's history, with which the mirror is compared."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import timedelta
from typing import TypeVar

from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import WorkflowExecutionTerminatedEventAttributes
from temporalio.client import (
    Client,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowHistoryEventFilterType,
)
from temporalio.converter import DataConverter

from holdfast import names
from holdfast.errors import ErrorType, HoldfastError, PayloadUnreadable, QueryRefused, RunNotFound, WorkerUnavailable
from holdfast.progress import RunProgress
from holdfast.protocol import RunSnapshot
from holdfast.search_attributes import AGENT_NAME
from holdfast.temporal.connection import translated_errors
from holdfast.temporal.live_progress import live_progress
from holdfast.temporal.recorded import RecordedLog
from holdfast.temporal.replayed import QUERY_TIMEOUTS, ReplayedLog
from holdfast.types import (
    AgentSpec,
    Entry,
    EntryBatch,
    ForkedFrom,
    Message,
    MirroredRun,
    RunError,
    RunId,
    RunResult,
    RunStatus,
    RunSummary,
    TranscriptRef,
)

BATCH = 200  # entries in one batch for a store
UNSTARTED_EVENTS = 50  # a run that never started has some ten events, regardless of how often Temporal retried it

ENCRYPTED_REASON = "encrypted, in the details"
"""In place of the reason with which a run was terminated, if payloads are encrypted."""

ENDED = {
    WorkflowExecutionStatus.COMPLETED: RunStatus.COMPLETED,
    WorkflowExecutionStatus.FAILED: RunStatus.FAILED,
    WorkflowExecutionStatus.CANCELED: RunStatus.CANCELLED,
    WorkflowExecutionStatus.TERMINATED: RunStatus.TERMINATED,
    WorkflowExecutionStatus.TIMED_OUT: RunStatus.TIMED_OUT,
}

TYPES = {RunStatus.CANCELLED: ErrorType.CANCELLED, RunStatus.TIMED_OUT: ErrorType.TIMED_OUT}


ItemT = TypeVar("ItemT", Entry, Message)


class Blocked(QueryRefused):
    """The workflow task of a run keeps failing."""


class TemporalRunLog:
    """Reads what a run recorded in history, and queries its workflow only if necessary.

    Args:
        client: connected to the namespace of the runs.
        query_timeouts: see ReplayedLog.
        gives_up: see ReplayedLog.
    """

    def __init__(
        self, client: Client, *, query_timeouts: Sequence[timedelta] = QUERY_TIMEOUTS, gives_up: bool = False
    ) -> None:
        self._client = client
        self._recorded = RecordedLog(client)
        self._replayed = ReplayedLog(client, query_timeouts=query_timeouts, gives_up=gives_up)
        self.converter: DataConverter = client.data_converter
        """Decodes the payloads and failures of runs."""

    async def reason(self, failure: Failure) -> str:
        """Returns the message of a failure; decrypts the failure in place if necessary."""
        await self.converter.decode_failure(failure)
        return failure.message

    async def describe(self, run_id: RunId) -> WorkflowExecutionDescription:
        """Returns Temporal's description of a run, without a worker.

        Raises:
            RunNotFound: no run has this id.
        """
        with translated_errors(run_id):
            return await self._client.get_workflow_handle(run_id).describe()

    async def ended(self, run_id: RunId) -> RunStatus | None:
        """Returns the status with which Temporal closed a run; `None` means that it is open.

        Raises:
            RunNotFound: no run has this id.
        """
        return _ended(await self.describe(run_id))

    async def progress(self, run_id: RunId) -> RunProgress:
        """Returns the progress of a run, with the actual end if it was ended from outside or never started."""
        description = await self.describe(run_id)
        ended = _ended(description)
        if ended and (finish := await self._finish(description)):
            return _finished(finish, await self._max_turns(description))
        try:
            await self._check_unblocked(description)
            progress = await self._replayed.progress(run_id)
        except (QueryRefused, WorkerUnavailable) as error:
            progress = await self._recorded_progress(description, error)
        if ended and not progress.status.is_final:
            progress = await self._ended_from_outside(progress, description, ended)
        if not ended and (reported := await live_progress(description, self.converter)):
            progress.progress = reported
        return progress

    async def _recorded_progress(self, description: WorkflowExecutionDescription, reason: HoldfastError) -> RunProgress:
        """Returns the progress as far as history shows it without a worker."""
        try:
            recorded = await self._recorded.state(description.id, description.run_id)
        except PayloadUnreadable:
            recorded = None
        doing = str(reason) if isinstance(reason, Blocked) else f"as of its history, as {reason}"
        if recorded is None:
            return (await _unstarted(description)).model_copy(update={"doing": doing})
        head = recorded.head
        return RunProgress(
            **dict(recorded.summary),
            doing=doing,
            max_turns=await self._max_turns(description),
            head=head.seq,
            digest=head.digest,
        )

    async def _check_unblocked(self, description: WorkflowExecutionDescription) -> None:
        """Raises Blocked if the workflow task of an open run keeps failing, as a query would wait for it in vain."""
        attempt = description.raw_description.pending_workflow_task.attempt
        failure = await self._recorded.task_failure(description.id, description.run_id) if attempt > 1 else None
        if failure is not None:
            raise Blocked(f"its workflow task fails, attempt {attempt}: {await self.reason(failure)}")

    async def _finish(self, description: WorkflowExecutionDescription) -> EntryBatch | None:
        """Returns the last entries of a run that recorded its end, if the mirror has acknowledged them."""
        try:
            last = await self._recorded.last(description.id, description.run_id)
        except PayloadUnreadable:
            return None
        if last is None or not last.is_acknowledged or last.batch.entries[-1].kind != "finish":
            return None
        return last.batch

    async def _max_turns(self, description: WorkflowExecutionDescription) -> int | None:
        """Returns the limit in the run's first entry; `None` if it can no longer be read."""
        begun = description.raw_description.workflow_execution_info.first_run_id
        try:
            first = await self._recorded.first(description.id, begun)
        except (RunNotFound, PayloadUnreadable):
            return None
        start = first.data if first else {}
        if "agent" not in start:
            return None
        copied = ForkedFrom.model_validate(start["forked"]).turn if "forked" in start else 0
        return AgentSpec.model_validate(start["agent"]).max_turns + copied

    async def _ended_from_outside(
        self, progress: RunProgress, description: WorkflowExecutionDescription, ended: RunStatus
    ) -> RunProgress:
        why = await self._why_ended(description.id, ended)
        changes = {"status": ended, "doing": ended.value, "finished_at": description.close_time, "error": why}
        return progress.model_copy(update=changes)

    async def _why_ended(self, run_id: RunId, ended: RunStatus) -> RunError:
        """Returns the reason in the last event of the history, without a worker."""
        history = self._client.get_workflow_handle(run_id).fetch_history_events(
            event_filter_type=WorkflowHistoryEventFilterType.CLOSE_EVENT
        )
        async for event in history:
            if event.HasField("workflow_execution_failed_event_attributes"):
                failure = event.workflow_execution_failed_event_attributes.failure
                kind = failure.application_failure_info.type or ErrorType.INTERNAL
                return RunError(type=kind, message=await self.reason(failure))
            if event.HasField("workflow_execution_terminated_event_attributes"):
                reason = await self._reason_to_terminate(event.workflow_execution_terminated_event_attributes)
                return RunError(type=ErrorType.TERMINATED, message=reason)
        return RunError(type=TYPES.get(ended, ErrorType.INTERNAL), message=f"the run was {ended} from outside")

    async def _reason_to_terminate(self, terminated: WorkflowExecutionTerminatedEventAttributes) -> str:
        if terminated.reason != ENCRYPTED_REASON:
            return terminated.reason or "the run was terminated"
        try:
            [reason] = await self.converter.decode(terminated.details.payloads, [str])
        except (PayloadUnreadable, ValueError, TypeError, RuntimeError) as error:
            return f"the run was terminated, for a reason that cannot be read: {error}"
        return str(reason)

    def entries(self, run_id: RunId, after: int = -1) -> AsyncIterator[Entry]:
        """Yields all entries with `seq > after`, across continue-as-new, of an open or closed run.

        Raises:
            WorkerUnavailable: raised after the entries that history has; a worker has the newer ones, and none answers.
        """
        return self._all(run_id, after, lambda entry: entry, self._replayed.entries)

    def messages(self, run_id: RunId, after: int = -1) -> AsyncIterator[Message]:
        """Yields all transcript messages with `seq > after`, across continue-as-new; see `entries`."""
        return self._all(run_id, after, lambda entry: entry.message, self._replayed.messages)

    async def _all(
        self,
        run_id: RunId,
        after: int,
        item_of: Callable[[Entry], ItemT | None],
        replayed: Callable[[RunId, str, int], AsyncIterator[ItemT]],
    ) -> AsyncIterator[ItemT]:
        """Yields what history has, then what only a worker knows.

        Args:
            run_id: the run.
            after: seq of the item before the first requested one; no item has a higher seq than its entry.
            item_of: returns the item that an entry contains; `None` means none.
            replayed: yields the items of a replay, given the run, its newest execution, and `after`.
        """
        description = await self.describe(run_id)
        if await self._is_all(description, after):
            return
        async for entry in self._recorded_entries(description, after):
            if (item := item_of(entry)) and item.seq > after:
                yield item
                after = item.seq
            if entry.kind == "finish":
                return
        try:
            await self._check_unblocked(description)
            async for item in replayed(run_id, description.run_id, after):
                yield item
                after = item.seq
        except (QueryRefused, WorkerUnavailable) as error:
            async for entry in self._recorded.entries(description.id, description.run_id, after, closed=True):
                if (found := item_of(entry)) and found.seq > after:
                    yield found
            await self._report_missing(description, error)

    async def _report_missing(self, description: WorkflowExecutionDescription, error: HoldfastError) -> None:
        """Raises WorkerUnavailable, unless the run ended and no worker can replay it: nobody will see more of it."""
        if _ended(description) and isinstance(error, QueryRefused):
            return
        raise WorkerUnavailable(f"the newest entries of run {description.id!r} cannot be read: {error}") from error

    async def _is_all(self, description: WorkflowExecutionDescription, after: int) -> bool:
        """Whether an ended run is known to have no entries after this one."""
        if after < 0 or _ended(description) is None:
            return False
        finish = await self._finish(description)
        return finish is not None and finish.entries[-1].seq <= after

    async def _recorded_entries(self, description: WorkflowExecutionDescription, after: int) -> AsyncIterator[Entry]:
        """Yields the entries of closed executions from history; the newest open one is in its worker's memory."""
        closed = _ended(description) is not None
        if closed or description.raw_description.workflow_execution_info.first_run_id != description.run_id:
            try:
                async for entry in self._recorded.entries(description.id, description.run_id, after, closed=closed):
                    yield entry
            except PayloadUnreadable:
                return  # a replay does not read the inputs of activities

    async def snapshot(self, run_id: RunId) -> RunSnapshot:
        """Returns the state of a run at one moment; unlike `progress`, it never approximates.

        Raises:
            RunNotFound: no run has this id.
            QueryRefused: the run has started but cannot answer.
            WorkerUnavailable: the run has started, but no worker answers.

        A run that ended and that no worker can replay is as its history shows it.
        """
        description = await self.describe(run_id)
        ended = _ended(description)
        if ended and (finish := await self._finish(description)):
            return _snapshot(_finished(finish), finish.chain, ended=True)
        try:
            progress = await self._replayed.progress(run_id)
        except (QueryRefused, WorkerUnavailable) as error:
            if ended is None or (isinstance(error, WorkerUnavailable) and not await self._never_started(description)):
                raise
            progress = await self._recorded_progress(description, error)
        if ended and not progress.status.is_final:
            progress = await self._ended_from_outside(progress, description, ended)
        chain = description.raw_description.workflow_execution_info.first_run_id
        return _snapshot(progress, chain, ended=ended is not None)

    async def latest(self, run_id: RunId) -> MirroredRun:
        """Returns a run with its newest entry; if no worker can tell, as far as history shows it without one.

        Raises:
            RunNotFound: no run has this id.
        """
        description = await self.describe(run_id)
        chain = description.raw_description.workflow_execution_info.first_run_id
        return _snapshot(await self.progress(run_id), chain, ended=_ended(description) is not None).run

    async def is_catching_up(self, run_id: RunId) -> bool:
        """Whether a `MirrorCatchUp` workflow of this run is running."""
        try:
            description = await self.describe(names.catch_up_id(run_id))
        except RunNotFound:
            return False
        return description.status == WorkflowExecutionStatus.RUNNING

    async def _never_started(self, description: WorkflowExecutionDescription) -> bool:
        """Whether a run recorded nothing: its first entries travel with the first activity after its preparation."""
        handle = self._client.get_workflow_handle(description.id, run_id=description.run_id)
        seen = 0
        async for event in handle.fetch_history_events(page_size=UNSTARTED_EVENTS):
            seen += 1
            continued = event.workflow_execution_started_event_attributes.continued_execution_run_id
            scheduled = event.activity_task_scheduled_event_attributes.activity_type.name
            if seen > UNSTARTED_EVENTS or continued or scheduled not in {"", names.RUN_PREPARE}:
                return False
        return True

    async def batches(self, run_id: RunId) -> AsyncIterator[EntryBatch]:
        """Yields the whole log as of one moment, in batches for a store."""
        run = (await self.snapshot(run_id)).run
        previous, waiting = "", list[Entry]()

        def batch() -> EntryBatch:
            return EntryBatch(
                run_id=run_id, chain=run.chain, previous_digest=previous, entries=waiting, summary=run.summary
            )

        async for entry in self.entries(run_id):
            if entry.seq > run.head.seq:
                break  # newer than the summary: a run's end must not be written with an older summary
            waiting.append(entry)
            if len(waiting) == BATCH:
                yield batch()
                previous, waiting = entry.digest, []
        if waiting:
            yield batch()


def _ended(description: WorkflowExecutionDescription) -> RunStatus | None:
    """Returns the status with which Temporal closed a run; `None` means that it is open."""
    return ENDED.get(description.status) if description.status else None


def _snapshot(progress: RunProgress, chain: str, *, ended: bool) -> RunSnapshot:
    return RunSnapshot(
        run=MirroredRun(
            summary=RunSummary.model_validate(progress.model_dump(include=set(RunSummary.model_fields))),
            chain=chain,
            head=TranscriptRef(seq=progress.head, digest=progress.digest),
        ),
        ended=ended,
        mirrored=progress.mirrored,
    )


def _finished(last: EntryBatch, max_turns: int | None = None) -> RunProgress:
    """Returns the progress of a run whose end the mirror has acknowledged."""
    finish = last.entries[-1]
    result = RunResult.model_validate(finish.data["result"])
    return RunProgress(
        **dict(last.summary),
        doing=result.status.value,
        max_turns=max_turns,
        output=result.output,
        children=result.children,
        files=result.files,
        workspace=result.workspace,
        head=finish.seq,
        digest=finish.digest,
        mirrored=finish.seq,
    )


async def _unstarted(description: WorkflowExecutionDescription) -> RunProgress:
    """Returns the progress of a run that failed before its first turn, from Temporal's description."""
    return RunProgress(
        run_id=description.id,
        agent=description.typed_search_attributes.get(AGENT_NAME) or "unknown",
        status=RunStatus.QUEUED,
        input=str((await description.memo()).get("input", "")),
        started_at=description.start_time,
    )
