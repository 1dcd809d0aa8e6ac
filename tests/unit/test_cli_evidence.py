"""Evidence from a history: the demo detects repeated calls."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

from holdfast.cli.evidence import Crash, Evidence, calls_in
from holdfast.cli.render.crash_report import document, show_evidence, show_verdict, verdict
from holdfast.cli.render.output import Output
from holdfast.invocations import ToolInvocation
from holdfast.protocol import ModelCall
from holdfast.temporal.converter import DATA_CONVERTER
from holdfast.types import RunResult, RunStatus, ToolCall, TranscriptRef

START = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
CRASH = Crash(worker="first", killed=START + timedelta(seconds=10), restarted=START + timedelta(seconds=10.5))


def model_call(turn: int) -> ModelCall:
    head = TranscriptRef(seq=turn, digest=f"d{turn}")
    return ModelCall(run_id="r", turn=turn, base=head, entries=[], deadline=START)


def tool_call(turn: int, call_id: str) -> ToolInvocation:
    return ToolInvocation(run_id="r", agent="a", turn=turn, call=ToolCall(id=call_id, name="note"))


class History:
    """Builds the events that a server writes."""

    def __init__(self) -> None:
        self.events: list[HistoryEvent] = []

    def _event(self, kind: EventType.ValueType, at: float) -> HistoryEvent:
        event = HistoryEvent(event_id=len(self.events) + 1, event_type=kind)
        event.event_time.FromDatetime(START + timedelta(seconds=at))
        self.events.append(event)
        return event

    async def activity(
        self,
        call: ModelCall | ToolInvocation | str,
        *times: float,
        worker: str = "first",
        attempt: int = 1,
        fails: bool = False,
    ) -> None:
        """Adds one activity that was scheduled, started and ended at these seconds."""
        scheduled, started, ended = times
        event = self._event(EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED, scheduled)
        task = event.activity_task_scheduled_event_attributes
        kinds = {ModelCall: "model.call", ToolInvocation: "tool.note", str: "mirror.append"}
        task.activity_type.name = kinds[type(call)]
        task.input.payloads.extend(await DATA_CONVERTER.encode([call]))
        begun = self._event(EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED, started)
        begun.activity_task_started_event_attributes.scheduled_event_id = event.event_id
        begun.activity_task_started_event_attributes.attempt = attempt
        begun.activity_task_started_event_attributes.identity = worker
        if fails:
            failed = self._event(EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED, ended)
            failed.activity_task_failed_event_attributes.scheduled_event_id = event.event_id
        else:
            done = self._event(EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED, ended)
            done.activity_task_completed_event_attributes.scheduled_event_id = event.event_id

    async def evidence(self) -> Evidence:
        return Evidence(await calls_in(self.events, DATA_CONVERTER), CRASH)


def result(status: RunStatus = RunStatus.COMPLETED) -> RunResult:
    return RunResult(run_id="r", agent="a", status=status, started_at=START)


async def crashed_well() -> History:
    history = History()
    await history.activity(model_call(1), 0, 0.1, 1)
    await history.activity("a batch", 1, 1.1, 2)
    await history.activity(tool_call(1, "c1"), 1, 1.1, 2)
    await history.activity(model_call(2), 9, 12, 13, worker="second", attempt=2)
    await history.activity(tool_call(2, "c1"), 13, 13.1, 14, worker="second")
    return history


async def test_a_good_crash_is_borne_out() -> None:
    """The verdict is good when only the interrupted call was repeated."""
    evidence = await (await crashed_well()).evidence()
    assert [call.what for call in evidence.calls] == [
        "turn 1: model",
        "turn 1: note",
        "turn 2: model",
        "turn 2: note",
    ]
    assert [call.what for call in evidence.finished_before] == ["turn 1: model", "turn 1: note"]
    assert [call.what for call in evidence.in_flight] == ["turn 2: model"]
    assert evidence.repeated == []
    assert evidence.seconds_to_next_call == pytest.approx(1.5)
    assert verdict(evidence, result())


async def test_a_finished_call_that_is_repeated_is_found() -> None:
    """A repeated finished call is reported."""
    history = await crashed_well()
    await history.activity(model_call(1), 14, 14.1, 15, worker="second")
    await history.activity(tool_call(1, "c1"), 15, 15.1, 16, worker="second")
    evidence = await history.evidence()
    assert [call.what for call in evidence.repeated] == ["turn 1: model", "turn 1: note"]
    assert not verdict(evidence, result())
    assert document(evidence, result())["repeated"] == ["model/1/d1", "tool/1/c1"]


async def test_a_call_that_had_failed_may_be_repeated() -> None:
    """A failed call may be repeated."""
    history = await crashed_well()
    await history.activity(model_call(3), 9, 9.1, 9.5, fails=True)
    await history.activity(model_call(3), 14, 14.1, 15, worker="second")
    evidence = await history.evidence()
    assert evidence.repeated == []


async def test_a_crash_between_two_calls_proves_nothing() -> None:
    """A crash without a call in flight is not accepted as evidence."""
    history = History()
    await history.activity(model_call(1), 0, 0.1, 1)
    await history.activity(model_call(2), 9.9, 12, 13, worker="second")
    evidence = await history.evidence()
    assert evidence.in_flight == []
    assert not verdict(evidence, result())


async def test_a_run_that_failed_is_no_success() -> None:
    """A failed run is not a success."""
    evidence = await (await crashed_well()).evidence()
    assert not verdict(evidence, result(RunStatus.FAILED))


async def test_the_report_fits_and_shows_the_call_in_flight(capsys: pytest.CaptureFixture[str]) -> None:
    """The report fits a terminal and shows the call in flight."""
    evidence = await (await crashed_well()).evidence()
    show_evidence(Output(), evidence)
    show_verdict(Output(), evidence, result())
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    [interrupted] = [line for line in shown.splitlines() if "interrupted" in line]
    assert "turn 2: model" in interrupted
    assert shown.index("turn 2: model") < shown.index("kill -9") < shown.index("turn 2: note")
    assert "finished calls that were repeated: none" in shown
