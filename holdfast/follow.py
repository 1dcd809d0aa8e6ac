"""Follows a run as it happens, by asking Temporal: nothing is recorded for it, and any number may watch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

from temporalio.api.enums.v1 import PendingWorkflowTaskState
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.client import WorkflowExecutionDescription, WorkflowExecutionStatus

from holdfast.converter import DATA_CONVERTER
from holdfast.errors import WorkerUnavailable
from holdfast.events import Event, Notice, TextDelta
from holdfast.protocol import ModelProgress
from holdfast.run_log import TemporalRunLog
from holdfast.types import RunId

POLL_INTERVAL = 0.15  # seconds; a describe costs the server about a millisecond
UNNOTICED = timedelta(seconds=3)  # a worker takes a workflow task within milliseconds


class Follower:
    """Turns what the server says of a run into events, each once."""

    def __init__(self, log: TemporalRunLog, run_id: RunId, after: int) -> None:
        self._log = log
        self._run_id = run_id
        self._after = after
        self._seen: tuple[str | None, int] = (None, -1)
        self._delta_of = (0, 0)  # turn and attempt
        self._delta_chars = 0
        self._notice = ""

    async def events(self) -> AsyncIterator[Event]:
        """Everything after the given entry, until the run has ended."""
        while True:
            description = await self._log.describe(self._run_id)
            state = (description.run_id, description.history_length)
            closed = description.status not in (None, WorkflowExecutionStatus.RUNNING)
            if state != self._seen or closed:
                self._seen = state
                async for event in self._new_entries():
                    yield event
            if closed:
                return
            for event in [*await self._deltas(description), *self._notices(description)]:
                yield event
            await asyncio.sleep(POLL_INTERVAL)

    async def _new_entries(self) -> AsyncIterator[Event]:
        try:
            async for entry in self._log.entries(self._run_id, self._after):
                self._after = entry.seq
                self._notice = ""
                yield entry
        except WorkerUnavailable as error:
            self._seen = (None, -1)
            for notice in self._say(str(error)):
                yield notice

    async def _deltas(self, description: WorkflowExecutionDescription) -> list[Event]:
        events: list[Event] = []
        for pending in description.raw_description.pending_activities:
            if pending.activity_type.name == "model.call" and pending.heartbeat_details.payloads:
                [progress] = await DATA_CONVERTER.decode(pending.heartbeat_details.payloads, [ModelProgress])
                events += self._new_text(progress)
        return events

    def _new_text(self, progress: ModelProgress) -> list[Event]:
        if (progress.turn, progress.attempt) != self._delta_of:
            self._delta_of, self._delta_chars = (progress.turn, progress.attempt), 0
        text = progress.text[max(self._delta_chars - progress.offset, 0) :]
        self._delta_chars = max(self._delta_chars, progress.offset + len(progress.text))
        return [TextDelta(turn=progress.turn, text=text)] if text else []

    def _notices(self, description: WorkflowExecutionDescription) -> list[Event]:
        task = description.raw_description.pending_workflow_task
        if task.state == PendingWorkflowTaskState.PENDING_WORKFLOW_TASK_STATE_SCHEDULED:
            waited = datetime.now(UTC) - task.scheduled_time.ToDatetime(UTC)
            if waited > UNNOTICED:
                return self._say("no worker has taken the run up; is one running? `python starter.py up` starts one")
        for pending in description.raw_description.pending_activities:
            if reason := _why_again(pending):
                return self._say(reason)
        return []

    def _say(self, text: str) -> list[Event]:
        if text == self._notice:
            return []
        self._notice = text
        return [Notice(text=text)]


def _why_again(pending: PendingActivityInfo) -> str | None:
    """Why a call is being made again; None when it is the first time."""
    if pending.attempt <= 1 or not pending.HasField("last_failure"):
        return None
    name = pending.activity_type.name
    if name.startswith("store."):
        return f"the mirror is behind: {pending.last_failure.message}"
    return f"{name}, attempt {pending.attempt}, as the one before failed: {pending.last_failure.message}"
