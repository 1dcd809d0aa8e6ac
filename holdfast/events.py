"""What an observer of a run is shown: every entry, and what is true only while it happens."""

from __future__ import annotations

from typing import Literal

from pydantic import JsonValue

from holdfast.types import Data, Entry, Text


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


class BusEvent(Data):
    """An event as a subscriber of the event bus gets it."""

    offset: int
    """Grows within the topic; not dense, as transient events go."""
    data: dict[str, JsonValue]
    transient: bool = False
