"""Outcomes of model calls: replies, and failures that the workflow acts upon."""

from __future__ import annotations

from typing import Annotated

from pydantic import AwareDatetime, Field

from holdfast.bounds import Elapsed, Json, Label
from holdfast.data import Tolerant
from holdfast.messages import Compaction, ContextUse, ToolCall
from holdfast.types import Text, Usage


class TriedModel(Tolerant):
    """A model that was asked before the one that answered."""

    model: Label
    """As the agent names it."""
    reason: Label
    """Why it did not answer, a value of `holdfast.fault_reason.FaultReason`."""
    message: Text = ""
    """The error, for people."""


class ModelReply(Tolerant):
    """A reply of the model."""

    content: Text = ""
    tool_calls: list[ToolCall] = []
    model: Label
    """As the provider named it."""
    finish_reason: Label
    """In OpenAI's terms; `cancelled` if a cancel interrupted the reply."""
    partial: bool = False
    """Whether a cancel interrupted the reply."""
    provider_fields: dict[Text, Json] = {}
    """As in `Message`."""
    usage: Usage
    seconds: Elapsed
    """Time from sending the request to the last byte."""
    attempts: int = 1
    """Number of attempts; more than one after a fault or the loss of a worker."""
    tried: list[TriedModel] = []
    """The models that were asked before this one in the last attempt, and did not answer."""
    mirrored: bool = False
    """Whether the mirror has acknowledged the entries that the call carried."""
    cached: Annotated[bool, Field(exclude_if=lambda cached: not cached)] = False
    """Whether it is from the cache of this machine, so that no model was asked."""
    cut_by_budget: bool = False
    """Whether the reply was cut off where a budget had no more room for it."""
    context: ContextUse | None = None
    """Set if the context has a considerable size and the model's window is known."""
    compaction: Compaction | None = None
    """Of a call that compacts the context: what was done; `content` is the summary."""


class Redirection(Tolerant):
    """Details of a model call that must continue in another task queue, or once more in the same one."""

    task_queue: str | None
    """`None` means that of the run."""
    tried: list[TriedModel] = []
    """As in `holdfast.protocol.ModelCall`; likewise the others."""
    earlier_attempts: int = 0
    begun_at: AwareDatetime | None = None
    spent: Usage | None = None


class OverflowReport(Tolerant):
    """Details of the failure of a model call whose context is too large."""

    limit: int | None = None
    """The most tokens that the provider accepts; `None` if it does not say so."""
    size: int | None = None
    """The tokens of the request, as the provider counted them; likewise."""
