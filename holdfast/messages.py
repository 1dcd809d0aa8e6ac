"""Messages of a transcript, how much room they take in a model's context, and checkpoints among them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Literal, Self

from holdfast.attachments import AttachmentList, with_lines
from holdfast.bounds import Count, Json, Text
from holdfast.chat_format import chat_call, chat_message, chat_parts, replayable_arguments
from holdfast.data import Tolerant


class ToolCall(Tolerant):
    """One tool call of the model."""

    id: str
    """The provider's id of the call; unique within a turn."""
    name: str
    arguments: Text = "{}"
    """JSON text as the model wrote it; it may be malformed."""
    provider_fields: dict[Text, Json] = {}
    """Further fields that the provider sent, and that are sent back to it."""
    edited_by: Text | None = None
    """Who edited the arguments when they approved the call; only in a context, as a transcript has the model's own."""

    @property
    def valid_arguments(self) -> str:
        """The arguments as a JSON object."""
        return replayable_arguments(self.arguments)


class Message(Tolerant):
    """One message of a transcript."""

    seq: int
    """Position in the transcript, without gaps; 0 is the system prompt."""
    role: Literal["system", "user", "assistant", "tool"]
    content: Text = ""
    attachments: AttachmentList = []
    """Its images and files; those of a tool's result are shown to the model after the results."""
    tool_calls: list[ToolCall] = []
    tool_call_id: str | None = None
    """For role `tool`: the id of the call that it answers."""
    partial: bool = False
    """Whether a cancel interrupted the message."""
    summary: bool = False
    """Whether it stands for earlier messages; only in a context."""
    pinned: bool = False
    """Whether compaction leaves it in the context."""
    provider_fields: dict[Text, Json] = {}
    """As in `ToolCall`."""

    @property
    def shown(self) -> str:
        """The text for people, with a line for each attachment."""
        return with_lines(self.content, self.attachments)

    @cached_property
    def chat_json(self) -> bytes:
        """The message in OpenAI's chat format; cached, as a long transcript is sent with each turn."""
        calls = [chat_call(call.id, call.name, call.arguments, call.provider_fields) for call in self.tool_calls]
        return chat_message(self.role, self.content, calls, self.tool_call_id, self.provider_fields)

    def inlined(self, contents: Mapping[str, bytes]) -> Self:
        """Returns a copy whose JSON has the attachments in it.

        Args:
            contents: of the attachments, by their digests.
        """
        copy = self.model_copy()
        vars(copy)["chat_json"] = chat_parts(self.role, self.content, self.attachments, contents, self.provider_fields)
        return copy


class ContextUse(Tolerant):
    """How much of a model's context window a call has used."""

    tokens: Count
    """Of the request and the reply, as the provider counted them."""
    window: Count
    """The most tokens that the model accepts."""


class Compaction(Tolerant):
    """What a compaction has done to the context; the transcript stays whole."""

    cleared: list[list[int]] = []
    """Results of tools that were replaced by a remark, as `[first, last]` pairs of message seqs."""
    summarized: list[list[int]] = []
    """Messages that were replaced by a summary, likewise."""
    tokens_before: Count
    """Estimated from the provider's count of the last call."""
    tokens_after: Count
    error: Text | None = None
    """Why there is no summary, although one was needed."""


class CompactionOrder(Tolerant):
    """How a model call compacts the context instead of continuing the conversation."""

    tokens: Count
    """Estimated size of the context; 0 means that it is not known."""
    window: Count | None = None
    """The most tokens that the model accepts; `None` means that it is not known."""
    asked: bool = False
    """Whether a person asked for it, so that a summary is made in any case."""
    focus: Text | None = None
    """What the summary should keep in particular, in a person's words."""
    harder: bool = False
    """Whether an earlier compaction did not free enough, so that this one keeps less."""


class CarriedSize(Tolerant):
    """What a run knows of the size of its context."""

    tokens: int = 0
    """Estimated; 0 means that the context is small, or that its size is not known."""
    window: int | None = None
    """The most tokens that the model accepts; `None` means that it is not known."""
    fruitless: list[int] = []
    """The turns before which the context was compacted without gain."""
    last_turn: int | None = None
    """The last turn before which it was compacted; `None` means none."""


class MadeCheckpoint(Tolerant):
    """A checkpoint that a tool made."""

    id: Text
    """Unique within the run."""
    name: Text
    data: Json = None
