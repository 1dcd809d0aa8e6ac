"""A run's log as Temporal's history has it: the truth that the mirror is held against."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any, Protocol, TypeVar

from temporalio.client import (
    Client,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowHistoryEventFilterType,
)
from temporalio.service import RPCError, RPCStatusCode

from holdfast.attributes import AGENT_NAME
from holdfast.errors import ErrorType, QueryRefused, WorkerUnavailable
from holdfast.protocol import EntryPage, MessagePage
from holdfast.temporal import translated_errors
from holdfast.types import Entry, EntryBatch, Message, RunError, RunId, RunProgress, RunStatus, RunSummary

QUERY_TIMEOUT = timedelta(seconds=5)  # replaying a long closed run takes a second or two
TIMED_OUT = (RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED)  # the server's word for it, and the client's
BATCH = 200  # entries at a time on their way to a store

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

    def __init__(self, client: Client) -> None:
        self._client = client

    async def query(self, run_id: RunId, name: str, *args: Any, result_type: Any, execution: str | None = None) -> Any:
        """Asks a run one of its queries.

        Raises:
            RunNotFound: no run has this id.
            WorkerUnavailable: no worker answers.
        """
        handle = self._client.get_workflow_handle(run_id, run_id=execution)
        with translated_errors(run_id):
            try:
                return await handle.query(name, args=args, result_type=result_type, rpc_timeout=QUERY_TIMEOUT)
            except RPCError as error:
                if error.status in TIMED_OUT:
                    raise WorkerUnavailable(
                        f"no worker answered for run {run_id!r} within {QUERY_TIMEOUT.seconds} s"
                    ) from error
                raise

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
            progress = _unbegun(description)
        if ended and not progress.status.is_final:
            progress.status, progress.doing, progress.finished_at = ended, ended.value, description.close_time
            progress.error = await self._why_ended(run_id, ended)
        return progress

    async def _why_ended(self, run_id: RunId, ended: RunStatus) -> RunError:
        """The reason in the last event of the history; it needs no worker."""
        history = self._client.get_workflow_handle(run_id).fetch_history_events(
            event_filter_type=WorkflowHistoryEventFilterType.CLOSE_EVENT
        )
        async for event in history:
            if event.HasField("workflow_execution_failed_event_attributes"):
                failure = event.workflow_execution_failed_event_attributes.failure
                return RunError(
                    type=failure.application_failure_info.type or ErrorType.INTERNAL, message=failure.message
                )
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

    async def batches(self, run_id: RunId) -> AsyncIterator[EntryBatch]:
        """The whole log, ready to be appended to a store."""
        description = await self.describe(run_id)
        progress = await self.progress(run_id)
        summary = RunSummary.model_validate(progress.model_dump(include=set(RunSummary.model_fields)))
        chain = description.raw_description.workflow_execution_info.first_run_id
        previous, waiting = "", list[Entry]()

        def batch() -> EntryBatch:
            return EntryBatch(run_id=run_id, chain=chain, previous_digest=previous, entries=waiting, summary=summary)

        async for entry in self.entries(run_id):
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


def _unbegun(description: WorkflowExecutionDescription) -> RunProgress:
    """A run that failed before its first turn has nothing to say for itself."""
    return RunProgress(
        run_id=description.id,
        agent=description.typed_search_attributes.get(AGENT_NAME) or "unknown",
        status=RunStatus.QUEUED,
        started_at=description.start_time,
    )
