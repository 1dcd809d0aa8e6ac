"""The log of a run, read from the inputs of its activities in Temporal's history, without a worker."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TypeVar, cast

from temporalio.api.common.v1 import Payloads, WorkflowExecution
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import GetWorkflowExecutionHistoryReverseRequest
from temporalio.client import Client

from holdfast import names
from holdfast.protocol import CarriedState, ModelCall, RunRequest
from holdfast.temporal.connection import translated_errors
from holdfast.types import Entry, EntryBatch, RunId, RunStatus, RunSummary, TranscriptRef

LAST_EVENTS = 30  # events to search for the last append, which only a few events follow
FIRST_EVENTS = 30  # events to search for the first model call, which carries the first entries
LOCAL_ACTIVITY = "core_local_activity"  # name of the SDK's markers; `data` describes the activity, never encrypted
EVENTS = 1000  # in one page; some 600 KB

CARRIERS: dict[str, type[EntryBatch | ModelCall]] = {names.MIRROR_APPEND: EntryBatch, names.MODEL_CALL: ModelCall}
"""Activities whose input carries entries, with the type of that input."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LastAppend:
    """The last batch that a run sent to its mirror by an append activity, as it does at its end."""

    batch: EntryBatch
    is_acknowledged: bool


@dataclass(frozen=True, slots=True)
class RecordedState:
    """The state of a run as of the newest entry that its history has."""

    summary: RunSummary
    head: TranscriptRef


class RecordedLog:
    """Reads executions of a run without a replay, which needs a worker and some 8 ms per turn.

    Model calls, appends and the marker at the end of a run carry the entries. Entries after the last of them are
    missing here; `ReplayedLog` has them.

    Args:
        client: connected to the namespace of the runs.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    async def entries(self, run_id: RunId, newest: str, after: int, *, closed: bool) -> AsyncIterator[Entry]:
        """Yields the entries of closed executions with `seq > after`, without gaps, as far as history has them.

        Args:
            run_id: the run.
            newest: Temporal's id of its newest execution.
            after: seq of the entry before the first requested one.
            closed: whether the newest execution is closed; earlier ones always are.

        Raises:
            RunNotFound: a part of the history has been deleted.
            PayloadUnreadable: a large batch is in a store that this client cannot read.
        """
        with translated_errors(run_id):
            executions = await self._executions(run_id, newest, after)
            for execution in executions if closed else executions[:-1]:
                async for entries in self._carried_entries(run_id, execution):
                    for entry in entries:
                        if entry.seq == after + 1:
                            after = entry.seq
                            yield entry

    async def first(self, run_id: RunId, execution: str) -> Entry | None:
        """Returns the first entry that an execution's activities carry; `None` if there is none.

        Raises:
            RunNotFound: the history has been deleted.
            PayloadUnreadable: see `entries`.
        """
        with translated_errors(run_id):
            async for entries in self._carried_entries(run_id, execution, FIRST_EVENTS):
                return entries[0]
        return None

    async def last(self, run_id: RunId, execution: str) -> LastAppend | None:
        """Returns the last append of a closed execution; `None` if there is none near its end.

        Raises:
            RunNotFound: the history has been deleted.
            PayloadUnreadable: see `entries`.
        """
        completed: set[int] = set()
        with translated_errors(run_id):
            for event in await self._last_events(run_id, execution):
                completed.add(event.activity_task_completed_event_attributes.scheduled_event_id)
                scheduled = event.activity_task_scheduled_event_attributes
                if scheduled.activity_type.name == names.MIRROR_APPEND:
                    batch = await self._decoded(scheduled.input, EntryBatch)
                    return LastAppend(batch, event.event_id in completed)
                if finish := finish_payloads(event):
                    return LastAppend(await self._decoded(finish, EntryBatch), is_acknowledged=True)
        return None

    async def state(self, run_id: RunId, execution: str) -> RecordedState | None:
        """Returns the newest state of a run in an open or closed execution; `None` if it has recorded nothing.

        Raises:
            RunNotFound: the history has been deleted.
            PayloadUnreadable: see `entries`.
        """
        found = None
        with translated_errors(run_id):
            handle = self._client.get_workflow_handle(run_id, run_id=execution)
            async for event in handle.fetch_history_events(page_size=EVENTS):
                scheduled = event.activity_task_scheduled_event_attributes
                if kind := CARRIERS.get(scheduled.activity_type.name):
                    carrier = await self._decoded(scheduled.input, kind)
                    if carrier.entries and carrier.summary:
                        found = RecordedState(carrier.summary, carrier.entries[-1].ref)
            return found or await self._carried_state(run_id, execution)

    async def _carried_state(self, run_id: RunId, execution: str) -> RecordedState | None:
        if (carried := await self._carried(run_id, execution)) is None:
            return None
        spec = carried.plan.spec
        acting = spec.acting(carried.active)
        summary = RunSummary(
            run_id=run_id,
            agent=spec.name,
            active_agent=None if acting is spec else acting.name,
            status=RunStatus.RUNNING,
            turn=carried.turns,
            usage=carried.usage,
            tool_calls=carried.tool_calls,
            model=carried.model,
            stage=carried.stage.stage if carried.stage else None,
            stage_progress=carried.stage.percent if carried.stage else None,
            started_at=carried.started_at,
        )
        return RecordedState(summary, carried.head)

    async def task_failure(self, run_id: RunId, execution: str) -> Failure | None:
        """Returns why the newest workflow task of an execution failed; `None` if it did not fail."""
        with translated_errors(run_id):
            for event in await self._last_events(run_id, execution):
                if event.HasField("workflow_task_failed_event_attributes"):
                    return event.workflow_task_failed_event_attributes.failure
                if event.HasField("workflow_task_completed_event_attributes"):
                    return None
        return None

    async def _executions(self, run_id: RunId, newest: str, after: int) -> list[str]:
        """Returns the executions with entries after `after`, oldest first."""
        found = [newest]
        while (carried := await self._carried(run_id, found[0])) and carried.head.seq > after:
            found.insert(0, carried.previous)
        return found

    async def _carried(self, run_id: RunId, execution: str) -> CarriedState | None:
        """Returns the state that an execution carries from the previous one; `None` for the first."""
        handle = self._client.get_workflow_handle(run_id, run_id=execution)
        first = await anext(handle.fetch_history_events(page_size=1))
        begun = first.workflow_execution_started_event_attributes
        if not begun.continued_execution_run_id:
            return None  # its input was written by a client, and may be anything
        return (await self._decoded(begun.input, RunRequest)).carried

    async def _carried_entries(self, run_id: RunId, execution: str, page: int = EVENTS) -> AsyncIterator[list[Entry]]:
        handle = self._client.get_workflow_handle(run_id, run_id=execution)
        async for event in handle.fetch_history_events(page_size=page):
            if entries := await self._entries(event):
                yield entries

    async def _entries(self, event: HistoryEvent) -> list[Entry]:
        """Returns the entries that an event carries: of a scheduled activity, or of the marker at the end of a run."""
        if finish := finish_payloads(event):
            return (await self._decoded(finish, EntryBatch)).entries
        scheduled = event.activity_task_scheduled_event_attributes
        kind = CARRIERS.get(scheduled.activity_type.name)
        return (await self._decoded(scheduled.input, kind)).entries if kind else []

    async def _last_events(self, run_id: RunId, execution: str) -> list[HistoryEvent]:
        """Returns the last events of an execution, newest first."""
        answer = await self._client.workflow_service.get_workflow_execution_history_reverse(
            GetWorkflowExecutionHistoryReverseRequest(
                namespace=self._client.namespace,
                execution=WorkflowExecution(workflow_id=run_id, run_id=execution),
                maximum_page_size=LAST_EVENTS,
            ),
            retry=True,
        )
        return list(answer.history.events)

    async def _decoded(self, payloads: Payloads, kind: type[T]) -> T:
        [value] = await self._client.data_converter.decode_wrapper(payloads, [kind])
        return cast("T", value)


def finish_payloads(event: HistoryEvent) -> Payloads | None:
    """Returns the result of the local activity that appends the end of a run; `None` if the event is another."""
    marker = event.marker_recorded_event_attributes
    if marker.marker_name != LOCAL_ACTIVITY or "result" not in marker.details:
        return None
    about = json.loads(marker.details["data"].payloads[0].data)
    return marker.details["result"] if about["activity_type"] == names.MIRROR_FINISH else None
