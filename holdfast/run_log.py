"""A run's log as Temporal's history has it: the truth that the mirror is held against."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, TypeVar

from temporalio.api.failure.v1 import Failure
from temporalio.client import (
    Client,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowHistoryEventFilterType,
)
from temporalio.converter import DataConverter
from temporalio.service import RPCError, RPCStatusCode

from holdfast.attributes import AGENT_NAME
from holdfast.errors import ErrorType, QueryRefused, RunNotFound, WorkerUnavailable
from holdfast.protocol import EntryPage, MessagePage, Standing
from holdfast.temporal import pollers, translated_errors
from holdfast.types import (
    Entry,
    EntryBatch,
    Message,
    MirroredRun,
    RunError,
    RunId,
    RunProgress,
    RunStatus,
    RunSummary,
    TranscriptRef,
)

PATIENCE = tuple(timedelta(seconds=s) for s in (5, 10, 20))
"""How long each asking may take: a worker that died holding a query must not be waited for, but one that replays
a long run among other work needs longer than a moment."""
UNHURRIED = (timedelta(seconds=30),) * 2
"""For whoever looks at many runs, so that workers have a lot to replay at once."""
STILL_POLLING = timedelta(seconds=70)  # an idle worker's poll lasts a minute; its beginning is what the server tells
TIMED_OUT = (RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED)  # the server's word for it, and the client's
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


class _Page(Protocol):
    more: bool
    first: int
    previous: str | None


PageT = TypeVar("PageT", bound=_Page)


class TemporalRunLog:
    """Asks the workflow of a run, open or closed, and the executions that it continues."""

    def __init__(self, client: Client, *, patience: Sequence[timedelta] = PATIENCE) -> None:
        """
        Args:
            client: connected to the namespace of the runs.
            patience: how long a worker may take for an answer, each time that it is asked; the next time comes
                only where a worker polls.
        """
        self._client = client
        self._patience = patience
        self.converter: DataConverter = client.data_converter
        """Reads what the server has of a run."""

    async def reason(self, failure: Failure) -> str:
        """The message of a failure, which the server may have encrypted; the failure is changed by it."""
        await self.converter.decode_failure(failure)
        return failure.message

    async def query(self, run_id: RunId, name: str, *args: Any, result_type: Any, execution: str | None = None) -> Any:
        """Asks a run one of its queries.

        Raises:
            RunNotFound: no run has this id.
            WorkerUnavailable: no worker answers.
        """
        handle = self._client.get_workflow_handle(run_id, run_id=execution)
        waited = timedelta()
        with translated_errors(run_id):
            for patience in self._patience:
                try:
                    return await handle.query(name, args=args, result_type=result_type, rpc_timeout=patience)
                except RPCError as error:
                    if error.status not in TIMED_OUT:
                        raise
                waited += patience
                if not await self._is_polled_for(run_id):
                    break
        raise WorkerUnavailable(f"no worker answered for run {run_id!r} within {waited.total_seconds():g} s")

    async def _is_polled_for(self, run_id: RunId) -> bool:
        """Whether a worker has asked for this run's kind of work of late."""
        queue = (await self.describe(run_id)).task_queue
        since = datetime.now(UTC) - STILL_POLLING
        return any(poller.last_access_time.ToDatetime(UTC) > since for poller in await pollers(self._client, queue))

    async def describe(self, run_id: RunId) -> WorkflowExecutionDescription:
        """What the server itself knows of a run; needs no worker.

        Raises:
            RunNotFound: no run has this id.
        """
        with translated_errors(run_id):
            return await self._client.get_workflow_handle(run_id).describe()

    async def progress(self, run_id: RunId) -> RunProgress:
        """Where a run stands; a run that was ended from outside, or never began, shows its true end."""
        description = await self.describe(run_id)
        ended = ENDED.get(description.status) if description.status else None
        try:
            progress: RunProgress = await self.query(run_id, "status", result_type=RunProgress)
        except (QueryRefused, WorkerUnavailable):
            if ended is None:
                raise
            progress = await _unbegun(description)
        if ended and not progress.status.is_final:
            progress = await self._ended_from_outside(progress, description, ended)
        return progress

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

        async def ask(seq: int, execution: str) -> EntryPage:
            page: EntryPage = await self.query(run_id, "entries", seq, result_type=EntryPage, execution=execution)
            return page

        async for page in self._pages(run_id, after, ask, lambda page: page.entries[-1].seq if page.entries else None):
            for entry in page.entries:
                yield entry

    async def messages(self, run_id: RunId, after: int = -1) -> AsyncIterator[Message]:
        """All transcript messages with `seq > after`, over continue-as-new, open run or closed."""

        async def ask(seq: int, execution: str) -> MessagePage:
            page: MessagePage = await self.query(
                run_id, "transcript", seq, result_type=MessagePage, execution=execution
            )
            return page

        async for page in self._pages(
            run_id, after, ask, lambda page: page.messages[-1].seq if page.messages else None
        ):
            for message in page.messages:
                yield message

    async def standing(self, run_id: RunId) -> Standing:
        """Where a run stands, in one moment; never a guess, as what is shown to people may be.

        Raises:
            RunNotFound: no run has this id.
            QueryRefused: the run cannot say, though it has begun.
            WorkerUnavailable: no worker answers, though the run has begun.
        """
        description = await self.describe(run_id)
        ended = ENDED.get(description.status) if description.status else None
        try:
            progress: RunProgress = await self.query(run_id, "status", result_type=RunProgress)
        except (QueryRefused, WorkerUnavailable):
            if ended is None or not await self._never_began(description):
                raise
            progress = await _unbegun(description)
        if ended and not progress.status.is_final:
            progress = await self._ended_from_outside(progress, description, ended)
        return Standing(
            run=MirroredRun(
                summary=RunSummary.model_validate(progress.model_dump(include=set(RunSummary.model_fields))),
                chain=description.raw_description.workflow_execution_info.first_run_id,
                head=TranscriptRef(seq=progress.head, digest=progress.digest),
            ),
            ended=ended is not None,
            mirrored=progress.mirrored,
        )

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
        run = (await self.standing(run_id)).run
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

    async def _pages(
        self,
        run_id: RunId,
        after: int,
        ask: Callable[[int, str], Awaitable[PageT]],
        last: Callable[[PageT], int | None],
    ) -> AsyncIterator[PageT]:
        """Goes back to the execution that holds what follows `after`, then forward page by page."""
        execution = (await self.describe(run_id)).run_id
        later: list[str] = []
        page = await ask(after, execution)
        while page.previous and page.first > after + 1:
            later.append(execution)
            execution = page.previous
            page = await ask(after, execution)
        while True:
            yield page
            after = last(page) if last(page) is not None else after  # type: ignore[assignment]
            if not page.more:
                if not later:
                    return
                execution = later.pop()
            page = await ask(after, execution)


async def _unbegun(description: WorkflowExecutionDescription) -> RunProgress:
    """A run that failed before its first turn has nothing to say for itself."""
    return RunProgress(
        run_id=description.id,
        agent=description.typed_search_attributes.get(AGENT_NAME) or "unknown",
        status=RunStatus.QUEUED,
        input=str((await description.memo()).get("input", "")),
        started_at=description.start_time,
    )
