"""Bodies of requests for chat completions, and what a server makes us leave out of them. No I/O."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from holdfast.estimates import output_setting
from holdfast.models.output_format import RefusedFormats, prompted, wire_format
from holdfast.names import SCRIPTED_MODEL
from holdfast.types import AgentSpec, Message, ToolSpec

_UNKNOWN = re.compile(
    r"(?:unknown|unexpected|unrecogni[sz]ed|unsupported|invalid|extra|additional)\W+(?:\w+\W+){0,3}?"
    r"(?:fields?|parameters?|params?|arguments?|inputs?|propert(?:y|ies)|keys?|options?)\b"
    r"|(?:is|are) not (?:supported|permitted|allowed|recogni[sz]ed)",
    re.IGNORECASE,
)
_OUTPUT = re.compile(r"max_(?:completion_|output_)?tokens|(?:completion|output) tokens", re.IGNORECASE)
_MISSING = re.compile(r"missing|required|must be (?:passed|provided|present|sent)", re.IGNORECASE)


PARALLEL = "parallel_tool_calls"


@dataclass(frozen=True, slots=True)
class Concessions:
    """Optional parts of a request that a server refuses, and that are therefore left out for it."""

    usage: bool = False
    """Whether the request for usage (`stream_options`) is left out."""
    fields: frozenset[str] = frozenset()
    """Fields of earlier messages and calls that are not sent back."""
    output: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """The name of the field that limits a reply, if it is not set by another one."""
    no_output: bool = False
    """Whether that field is left out, as it is larger than what the model writes at most."""
    formats: RefusedFormats = field(default_factory=RefusedFormats)
    """Forms of answers that it refuses."""
    parallel: bool = False
    """Whether `parallel_tool_calls` is left out; a run whose agent sets it to false makes calls one by one anyway."""

    def __bool__(self) -> bool:
        return self.usage or self.parallel or bool(self.fields or self.formats)

    @property
    def lasting(self) -> Concessions:
        """What holds for further requests too: that one limit was too large says nothing about a smaller one."""
        return replace(self, no_output=False) if self.no_output else self

    def further(
        self, refusal: str, spec: AgentSpec, messages: list[Message], model: str, *, limits_output: bool = False
    ) -> Concessions | None:
        """Returns what to leave out after a refusal, in addition; `None` if nothing in it explains the refusal.

        Args:
            refusal: the server's words.
            spec: the agent of the refused request.
            messages: those of the refused request.
            model: the model.
            limits_output: whether a budget limits the reply.
        """
        is_old_name = "max_tokens" in spec.model_settings and self.output == "max_tokens"
        if is_old_name and "max_completion_tokens" in refusal:
            return replace(self, output="max_completion_tokens")
        if formats := self.formats.further(refusal, spec, model):
            return replace(self, formats=formats)
        if not self.parallel and PARALLEL in spec.model_settings and PARALLEL in refusal:
            return replace(self, parallel=True)
        if limits_output and not self.no_output and _OUTPUT.search(refusal):
            is_renamed = self.output == "max_tokens" and "max_completion_tokens" in refusal
            return replace(self, output="max_completion_tokens") if is_renamed else replace(self, no_output=True)
        return self._without_fields(refusal, spec, messages, model)

    def _without_fields(self, refusal: str, spec: AgentSpec, messages: list[Message], model: str) -> Concessions | None:
        if not self.usage and re.search("stream_options|include_usage", refusal):
            return replace(self, usage=True)
        sent = _provider_fields(messages) - self.fields
        named = {name for name in sent if re.search(rf"\b{re.escape(name)}\b", refusal)}
        if named and not _MISSING.search(refusal):
            return replace(self, fields=self.fields | named)
        if _UNKNOWN.search(refusal) and not named:
            if not self.usage:
                return replace(self, usage=True)
            if sent:
                return replace(self, fields=self.fields | sent)
            formats = self.formats.without_format(spec, model)
            return replace(self, formats=formats) if formats else None
        return None

    def __str__(self) -> str:
        renamed = ["max_tokens"] if self.output != "max_tokens" else []
        renamed += [PARALLEL] if self.parallel else []
        formats = filter(None, [str(self.formats)])
        return ", ".join([*(["stream_options"] if self.usage else []), *renamed, *formats, *sorted(self.fields)])


def request_body(
    spec: AgentSpec, messages: list[Message], model: str, left_out: Concessions, max_output: int | None = None
) -> bytes:
    """Returns the body of a streamed request, as JSON.

    The agent's `model_settings` may add fields but cannot override the ones set here. Messages carry their JSON, so
    they are not encoded again at each turn.

    Raises:
        ValueError: `model_settings` contain a value that JSON cannot represent.
        TypeError: likewise.
    """
    fields: dict[str, Any] = {**spec.model_settings, "model": model, "stream": True}
    for name in ("messages", "tools", "stream_options"):
        fields.pop(name, None)
    if left_out.output != "max_tokens" and "max_tokens" in fields:
        fields[left_out.output] = fields.pop("max_tokens")
    if max_output is not None:
        _limit_output(fields, max_output, None if left_out.no_output else left_out.output)
    if (form := wire_format(spec, model, left_out.formats)) is not None:
        fields["response_format"] = form
    if not left_out.usage:
        fields["stream_options"] = {"include_usage": True}
    if spec.tools:  # providers refuse an empty list
        fields["tools"] = [_wire_tool(tool, model) for tool in spec.tools]
    if left_out.parallel or not spec.tools:  # and this field without one
        fields.pop(PARALLEL, None)
    messages = prompted(spec, messages, model, left_out.formats)
    sent = (message for message in messages if message.role != "system" or message.content)
    said = b",".join(_without(message, left_out.fields) for message in sent)
    rest = json.dumps(fields, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    return b'{"messages":[' + said + b"]," + rest[1:]


def _limit_output(fields: dict[str, Any], most: int, name: str | None) -> None:
    """Limits the reply, by the setting that does so already, if there is one, else by this field."""
    known = output_setting(fields)
    if known is not None:
        fields[known] = min(fields[known], most)
    elif name is not None:
        fields[name] = most


def _wire_tool(tool: ToolSpec, model: str) -> dict[str, Any]:
    function = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    wire = {"type": "function", "function": function}
    # A language model judges by the description. The scripted model must not call by guess what changes something.
    return {**wire, "holdfast": {"read_only": tool.read_only}} if model == SCRIPTED_MODEL else wire


def _provider_fields(messages: list[Message]) -> set[str]:
    """Returns the names of the fields that the provider had added."""
    names: set[str] = set()
    for message in messages:
        names.update(message.provider_fields, *(call.provider_fields for call in message.tool_calls))
    return names - {"function"}


def _without(message: Message, names: frozenset[str]) -> bytes:
    """Returns the JSON of a message without some of the fields that the provider had added."""
    if not names & _provider_fields([message]):
        return message.chat_json
    chat = json.loads(message.chat_json)
    for item in (chat, *chat.get("tool_calls", ())):
        for name in names:
            item.pop(name, None)
    return json.dumps(chat, ensure_ascii=False, separators=(",", ":")).encode()
