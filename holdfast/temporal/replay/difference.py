"""First difference between a history and what workflow code decides when it replays it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC

from pydantic import AwareDatetime
from temporalio.api.history.v1 import HistoryEvent

from holdfast.temporal.replay.recorder import Recording
from holdfast.temporal.replay.steps import COMPARED, END, LOCAL, Step, event_name, step_of_event, steps_of_task
from holdfast.types import Data

SHOWN_STEPS = 5  # of one workflow task, if the steps cannot be matched one by one
SDK_MESSAGE = re.compile(r'message: "((?:[^"\\]|\\.)*)"')


class Difference(Data):
    """What a history has, and what the code does in its place."""

    event_id: int
    """The first event that the code does not agree with; the next one will be it if the history has none yet."""
    event_type: str
    """As Temporal's UI shows it; empty if the history has no such event yet."""
    at: AwareDatetime | None
    """When the event was recorded."""
    history: str
    """What the code that wrote the history did, as `calls tool.find`."""
    code: str
    """What the code does now."""
    sdk: str
    """The message of Temporal's SDK."""


@dataclass(frozen=True)
class Found:
    """A difference whose summaries are still encoded."""

    event: HistoryEvent | None
    """`None` means that the history has nothing at this place."""
    event_id: int
    recorded: Step | None
    decided: Step | None
    code: str = ""
    """What the code does, if that is not one step."""

    def told(self, recorded: str, decided: str, sdk: str) -> Difference:
        """The difference in words, with the summaries of its two steps and the message of the SDK."""
        return Difference(
            event_id=self.event_id,
            event_type=event_name(self.event) if self.event else "",
            at=self.event.event_time.ToDatetime(UTC) if self.event else None,
            history=_told(self.recorded, recorded) or (f"has {event_name(self.event)}" if self.event else NOTHING),
            code=_told(self.decided, decided) or self.code or NOTHING,
            sdk=sdk,
        )


NOTHING = "does nothing more at this place"


def _told(step: Step | None, summary: str) -> str:
    if step is None:
        return ""
    return f"{step.words}: {summary}" if summary and summary != step.subject else step.words


def find_difference(events: Sequence[HistoryEvent], recording: Recording) -> Found:
    """Returns where a replay that failed first differs from its history.

    Args:
        events: the history.
        recording: of its replay.
    """
    refused = recording.accepted + 1
    found = _unequal(events, recording)
    if found is not None and (recording.raised or found.event_id <= refused):
        return found
    event = next((event for event in events if event.event_id == refused), None)
    step = step_of_event(event) if event else None
    return Found(event, refused, step, None, _raised(recording) or _newest(recording))


def _unequal(events: Sequence[HistoryEvent], recording: Recording) -> Found | None:
    """Compares the steps that a history has in the order of the commands; `None`: they are equal as far as it goes."""
    recorded = [(event, step) for event in events if (step := step_of_event(event)) and step.kind in COMPARED]
    tasks = [steps_of_task(commands) for commands in recording.tasks.values()]
    decided = [(step, task) for task in tasks for step in task if step.kind in COMPARED]
    for (event, step), (now, task) in zip(recorded, decided, strict=False):
        if step != now:
            ends = "" if now.kind == END else _end_of_run(task)
            return Found(event, event.event_id, step, None if ends else now, ends)
    if len(recorded) > len(decided):
        event, step = recorded[len(decided)]
        return Found(event, event.event_id, step, None, _raised(recording))
    return None


def _end_of_run(task: Sequence[Step]) -> str:
    return next((step.details for step in task if step.kind == LOCAL and step.details), "")


def _raised(recording: Recording) -> str:
    return f"raises {recording.raised}" if recording.raised else ""


def _newest(recording: Recording) -> str:
    """What the code decided in the newest workflow task that has decisions."""
    tasks = [steps for task in recording.tasks.values() if (steps := steps_of_task(task))]
    return ", then ".join(step.words for step in tasks[-1][-SHOWN_STEPS:]) if tasks else ""


def sdk_message(error: BaseException) -> str:
    """Returns the sentence in the SDK's description of a failed replay."""
    found = SDK_MESSAGE.search(str(error))
    return found[1].replace('\\"', '"') if found else str(error)
