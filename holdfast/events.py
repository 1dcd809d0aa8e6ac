"""What an observer of a run is shown: every entry, and what is true only while it happens."""

from __future__ import annotations

from typing import Literal

from pydantic import JsonValue

from holdfast.types import Data, Entry, RunId, RunStatus, Text


class TextDelta(Data):
    """A piece of text from a model call that is still going on; never recorded."""

    kind: Literal["delta"] = "delta"
    turn: int
    text: Text


class Notice(Data):
    """Why nothing happens at the moment: no worker, or a call that failed and will be made again."""

    kind: Literal["notice"] = "notice"
    text: Text


Event = Entry | TextDelta | Notice


RUNS = "runs"
"""Topic of what becomes of runs: `kind` "run", `run_id`, `agent` and `status`, for each status that one comes to."""


def run_event(run_id: RunId, agent: str, status: RunStatus) -> dict[str, JsonValue]:
    """What topic `runs` says of a run that has come to a status."""
    return {"kind": "run", "run_id": run_id, "agent": agent, "status": status.value}


def run_topic(run_id: RunId) -> str:
    """Topic of what goes on in a run, all of it transient.

    `kind` "delta": `turn`, `attempt`, `offset` (characters before it), `text`, from a model call that is going on.
    `kind` "entries": the mirror has entries up to `head`.
    """
    return f"run/{run_id}"


class BusEvent(Data):
    """An event as a subscriber of the event bus gets it."""

    offset: int
    """Grows within the topic; not dense, as transient events go."""
    data: dict[str, JsonValue]
    transient: bool = False
