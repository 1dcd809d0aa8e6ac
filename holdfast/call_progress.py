"""The progress of a tool call, as the tool itself reports it."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field

from holdfast.bounds import Count, Text
from holdfast.data import Tolerant

MAX_CHARS = 200  # of the name of a stage, and of a text; shown on one line

MAX_INDEXED_CHARS = 64
_INDEXED = re.compile(rf"[\w.-]{{1,{MAX_INDEXED_CHARS}}}")

_Percent = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
_given = {"exclude_if": lambda value: value is None}


class CallProgress(Tolerant):
    """What a tool has reported last; what it has not reported is `None`."""

    stage: Annotated[Text | None, Field(**_given)] = None
    """Name of the stage that the tool has entered."""
    percent: Annotated[_Percent | None, Field(**_given)] = None
    """How much of the call is done, 0 to 100."""
    text: Annotated[Text | None, Field(**_given)] = None
    """What the tool is doing, in a few words."""

    def __str__(self) -> str:
        done = "" if self.percent is None else f"{self.percent:.0f}%"
        return " · ".join(part for part in (self.stage, self.text, done) if part)


class ToolProgress(CallProgress):
    """An event: a call of a tool that is in flight reports how far it is. Only the last one of a call is recorded."""

    kind: Literal["progress"] = "progress"
    turn: int
    tool: Text
    call: Text
    """The id of the call, unique within its turn."""
    attempt: Count = 1
    number: Count = 0
    """Number of reports of this attempt before it."""

    @property
    def place(self) -> tuple[int, int]:
        """Increases with each report of a call."""
        return self.attempt, self.number


def indexed_stage(name: str | None) -> str | None:
    """Returns the name of a stage if search attributes may have it; they are readable by everyone, and never encrypted.

    That is one word, as `building_ui`. A name with blanks may be content, as `the invoice of Ms Meyer`.
    """
    return name if name is not None and _INDEXED.fullmatch(name) else None
