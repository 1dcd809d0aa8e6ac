"""Events of runs: what an observer receives, and what the event bus carries."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime, JsonValue

from holdfast.call_progress import ToolProgress
from holdfast.progress import FOR_PEOPLE, Wait
from holdfast.types import Data, Entry, RunId, RunStatus, Text


class TextDelta(Data):
    """A piece of text from a model call in progress; never recorded."""

    kind: Literal["delta"] = "delta"
    turn: int
    text: Text
    attempt: int = 1
    """A piece with a higher number than the ones before begins the text of the turn anew."""


class Notice(Data):
    """The reason why a run makes no progress, as no worker, or a failed call that will be made again."""

    kind: Literal["notice"] = "notice"
    text: Text
    waits_for: list[Wait] = []
    """What the run waits for, other than a worker."""


Event = Entry | TextDelta | Notice | ToolProgress


RUNS = "runs"
"""Topic with one event for each change of a run's status: `kind` "run", `run_id`, `agent`, `status`."""


def run_event(run_id: RunId, agent: str, status: RunStatus) -> dict[str, JsonValue]:
    """Returns the event for topic `runs` about the new status of a run."""
    return {"kind": "run", "run_id": run_id, "agent": agent, "status": status.value}


INBOX = "inbox"
"""Topic with an event for everything that begins, or ends, to wait for a person: see `wait_event`."""


def wait_event(entry: Entry, run_id: RunId, agent: str) -> dict[str, JsonValue] | None:
    """Returns the event for topic `inbox` about an entry; `None` if it is about nothing that waits for a person.

    `kind` "wait" with `wait`, or `kind` "wait_ended" with the `id` of the wait, `outcome` and `by`; and `run_id`,
    `agent`.
    """
    about: dict[str, JsonValue] = {"kind": entry.kind, "run_id": run_id, "agent": agent}
    match entry.kind, entry.data:
        case "wait", {"wait": {"kind": str(kind)} as wait} if kind in FOR_PEOPLE:
            return about | {"wait": wait}
        case "wait_ended", {"kind": str(kind), "id": str(wait_id)} if kind in FOR_PEOPLE:
            ended = {name: entry.data.get(name) for name in ("outcome", "by")}
            return about | {"wait": wait_id, **ended}
    return None


def run_topic(run_id: RunId) -> str:
    """Returns the topic of a run; all of its events are ephemeral.

    `kind` "delta": `turn`, `attempt`, `offset` (characters before it), `text`, from a model call in progress; and
    `tried`, if other models were asked before.
    `kind` "progress": the fields of ToolProgress, from a call of a tool that is in flight.
    `kind` "entries": the mirror has entries up to `head`.
    """
    return f"run/{run_id}"


class BusEvent(Data):
    """An event as subscribers of the event bus receive it."""

    offset: int
    """Increases within the topic, with gaps."""
    data: dict[str, JsonValue]
    at: AwareDatetime
    """When it was published."""
    ephemeral: bool = False
