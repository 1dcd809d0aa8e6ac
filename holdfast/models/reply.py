"""Replies, assembled from the chunks of a streamed chat completion. No I/O."""

from __future__ import annotations

from typing import Any

from holdfast.model_reply import ModelReply
from holdfast.models.characters import whole_characters
from holdfast.models.finish import finish_reason
from holdfast.models.provider_fields import ProviderFields
from holdfast.models.tool_calls import ToolCallAssembly
from holdfast.models.usage import parse_usage
from holdfast.types import Usage

_KNOWN_FIELDS = frozenset({"role", "content", "refusal", "tool_calls", "function_call"})
_UNKEPT_FIELDS = frozenset({"annotations", "audio", "images"})
"""Fields that providers do not need back, and that may be large."""


class MalformedChunk(ValueError):
    """The provider sent something that is not a chunk of a chat completion."""


class StreamedReply:
    """A reply that is assembled from the chunks of its stream.

    Args:
        model: the requested model, for providers that do not name the one that answers.
        call_prefix: start of the ids of tool calls whose id the provider leaves out or repeats.

    Attributes:
        finish_reason: why the reply ended, in OpenAI's terms; empty if the provider has not said so yet.
        has_choices: whether any chunk had a part of a reply.
    """

    def __init__(self, model: str, call_prefix: str) -> None:
        self.finish_reason = ""
        self.has_choices = False
        self._model = model
        self._text: list[str] = []
        self._held = ""  # first half of a surrogate pair; the other half is in the next chunk
        self._calls = ToolCallAssembly(call_prefix)
        self._fields = ProviderFields(_KNOWN_FIELDS | _UNKEPT_FIELDS)
        self._usage = Usage(requests=1, unpriced=1)

    def add(self, chunk: object) -> str:
        """Adds one chunk and returns its text, which may be empty.

        Raises:
            MalformedChunk: it does not have the structure of a chunk.
        """
        try:
            return self._add(chunk)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise MalformedChunk(f"{type(error).__name__}: {error}") from error

    def _add(self, chunk: Any) -> str:
        if isinstance(model := chunk.get("model"), str):
            self._model = model or self._model
        if usage := chunk.get("usage"):
            self._usage = parse_usage(usage)
        piece = ""
        for choice in chunk.get("choices") or []:
            if not choice.get("index"):  # only the first alternative is the answer
                piece += self._add_choice(choice)
        self._text.append(piece)
        return self._showable(piece)

    def _add_choice(self, choice: Any) -> str:
        self.has_choices = True
        if reported := choice.get("finish_reason"):
            self.finish_reason = whole_characters(finish_reason(reported))
        delta = choice.get("delta") or choice.get("message") or {}
        for call in delta.get("tool_calls") or []:
            self._calls.add(call)
        self._fields.add(delta)
        return _text(delta.get("content")) or _text(delta.get("refusal"))

    def _showable(self, piece: str) -> str:
        """Returns the held-back text and this piece, without half a surrogate pair at the end."""
        piece = self._held + piece
        self._held = piece[-1:] if "\ud800" <= piece[-1:] <= "\udbff" else ""
        return whole_characters(piece[: len(piece) - len(self._held)])

    def end(self) -> None:
        """Notes that the provider has marked the end; some do so instead of naming a finish reason."""
        if self.has_choices and not self.finish_reason:
            self.finish_reason = "tool_calls" if self._calls else "stop"

    def reply(self, seconds: float) -> ModelReply:
        """Returns the reply as assembled so far."""
        reply = ModelReply(
            content=whole_characters("".join(self._text)),
            tool_calls=self._calls.calls(),
            model=whole_characters(self._model),
            finish_reason=self.finish_reason,
            usage=self._usage,
            seconds=seconds,
        )
        if fields := self._fields.values():
            reply.provider_fields = fields
        return reply


def _text(content: Any) -> str:
    """Returns content as text; some providers send a list of parts, of which only those of type text are the answer."""
    if not content:
        return ""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else [content]
    return "".join(part if isinstance(part, str) else part.get("text") or "" for part in parts)
