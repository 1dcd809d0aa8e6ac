"""Follower of a run: yields its events as they happen, without writing to its history."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta

from temporalio.api.enums.v1 import PendingWorkflowTaskState, TimeoutType
from temporalio.api.failure.v1 import Failure
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.client import WorkflowExecutionDescription, WorkflowExecutionStatus

from holdfast import names
from holdfast.client.delta_feed import DeltaFeed
from holdfast.client.reports import Reports
from holdfast.errors import HoldfastError, WorkerUnavailable
from holdfast.events import Event, Notice, TextDelta
from holdfast.model_reply import TriedModel
from holdfast.ports import BusSource
from holdfast.progress import Wait
from holdfast.protocol import ModelProgress
from holdfast.search_attributes import AGENT_WAITS_FOR
from holdfast.temporal.live_progress import live_progress
from holdfast.temporal.run_log import TemporalRunLog
from holdfast.types import Entry, RunId

POLL_INTERVAL = 0.15  # seconds; a describe costs the server about a millisecond
MAX_EARLY = 100  # deltas that wait for earlier text; a few seconds' worth, and heartbeats are more frequent
LOST = "its worker was lost or did not respond"
PICKUP_TIME = timedelta(seconds=3)  # a worker starts a workflow task within milliseconds


class Follower:
    """Yields the events of a run, each once.

    Entries, notices and the end are polled from the server. Text that is being written arrives immediately from the
    event bus, if there is one, and later from heartbeats; each piece is yielded once, from whichever source is first.

    Args:
        log: reads the run from the server.
        run_id: the run.
        after: `seq` of the newest entry that the observer already has; -1 means none.
        bus: returns the event bus; `None` means that there is no bus.
    """

    def __init__(self, log: TemporalRunLog, run_id: RunId, after: int, bus: BusSource | None = None) -> None:
        self._log = log
        self._run_id = run_id
        self._after = after
        self._feed = DeltaFeed(bus, run_id)
        self._early: deque[ModelProgress] = deque(maxlen=MAX_EARLY)
        self._complete_turn = 0  # the newest turn whose message is an entry
        self._seen: tuple[str | None, int] = (None, -1)
        self._execution: str | None = None
        self._digests: dict[int, str] = {}
        """Of the entries that were yielded, which a reset may replace."""
        self._asked: tuple[str, int] | None = None
        """The execution and the length of its history when the run was asked what it waits for."""
        self._delta_of = (0, 0)  # turn and attempt
        self._delta_chars = 0
        self._reports = Reports(self._feed.progress)
        self._noticed: set[str] = set()  # since the newest entry

    async def events(self) -> AsyncIterator[Event]:
        """Yields all events after the given entry until the run has ended."""
        async with self._feed:
            async for event in self._events():
                yield event

    async def _events(self) -> AsyncIterator[Event]:
        while True:
            self._feed.has_entries = False
            known, reported = len(self._feed.deltas), len(self._feed.progress)
            description = await self._log.describe(self._run_id)
            state = (description.run_id, description.history_length)
            closed = description.status not in (None, WorkflowExecutionStatus.RUNNING)
            if state != self._seen or closed:
                self._seen = state
                async for event in self._new_entries(description.run_id):
                    yield event
            if closed:
                return
            for event in [*await self._deltas(description), *await self._notices(description)]:
                yield event
            for event in [*self._consume(known), *self._reports.take(reported, self._complete_turn)]:
                yield event
            async for event in self._live():
                yield event

    async def _live(self) -> AsyncIterator[Event]:
        """Yields deltas of the current turn from the bus until the next poll of the server is due."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + POLL_INTERVAL
        while (left := deadline - loop.time()) > 0 and await self._feed.wait(left):
            for event in [*self._consume(0), *self._reports.take(0, self._complete_turn)]:
                yield event
            if self._feed.deltas or self._feed.has_entries:  # a new turn: the entries before it come first
                return

    def _consume(self, known: int) -> list[Event]:
        """Consumes deltas of the current turn; of a newer turn only the first `known`.

        Those had arrived before the server was polled, so all earlier entries have been yielded.
        """
        events: list[Event] = []
        deltas = self._feed.deltas
        while deltas and (known > 0 or (deltas[0].turn, deltas[0].attempt) <= self._delta_of):
            known -= 1
            events += self._in_order(deltas.popleft())
        return events

    def _in_order(self, progress: ModelProgress) -> list[Event]:
        """Returns the events of a delta; one that arrives too early waits for a heartbeat with the text before it."""
        if progress.offset <= self._chars_of(progress):
            return self._new_text(progress)
        self._early.append(progress)
        return []

    def _release_early(self) -> list[Event]:
        early, self._early = self._early, deque(maxlen=MAX_EARLY)
        return [event for progress in early for event in self._in_order(progress)]

    async def _new_entries(self, execution: str) -> AsyncIterator[Event]:
        try:
            if self._execution not in (None, execution) and await self._was_reset():
                yield await self._go_back()
            self._execution = execution
            async for entry in self._log.entries(self._run_id, self._after):
                if not self._continues_with(entry):  # it was reset a moment ago
                    self._execution, self._seen = "", (None, -1)
                    return
                self._after = entry.seq
                self._digests[entry.seq] = entry.digest
                if entry.message and entry.message.role == "assistant":
                    self._complete_turn = entry.turn
                self._noticed.clear()
                for report in self._reports.end(entry):
                    yield report
                yield entry
        except WorkerUnavailable as error:
            self._seen = (None, -1)
            for notice in self._notice_once(str(error)):
                yield notice

    async def _was_reset(self) -> bool:
        """Whether the new execution lacks the newest entry that was yielded; otherwise it was continued as new."""
        async for entry in self._log.entries(self._run_id, self._after - 1):
            return self._after >= 0 and not self._has(entry)
        return self._after >= 0

    async def _go_back(self) -> Notice:
        """Continues after the last entry that the new execution shares with what was yielded."""
        shared = turn = -1
        async for entry in self._log.entries(self._run_id):
            if entry.seq > self._after or not self._has(entry):
                break
            shared, turn = entry.seq, entry.turn
        self._after, self._complete_turn, self._delta_of, self._delta_chars = shared, max(turn, 0), (0, 0), 0
        self._digests = {seq: digest for seq, digest in self._digests.items() if seq <= shared}
        return Notice(text=f"The run was reset: it continues after entry {shared}.")

    def _has(self, entry: Entry) -> bool:
        """Whether an entry is the one that was yielded, or that the observer already had."""
        return self._digests.get(entry.seq, entry.digest) == entry.digest

    def _continues_with(self, entry: Entry) -> bool:
        """Whether an entry follows the newest one that was yielded."""
        before = self._digests.get(entry.seq - 1)
        return before is None or entry.follows(before)

    async def _deltas(self, description: WorkflowExecutionDescription) -> list[Event]:
        events: list[Event] = []
        for pending in description.raw_description.pending_activities:
            if pending.activity_type.name == names.MODEL_CALL and pending.heartbeat_details.payloads:
                [progress] = await self._log.converter.decode(pending.heartbeat_details.payloads, [ModelProgress])
                events += [*self._new_text(progress), *self._release_early()]
        live = await live_progress(description, self._log.converter)
        return [*events, *(report for found in live for report in self._reports.new(found))]

    def _chars_of(self, progress: ModelProgress) -> int:
        """Returns how many characters of an attempt were yielded."""
        return self._delta_chars if (progress.turn, progress.attempt) == self._delta_of else 0

    def _new_text(self, progress: ModelProgress) -> list[Event]:
        attempt = (progress.turn, progress.attempt)
        if progress.turn <= self._complete_turn or attempt < self._delta_of:
            return []
        notices = [notice for tried in progress.tried for notice in self._notice_once(_fallback_notice(tried))]
        self._delta_chars = self._chars_of(progress)
        self._delta_of = attempt
        text = progress.text[max(self._delta_chars - progress.offset, 0) :]
        self._delta_chars = max(self._delta_chars, progress.offset + len(progress.text))
        deltas = [TextDelta(turn=progress.turn, text=text, attempt=progress.attempt)] if text else []
        return [*notices, *deltas]

    async def _notices(self, description: WorkflowExecutionDescription) -> list[Event]:
        task = description.raw_description.pending_workflow_task
        if task.state == PendingWorkflowTaskState.PENDING_WORKFLOW_TASK_STATE_SCHEDULED:
            waited = datetime.now(UTC) - task.scheduled_time.ToDatetime(UTC)
            if waited > PICKUP_TIME:
                return self._notice_once("no worker has picked up the run; `holdfast up` starts one")
        for pending in description.raw_description.pending_activities:
            is_call = pending.activity_type.name != names.RUN_SLOT  # of which `_wait` tells
            if is_call and pending.attempt > 1 and pending.HasField("last_failure"):
                return self._notice_once(retry_notice(pending, await self._reason(pending.last_failure)))
        return await self._waits(description)

    async def _reason(self, failure: Failure) -> str:
        if failure.timeout_failure_info.timeout_type == TimeoutType.TIMEOUT_TYPE_HEARTBEAT:
            return LOST
        return await self._log.reason(failure)

    async def _waits(self, description: WorkflowExecutionDescription) -> list[Event]:
        """Returns what the run waits for; it is asked once for each change of its history.

        While a call is in flight, it is asked only if Temporal's index says that it waits for something else.
        """
        raw = description.raw_description
        calls = {pending.activity_type.name for pending in raw.pending_activities} - {names.RUN_SLOT}
        asked = (description.run_id, description.history_length)
        is_at_work = calls and not description.typed_search_attributes.get(AGENT_WAITS_FOR)
        if asked == self._asked or raw.HasField("pending_workflow_task") or is_at_work:
            return []
        self._asked = asked
        try:
            progress = await self._log.progress(self._run_id)
        except HoldfastError:  # the worker that knows it has gone; the next poll tells
            return []
        if not (progress.waits_for or progress.doing.startswith("waiting for ")):
            return []
        return self._notice_once(f"The run is {progress.doing}.", progress.waits_for)

    def _notice_once(self, text: str, waits: Sequence[Wait] = ()) -> list[Event]:
        if text in self._noticed:
            return []
        self._noticed.add(text)
        return [Notice(text=text, waits_for=list(waits))]


def _fallback_notice(tried: TriedModel) -> str:
    """Which model did not answer, and why."""
    return f"Model {tried.model!r} did not answer ({tried.reason.replace('_', ' ')}); asking the next one."


def retry_notice(pending: PendingActivityInfo, reason: str) -> str:
    """Which call failed, why, and that it is retried."""
    name = pending.activity_type.name
    said = reason.rstrip(".")
    if name == names.RUN_PREPARE:
        return f"The run waits to begin: {said}. Retrying (attempt {pending.attempt})."
    if name.startswith("mirror."):
        return f"The mirror lags behind: {said}. Retrying (attempt {pending.attempt})."
    if name == names.MODEL_CALL:
        return f"Model call failed: {said}. Retrying (attempt {pending.attempt})."
    unless = ", unless the tool must not run twice" if reason == LOST else ""
    return f"{name.removeprefix(names.TOOL_PREFIX)} failed: {said}. Retrying (attempt {pending.attempt}){unless}."
