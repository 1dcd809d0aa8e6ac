"""Chat completions format: request bodies from messages, replies from streamed chunks. No I/O."""

from __future__ import annotations

import json
from typing import Any

from holdfast.types import AgentSpec, Message, ModelReply, ToolCall, ToolSpec, Usage


class MalformedChunk(ValueError):
    """The provider sent something that is not a chunk of a chat completion."""


def request_body(spec: AgentSpec, messages: list[Message], model: str) -> bytes:
    """Returns the body of a streamed request, as JSON.

    The agent's `model_settings` may add fields but cannot override the ones set here. Messages carry their JSON, so
    they are not encoded again at each turn.

    Raises:
        ValueError: `model_settings` contain a value that JSON cannot represent.
        TypeError: likewise.
    """
    fields: dict[str, Any] = {
        **spec.model_settings,
        "model": model,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    for name in ("messages", "tools"):
        fields.pop(name, None)
    if spec.tools:  # providers refuse an empty list
        fields["tools"] = [_wire_tool(tool) for tool in spec.tools]
    said = b",".join(message.chat_json for message in messages if message.role != "system" or message.content)
    rest = json.dumps(fields, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    return b'{"messages":[' + said + b"]," + rest[1:]


def _wire_tool(tool: ToolSpec) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": function}


class StreamedReply:
    """A reply that is assembled from the chunks of its stream.

    Args:
        model: the requested model, for providers that do not name the one that answers.
        call_prefix: start of the ids of tool calls whose id the provider leaves out or repeats.
    """

    def __init__(self, model: str, call_prefix: str) -> None:
        self.finish_reason = ""
        self._model = model
        self._call_prefix = call_prefix
        self._text: list[str] = []
        self._held = ""  # first half of a surrogate pair; the other half is in the next chunk
        self._calls: list[_Call] = []
        self._usage = Usage(requests=1)

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
        self._model = chunk.get("model") or self._model
        if usage := chunk.get("usage"):
            self._usage = _usage(usage)
        piece = ""
        for choice in chunk.get("choices") or []:
            if choice.get("index"):
                continue  # only the first alternative is the answer
            self.finish_reason = choice.get("finish_reason") or self.finish_reason
            delta = choice.get("delta") or choice.get("message") or {}
            piece += delta.get("content") or delta.get("refusal") or ""
            for call in delta.get("tool_calls") or []:
                self._add_call(call)
        self._text.append(piece)
        return self._showable(piece)

    def _add_call(self, delta: Any) -> None:
        function = delta.get("function") or {}
        call = self._call_at(delta.get("index"), delta.get("id"), starts=bool(function.get("name")))
        call.name += function.get("name") or ""
        call.arguments += function.get("arguments") or ""

    def _call_at(self, index: int | None, call_id: str | None, *, starts: bool) -> _Call:
        """Returns the call of a delta; if its index is missing or repeated, a new id starts a new call."""
        for call in reversed(self._calls):
            same_place = index == call.index if index is not None else not starts
            if same_place and (not call_id or not call.id or call_id == call.id):
                call.id = call.id or call_id
                return call
        self._calls.append(_Call(index, call_id))
        return self._calls[-1]

    def _showable(self, piece: str) -> str:
        """Returns the held-back text and this piece, without half a surrogate pair at the end."""
        piece = self._held + piece
        self._held = piece[-1:] if "\ud800" <= piece[-1:] <= "\udbff" else ""
        return whole_characters(piece[: len(piece) - len(self._held)])

    def reply(self, seconds: float) -> ModelReply:
        """Returns the reply as assembled so far."""
        return ModelReply(
            content=whole_characters("".join(self._text)),
            tool_calls=self._tool_calls(),
            model=whole_characters(self._model),
            finish_reason=whole_characters(self.finish_reason),
            usage=self._usage,
            seconds=seconds,
        )

    def _tool_calls(self) -> list[ToolCall]:
        calls: dict[str, ToolCall] = {}
        for number, call in enumerate(self._calls):
            given = whole_characters(call.id or "")
            call_id = given if given and given not in calls else f"{self._call_prefix}_{number}"
            name, arguments = whole_characters(call.name), whole_characters(call.arguments)
            calls[call_id] = ToolCall(id=call_id, name=name, arguments=arguments or "{}")
        return list(calls.values())


class _Call:
    """A tool call that is being assembled."""

    def __init__(self, index: int | None, call_id: str | None) -> None:
        self.index = index
        self.id = call_id
        self.name = ""
        self.arguments = ""


def _usage(usage: Any) -> Usage:
    details = usage.get("prompt_tokens_details") or {}
    return Usage(
        requests=1,
        input_tokens=usage.get("prompt_tokens") or 0,
        cached_tokens=details.get("cached_tokens") or 0,
        output_tokens=usage.get("completion_tokens") or 0,
        cost_usd=usage.get("cost") or 0.0,
    )


def whole_characters(text: str) -> str:
    """Joins surrogate pairs that JSON escapes leave in a text, and replaces unpaired surrogates."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
