"""Typed answers, guards and system prompts: what an agent declares, what its code is asked, and what it says."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from holdfast.bounds import Json, Text
from holdfast.data import Tolerant

MAX_REPAIRS = 100
OUTPUT_RETRIES = 2
"""Repairs of an answer, if neither the agent nor its definition sets their number."""
GuardedText = Literal["input", "output"]


class OutputSpec(Tolerant):
    """The form that the answers of an agent must have."""

    json_schema: dict[Text, Json]
    """JSON schema of an answer; see `holdfast.output_schema` for what a model is told of it."""
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")] = "output"
    """Name of the form, which providers ask for."""
    retries: int = Field(default=OUTPUT_RETRIES, ge=0, le=MAX_REPAIRS)
    """Times that the model may repair an answer."""
    code: bool = False
    """Whether answers are validated by code of the agent; otherwise any worker does, by the schema."""


class AskedOfCode(Tolerant):
    """What each function of an agent is told of the run."""

    run_id: str
    agent: str
    turn: int = 0
    context: Annotated[dict[Text, Json] | None, Field(exclude_if=lambda context: context is None)] = None
    """As in RunRequest."""


class PromptCall(AskedOfCode):
    """The input of the activity that calls the function of a system prompt."""

    function: Text
    """Its name."""


class OutputCheck(AskedOfCode):
    """The input of the activity that validates an answer."""

    text: Text
    json_schema: Annotated[dict[Text, Json] | None, Field(exclude_if=lambda schema: schema is None)] = None
    """The schema to validate with; `None` means that the code of the agent does."""


class OutputVerdict(Tolerant):
    """Whether an answer is valid."""

    content: Text | None = None
    """The answer as the run returns it; `None` means the text as it is, if there is no error."""
    error: Text | None = None
    """What is wrong with it, in words that the model can act on; `None` means that it is valid."""


class GuardCheck(AskedOfCode):
    """The input of the activity that calls the guards of an agent."""

    on: GuardedText
    guards: list[Text]
    """Names of the guards that must see the texts."""
    texts: list[Text]


class GuardVerdict(Tolerant):
    """What the guards say about a text; without a guard, it passes as it is."""

    guard: Text | None = None
    """Name of the last guard that objected."""
    blocked: Text | None = None
    """Why the text is blocked; `None` means that it is not."""
    content: Text | None = None
    """The text that replaces it; `None` means that it stays."""


class GuardVerdicts(Tolerant):
    """What the guards say about each text, in order."""

    verdicts: list[GuardVerdict]


class PendingText(Tolerant):
    """A message that the guards have not seen yet."""

    message: int
    """`seq` of the message."""
    entry: int
    """`seq` of its entry."""
    text: Text


class CarriedChecks(Tolerant):
    """What a run carries of answers and guards over continue-as-new."""

    repairs: int = 0
    """Number of repairs of the current answer."""
    pending: list[PendingText] = []
    """Messages that the input guards have not seen yet."""
    reply: PendingText | None = None
    """The reply that has not been checked yet."""
    finish_reason: str | None = None
    """Why that reply ended."""
    heard: Annotated[list[PendingText], Field(exclude_if=lambda heard: not heard)] = []
    """Messages of people since the last answer, for the guards of an agent that takes over."""
