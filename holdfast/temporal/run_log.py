"""A run's log as Temporal's history has it: the truth that the mirror is held against."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

from temporalio.api.failure.v1 import Failure
from temporalio.client import (
    Client,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowHistoryEventFilterType,
)
from temporalio.converter import DataConverter

from holdfast.errors import ErrorType, PayloadUnreadable, QueryRefused, RunNotFound, WorkerUnavailable
from holdfast.protocol import RunSnapshot
from holdfast.search_attributes import AGENT_NAME
from holdfast.temporal.connection import translated_errors
from holdfast.temporal.recorded import RecordedLog
from holdfast.temporal.replayed import PATIENCE, ReplayedLog
from holdfast.types import (
    AgentSpec,
    Entry,
    EntryBatch,
    Message,
    MirroredRun,
    RunError,
    RunId,
    RunProgress,
    RunResult,
    RunStatus,
    RunSummary,
    TranscriptRef,
)

BATCH = 200  # entries at a time on their way to a store
UNBEGUN_EVENTS = 50  # a run that never began has some ten events, however often its first activity was tried

ENDED = {
    WorkflowExecutionStatus.COMPLETED: RunStatus.COMPLETED,
    WorkflowExecutionStatus.FAILED: RunStatus.FAILED,
    WorkflowExecutionStatus.CANCELED: RunStatus.CANCELLED,
    WorkflowExecutionStatus.TERMINATED: RunStatus.TERMINATED,
    WorkflowExecutionStatus.TIMED_OUT: RunStatus.TIMED_OUT,
}

TYPES = {RunStatus.CANCELLED: ErrorType.CANCELLED, RunStatus.TIMED_OUT: ErrorType.TIMED_OUT}


class TemporalRunLog:
    """Reads what a run recorded, and where nothing else serves, asks its workflow.

    Args:
        client: connected to the namespace of the runs.
        patience: see ReplayedLog.
    """

    def __init__(self, client: Client, *, patience: Sequence[timedelta] = PATIENCE) -> None:
        self._client = client
        self._recorded = RecordedLog(client)
        self._replayed = ReplayedLog(client, patience=patience)
        self.converter: DataConverter = client.data_converter
        """Reads what the server has of a run."""

    async def reason(self, failure: Failure) -> str:
        """The message of a failure, which the server may have encrypted; the failure is changed by it."""
        await self.converter.decode_failure(failure)
        return failure.message

    async def describe(self, run_id: RunId) -> WorkflowExecutionDescription:
        """What the server itself knows of a run; needs no worker.

        Raises:
            RunNotFound: no run has this id.
        """
        with translated_errors(run_id):
            return await self._client.get_workflow_handle(run_id).describe()

    async def ended(self, run_id: RunId) -> RunStatus | None:
        """How a run ended, as the server knows it; `None` means that it is open.

        Raises:
            RunNotFound: no run has this id.
        """
        return _ended(await self.describe(run_id))

    async def progress(self, run_id: RunId) -> RunProgress:
        """Where a run stands; a run that was ended from outside, or never began, shows its true end."""
        description = await self.describe(run_id)
        ended = _ended(description)
        if ended and (finish := await self._finish(description)):
            return _finished(finish, await self._max_turns(description))
        try:
            progress = await self._replayed.progress(run_id)
        except (QueryRefused, WorkerUnavailable):
            if ended is None:
                raise
            progress = await _unbegun(description)
        if ended and not progress.status.is_final:
            progress = await self._ended_from_outside(progress, description, ended)
        return progress

    async def _finish(self, description: WorkflowExecutionDescription) -> EntryBatch | None:
        """The last entries of a run that came to its own end, if the mirror has acknowledged them."""
        try:
            last = await self._recorded.last(description.id, description.run_id)
        except PayloadUnreadable:
            return None
        if last is None or not last.is_acknowledged or last.batch.entries[-1].kind != "finish":
            return None
        return last.batch

    async def _max_turns(self, description: WorkflowExecutionDescription) -> int | None:
        """What the run began with; None where its beginning cannot be read any more."""
        begun = description.raw_description.workflow_execution_info.first_run_id
        try:
            first = await self._recorded.first(description.id, begun)
        except (RunNotFound, PayloadUnreadable):
            return None
        start = first.data if first else {}
        return AgentSpec.model_validate(start["agent"]).max_turns if "agent" in start else None

    async def _ended_from_outside(
        self, progress: RunProgress, description: WorkflowExecutionDescription, ended: RunStatus
    ) -> RunProgress:
        why = await self._why_ended(description.id, ended)
        said = {"status": ended, "doing": ended.value, "finished_at": description.close_time, "error": why}
        return progress.model_copy(update=said)

    async def _why_ended(self, run_id: RunId, ended: RunStatus) -> RunError:
        """The reason in the last event of the history; it needs no worker."""
        history = self._client.get_workflow_handle(run_id).fetch_history_events(
            event_filter_type=WorkflowHistoryEventFilterType.CLOSE_EVENT
        )
        async for event in history:
            if event.HasField("workflow_execution_failed_event_attributes"):
                failure = event.workflow_execution_failed_event_attributes.failure
                kind = failure.application_failure_info.type or ErrorType.INTERNAL
                return RunError(type=kind, message=await self.reason(failure))
            if event.HasField("workflow_execution_terminated_event_attributes"):
                reason = event.workflow_execution_terminated_event_attributes.reason
                return RunError(type=ErrorType.TERMINATED, message=reason or "the run was terminated")
        return RunError(type=TYPES.get(ended, ErrorType.INTERNAL), message=f"the run was {ended} from outside")

    async def entries(self, run_id: RunId, after: int = -1) -> AsyncIterator[Entry]:
        """All entries with `seq > after`, over continue-as-new, open run or closed."""
        description = await self.describe(run_id)
        if await self._is_all(description, after):
            return
        async for entry in self._recorded_entries(description, after):
            yield entry
            after = entry.seq
            if entry.kind == "finish":
                return
        async for entry in self._replayed.entries(run_id, description.run_id, after):
            yield entry

    async def messages(self, run_id: RunId, after: int = -1) -> AsyncIterator[Message]:
        """All transcript messages with `seq > after`, over continue-as-new, open run or closed."""
        description = await self.describe(run_id)
        if await self._is_all(description, after):
            return
        async for entry in self._recorded_entries(description, after):  # no message has a higher seq than its entry
            if entry.message and entry.message.seq > after:
                yield entry.message
                after = entry.message.seq
            if entry.kind == "finish":
                return
        async for message in self._replayed.messages(run_id, description.run_id, after):
            yield message

    async def _is_all(self, description: WorkflowExecutionDescription, after: int) -> bool:
        """Whether a run is known to have recorded nothing after an entry, and never to record more."""
        if after < 0 or _ended(description) is None:
            return False
        finish = await self._finish(description)
        return finish is not None and finish.entries[-1].seq <= after

    async def _recorded_entries(self, description: WorkflowExecutionDescription, after: int) -> AsyncIterator[Entry]:
        """What need not be replayed: an open execution is in its worker's memory, a closed one is not."""
        closed = _ended(description) is not None
        if closed or description.raw_description.workflow_execution_info.first_run_id != description.run_id:
            try:
                async for entry in self._recorded.entries(description.id, description.run_id, after, closed=closed):
                    yield entry
            except PayloadUnreadable:
                return  # a replay needs no inputs of activities

    async def snapshot(self, run_id: RunId) -> RunSnapshot:
        """Where a run stands, in one moment; never a guess, as what is shown to people may be.

        Raises:
            RunNotFound: no run has this id.
            QueryRefused: the run cannot say, though it has begun.
            WorkerUnavailable: no worker answers, though the run has begun.
        """
        description = await self.describe(run_id)
        ended = _ended(description)
        if ended and (finish := await self._finish(description)):
            return _snapshot(_finished(finish), finish.chain, ended=True)
        try:
            progress = await self._replayed.progress(run_id)
        except (QueryRefused, WorkerUnavailable):
            if ended is None or not await self._never_began(description):
                raise
            progress = await _unbegun(description)
        if ended and not progress.status.is_final:
            progress = await self._ended_from_outside(progress, description, ended)
        chain = description.raw_description.workflow_execution_info.first_run_id
        return _snapshot(progress, chain, ended=ended is not None)

    async def is_catching_up(self, run_id: RunId) -> bool:
        """Whether a workflow that the run left behind is to complete its mirror."""
        try:
            description = await self.describe(f"{run_id}/mirror")
        except RunNotFound:
            return False
        return description.status == WorkflowExecutionStatus.RUNNING

    async def _never_began(self, description: WorkflowExecutionDescription) -> bool:
        """Whether a run recorded nothing: its first entry follows upon the first activity that ends."""
        handle = self._client.get_workflow_handle(description.id, run_id=description.run_id)
        seen = 0
        async for event in handle.fetch_history_events(page_size=UNBEGUN_EVENTS):
            seen += 1
            continued = event.workflow_execution_started_event_attributes.continued_execution_run_id
            if seen > UNBEGUN_EVENTS or continued or event.HasField("activity_task_completed_event_attributes"):
                return False
        return True

    async def batches(self, run_id: RunId) -> AsyncIterator[EntryBatch]:
        """The whole log as of one moment, ready to be appended to a store."""
        run = (await self.snapshot(run_id)).run
        previous, waiting = "", list[Entry]()

        def batch() -> EntryBatch:
            return EntryBatch(
                run_id=run_id, chain=run.chain, previous_digest=previous, entries=waiting, summary=run.summary
            )

        async for entry in self.entries(run_id):
            if entry.seq > run.head.seq:
                break  # newer than the summary: the end of a run must not be written with a summary from before it
            waiting.append(entry)
            if len(waiting) == BATCH:
                yield batch()
                previous, waiting = entry.digest, []
        if waiting:
            yield batch()


def _ended(description: WorkflowExecutionDescription) -> RunStatus | None:
    """How Temporal has a run's end; None: it is open."""
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
    """Where a run stands whose mirror has its end."""
    finish = last.entries[-1]
    result = RunResult.model_validate(finish.data["result"])
    return RunProgress(
        **dict(last.summary),
        doing=result.status.value,
        max_turns=max_turns,
        output=result.output,
        files=result.files,
        workspace=result.workspace,
        head=finish.seq,
        digest=finish.digest,
        mirrored=finish.seq,
    )


async def _unbegun(description: WorkflowExecutionDescription) -> RunProgress:
    """A run that failed before its first turn has nothing to say for itself."""
    return RunProgress(
        run_id=description.id,
        agent=description.typed_search_attributes.get(AGENT_NAME) or "unknown",
        status=RunStatus.QUEUED,
        input=str((await description.memo()).get("input", "")),
        started_at=description.start_time,
    )
