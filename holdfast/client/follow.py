"""Follows a run as it happens: nothing is recorded for it, and any number may watch."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

from temporalio.api.enums.v1 import PendingWorkflowTaskState
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.client import WorkflowExecutionDescription, WorkflowExecutionStatus

from holdfast import names
from holdfast.client.delta_feed import DeltaFeed
from holdfast.errors import WorkerUnavailable
from holdfast.events import Event, Notice, TextDelta
from holdfast.ports import BusSource
from holdfast.protocol import ModelProgress
from holdfast.temporal.run_log import TemporalRunLog
from holdfast.types import RunId

POLL_INTERVAL = 0.15  # seconds; a describe costs the server about a millisecond
MAX_EARLY = 100  # deltas whose text before them is missing; some seconds, and heartbeats come more often
UNNOTICED = timedelta(seconds=3)  # a worker takes a workflow task within milliseconds


class Follower:
    """Turns what is said of a run into events, each once.

    Entries, notices and the end come from the server, which is asked at intervals. Text that is being written comes
    from the event bus at once where there is one, and from heartbeats, which are late; each piece is shown once,
    whichever has it first.

    Args:
        log: asks the server.
        run_id: the run.
        after: the entry that the observer has; -1: none.
        bus: gives the event bus; None: there is none.
    """

    def __init__(self, log: TemporalRunLog, run_id: RunId, after: int, bus: BusSource | None = None) -> None:
        self._log = log
        self._run_id = run_id
        self._after = after
        self._feed = DeltaFeed(bus, run_id)
        self._early: deque[ModelProgress] = deque(maxlen=MAX_EARLY)
        self._complete_turn = 0  # the newest turn whose message is an entry
        self._seen: tuple[str | None, int] = (None, -1)
        self._delta_of = (0, 0)  # turn and attempt
        self._delta_chars = 0
        self._notice = ""

    async def events(self) -> AsyncIterator[Event]:
        """Everything after the given entry, until the run has ended."""
        async with self._feed:
            async for event in self._events():
                yield event

    async def _events(self) -> AsyncIterator[Event]:
        while True:
            self._feed.has_entries = False
            known = len(self._feed.deltas)
            description = await self._log.describe(self._run_id)
            state = (description.run_id, description.history_length)
            closed = description.status not in (None, WorkflowExecutionStatus.RUNNING)
            if state != self._seen or closed:
                self._seen = state
                async for event in self._new_entries():
                    yield event
            if closed:
                return
            for event in [*await self._deltas(description), *await self._notices(description)]:
                yield event
            for event in self._heard(known):
                yield event
            async for event in self._live():
                yield event

    async def _live(self) -> AsyncIterator[Event]:
        """What the bus brings of the turn that is shown, until it is time to ask the server again."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + POLL_INTERVAL
        while (left := deadline - loop.time()) > 0 and await self._feed.wait(left):
            for event in self._heard(0):
                yield event
            if self._feed.deltas or self._feed.has_entries:  # a new turn: the entries before it come first
                return

    def _heard(self, known: int) -> list[Event]:
        """Takes deltas of the turn that is shown; of another turn only the first `known`.

        Those were there before the server was asked, so that all entries before them have been shown.
        """
        events: list[Event] = []
        deltas = self._feed.deltas
        while deltas and (known > 0 or (deltas[0].turn, deltas[0].attempt) <= self._delta_of):
            known -= 1
            events += self._fitting(deltas.popleft())
        return events

    def _fitting(self, progress: ModelProgress) -> list[Event]:
        """A delta's text; where what comes before it is missing, it waits for a heartbeat to bring that."""
        if progress.offset <= self._chars_of(progress):
            return self._new_text(progress)
        self._early.append(progress)
        return []

    def _made_fitting(self) -> list[Event]:
        early, self._early = self._early, deque(maxlen=MAX_EARLY)
        return [event for progress in early for event in self._fitting(progress)]

    async def _new_entries(self) -> AsyncIterator[Event]:
        try:
            async for entry in self._log.entries(self._run_id, self._after):
                self._after = entry.seq
                if entry.message and entry.message.role == "assistant":
                    self._complete_turn = entry.turn
                self._notice = ""
                yield entry
        except WorkerUnavailable as error:
            self._seen = (None, -1)
            for notice in self._say(str(error)):
                yield notice

    async def _deltas(self, description: WorkflowExecutionDescription) -> list[Event]:
        events: list[Event] = []
        for pending in description.raw_description.pending_activities:
            if pending.activity_type.name == names.MODEL_CALL and pending.heartbeat_details.payloads:
                [progress] = await self._log.converter.decode(pending.heartbeat_details.payloads, [ModelProgress])
                events += [*self._new_text(progress), *self._made_fitting()]
        return events

    def _chars_of(self, progress: ModelProgress) -> int:
        """How much text of an attempt was shown."""
        return self._delta_chars if (progress.turn, progress.attempt) == self._delta_of else 0

    def _new_text(self, progress: ModelProgress) -> list[Event]:
        attempt = (progress.turn, progress.attempt)
        if progress.turn <= self._complete_turn or attempt < self._delta_of:
            return []
        self._delta_chars = self._chars_of(progress)
        self._delta_of = attempt
        text = progress.text[max(self._delta_chars - progress.offset, 0) :]
        self._delta_chars = max(self._delta_chars, progress.offset + len(progress.text))
        return [TextDelta(turn=progress.turn, text=text)] if text else []

    async def _notices(self, description: WorkflowExecutionDescription) -> list[Event]:
        task = description.raw_description.pending_workflow_task
        if task.state == PendingWorkflowTaskState.PENDING_WORKFLOW_TASK_STATE_SCHEDULED:
            waited = datetime.now(UTC) - task.scheduled_time.ToDatetime(UTC)
            if waited > UNNOTICED:
                return self._say("no worker has picked up the run; `holdfast up` starts one")
        for pending in description.raw_description.pending_activities:
            if pending.attempt > 1 and pending.HasField("last_failure"):
                return self._say(_retry_notice(pending, await self._log.reason(pending.last_failure)))
        return []

    def _say(self, text: str) -> list[Event]:
        if text == self._notice:
            return []
        self._notice = text
        return [Notice(text=text)]


def _retry_notice(pending: PendingActivityInfo, reason: str) -> str:
    """Which call failed, why, and that it is retried."""
    name = pending.activity_type.name
    said = reason.rstrip(".")
    if name.startswith("mirror."):
        return f"The mirror lags behind: {said}. Retrying (attempt {pending.attempt})."
    if name == names.MODEL_CALL:
        return f"Model call failed: {said}. Retrying (attempt {pending.attempt})."
    return f"{name.removeprefix(names.TOOL_PREFIX)} failed: {said}. Retrying (attempt {pending.attempt})."
