"""Steps of workflow code: what it decided, as the events of a history and the commands of a replay say it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.bridge.proto.workflow_commands import WorkflowCommand

from holdfast.temporal.recorded import LOCAL_ACTIVITY

PATCH = "core_patch"  # name of the SDK's markers of `workflow.patched`
PATCHES_ATTRIBUTE = "TemporalChangeVersion"  # which the SDK sets beside such a marker, without a command

CALL = "calls {subject}"
TIMER = "starts a timer of {details}"
CHILD = "starts child workflow {subject}"
SIGNAL = "sends signal {subject} to another workflow"
ATTRIBUTES = "sets search attributes"
MEMO = "sets the memo"
END = "{subject}{details}"
LOCAL = "calls {subject} within its workflow task"
MARKED = "uses patch {subject}"

COMPARED = {CALL, TIMER, CHILD, SIGNAL, ATTRIBUTES, MEMO, END}
"""Kinds whose steps a history has in the order of the commands; the SDK records others when they have ended."""


@dataclass(frozen=True)
class Step:
    """One decision of workflow code; two are the same if a replay takes them to be."""

    kind: str
    """One of the texts above."""
    subject: str = ""
    """What a replay compares: the type of an activity or of a child workflow."""
    details: str = field(default="", compare=False)
    """Of a local call: how the run ends, if that is what it appends to the mirror."""
    summary: Payload | None = field(default=None, compare=False)
    """What Temporal's UI shows beside the step."""

    @property
    def words(self) -> str:
        """What the code does, as `calls tool.find`."""
        return self.kind.format(subject=self.subject, details=self.details)


def step_of_event(event: HistoryEvent) -> Step | None:
    """Returns the step that an event records; `None` if workflow code did not cause it, or others tell of it."""
    name = event.WhichOneof("attributes") or ""
    make = EVENTS.get(name.removesuffix("_event_attributes"))
    return _made(event, make(getattr(event, name))) if make else None


def steps_of_task(commands: Sequence[WorkflowCommand]) -> list[Step]:
    """Returns the steps of one workflow task, without calls and timers that it cancelled again.

    Those never reach the server.
    """
    cancelled = {
        cancel(command) for command in commands if (cancel := CANCELS.get(command.WhichOneof("variant") or ""))
    }
    return [
        step
        for command in commands
        if (step := _step_of_command(command)) and (step.kind, _seq(command)) not in cancelled
    ]


def event_name(event: HistoryEvent) -> str:
    """Returns the type of an event as Temporal's UI shows it, as `ActivityTaskScheduled`."""
    words = EventType.Name(event.event_type).removeprefix("EVENT_TYPE_").split("_")
    return "".join(word.capitalize() for word in words)


def _step_of_command(command: WorkflowCommand) -> Step | None:
    name = command.WhichOneof("variant") or ""
    make = COMMANDS.get(name)
    return _made(command, make(getattr(command, name))) if make else None


def _made(source: HistoryEvent | WorkflowCommand, step: Step | None) -> Step | None:
    has_summary = source.user_metadata.HasField("summary")
    return replace(step, summary=source.user_metadata.summary) if step and has_summary else step


def _seq(command: WorkflowCommand) -> int | None:
    return getattr(getattr(command, command.WhichOneof("variant") or ""), "seq", None)


def _marker(marker: Any) -> Step | None:
    with suppress(KeyError, IndexError, ValueError, AttributeError):
        if marker.marker_name == LOCAL_ACTIVITY:
            return Step(LOCAL, _json(marker.details["data"].payloads)["activity_type"])
        if marker.marker_name == PATCH:
            return Step(MARKED, _json(marker.details["patch-data"].payloads)["id"])
    return None


def _changed_attributes(event: Any) -> Step | None:
    return Step(ATTRIBUTES) if set(event.search_attributes.indexed_fields) - {PATCHES_ATTRIBUTE} else None


def _outcome(arguments: Iterable[Payload]) -> str:
    """Returns how a run ends, if this is the input of the append of its end; else an empty text."""
    with suppress(KeyError, IndexError, ValueError, TypeError, AttributeError):
        result = _json(arguments)["entries"][-1]["data"]["result"]
        reason = (result.get("error") or {}).get("message")
        return f"ends the run as {result['status']}" + (f": {reason}" if reason else "")
    return ""


def _json(payloads: Iterable[Payload]) -> Any:
    [payload] = payloads
    return json.loads(payload.data)


def _timer(started: Any) -> Step:
    return Step(TIMER, details=f"{started.start_to_fire_timeout.ToSeconds():g} s")


def _failed(attributes: Any) -> Step:
    message = attributes.failure.message
    return Step(END, "fails", f": {message}" if message else "")


def _ends(word: str) -> Callable[[Message], Step]:
    return lambda _attributes: Step(END, word)


EVENTS: Mapping[str, Callable[[Any], Step | None]] = {
    "activity_task_scheduled": lambda event: Step(CALL, event.activity_type.name),
    "timer_started": _timer,
    "start_child_workflow_execution_initiated": lambda event: Step(CHILD, event.workflow_type.name),
    "signal_external_workflow_execution_initiated": lambda event: Step(SIGNAL, event.signal_name),
    "upsert_workflow_search_attributes": _changed_attributes,
    "workflow_properties_modified": lambda _event: Step(MEMO),
    "marker_recorded": _marker,
    "workflow_execution_completed": _ends("completes"),
    "workflow_execution_failed": _failed,
    "workflow_execution_canceled": _ends("ends as cancelled"),
    "workflow_execution_continued_as_new": _ends("continues as new"),
}
"""By the name of the event's attributes."""

COMMANDS: Mapping[str, Callable[[Any], Step]] = {
    "schedule_activity": lambda command: Step(CALL, command.activity_type),
    "start_timer": _timer,
    "start_child_workflow_execution": lambda command: Step(CHILD, command.workflow_type),
    "signal_external_workflow_execution": lambda command: Step(SIGNAL, command.signal_name),
    "upsert_workflow_search_attributes": lambda _command: Step(ATTRIBUTES),
    "modify_workflow_properties": lambda _command: Step(MEMO),
    "schedule_local_activity": lambda command: Step(LOCAL, command.activity_type, _outcome(command.arguments)),
    "set_patch_marker": lambda command: Step(MARKED, command.patch_id),
    "complete_workflow_execution": _ends("completes"),
    "fail_workflow_execution": _failed,
    "cancel_workflow_execution": _ends("ends as cancelled"),
    "continue_as_new_workflow_execution": _ends("continues as new"),
}
"""By the name of the command's variant."""

CANCELS: Mapping[str, Callable[[WorkflowCommand], tuple[str, int]]] = {
    "cancel_timer": lambda command: (TIMER, command.cancel_timer.seq),
    "request_cancel_activity": lambda command: (CALL, command.request_cancel_activity.seq),
    "cancel_child_workflow_execution": lambda command: (
        CHILD,
        command.cancel_child_workflow_execution.child_workflow_seq,
    ),
}
"""What a command cancels, by its variant."""
