"""Tool calls, assembled from streamed deltas."""

from __future__ import annotations

import json
from typing import Any

from holdfast.models.characters import whole_characters
from holdfast.models.provider_fields import ProviderFields
from holdfast.types import ToolCall

_CALL_FIELDS = frozenset({"index", "id", "type", "function"})
_FUNCTION_FIELDS = frozenset({"name", "arguments"})


class ToolCallAssembly:
    """The tool calls of one reply.

    Providers differ in what they repeat: OpenAI sends id and name once and an index in each delta. Others send no
    index, the same index for all, no id, a new id in each delta, or the name in each delta.

    Args:
        call_prefix: start of the ids of calls whose id the provider leaves out or repeats.
    """

    def __init__(self, call_prefix: str) -> None:
        self._call_prefix = call_prefix
        self._calls: list[_Call] = []
        self._newest: dict[object, _Call] = {}  # by index
        self._by_id: dict[tuple[object, str], _Call] = {}  # by index and id

    def __bool__(self) -> bool:
        return bool(self._calls)

    def add(self, delta: Any) -> None:
        """Adds a delta.

        Raises:
            AttributeError: it does not have the structure of one.
            TypeError: likewise.
        """
        function = delta.get("function") or {}
        name, arguments = _text(function.get("name")), _arguments_text(function.get("arguments"))
        call = self._call_at(delta.get("index"), _text(delta.get("id")), name, arguments)
        if name != call.name:  # some repeat it, and some send it in pieces
            call.name += name
        call.arguments += arguments
        call.fields.add(delta)
        call.function_fields.add(function)

    def _call_at(self, index: object, call_id: str, name: str, arguments: str) -> _Call:
        """Returns the call that a delta continues, or a new one."""
        call = self._continued(index, call_id, name, arguments)
        if call is None:
            call = _Call(index, call_id)
            self._calls.append(call)
            self._newest[index] = call
        call.id = call.id or call_id
        if call.id:
            self._by_id.setdefault((index, call.id), call)
        return call

    def _continued(self, index: object, call_id: str, name: str, arguments: str) -> _Call | None:
        # No search among all calls: in a reply of many thousands, it would stop the worker for minutes.
        newest = next(reversed(self._calls), None) if index is None else self._newest.get(index)
        if newest and newest.continues(index, call_id, name, arguments):
            return newest
        return self._by_id.get((index, call_id)) if index is not None and call_id else None

    def calls(self) -> list[ToolCall]:
        """Returns the calls as assembled so far, each with an id of its own."""
        calls: dict[str, ToolCall] = {}
        for number, call in enumerate(self._calls):
            given = whole_characters(call.id)
            call_id = given if given and given not in calls else f"{self._call_prefix}_{number}"
            calls[call_id] = call.finished(call_id)
        return list(calls.values())


class _Call:
    """A tool call that is being assembled."""

    def __init__(self, index: object, call_id: str) -> None:
        self.index = index
        self.id = call_id
        self.name = ""
        self.arguments = ""
        self.fields = ProviderFields(_CALL_FIELDS)
        self.function_fields = ProviderFields(_FUNCTION_FIELDS)

    def continues(self, index: object, call_id: str, name: str, arguments: str) -> bool:
        """Whether a delta whose index does not exclude it is a part of this call."""
        if not name:
            return True
        if call_id and self.id:
            return call_id == self.id
        if name != self.name:
            return index is not None and not self.arguments  # the next piece of the name
        return not (arguments and self._is_complete)

    @property
    def _is_complete(self) -> bool:
        if not self.arguments.endswith("}"):
            return False
        try:
            return isinstance(json.loads(self.arguments), dict)
        except (ValueError, RecursionError):
            return False

    def finished(self, call_id: str) -> ToolCall:
        """Returns the call with its final id."""
        call = ToolCall(
            id=call_id, name=whole_characters(self.name), arguments=object_text(whole_characters(self.arguments))
        )
        fields = self.fields.values()
        if inner := self.function_fields.values():
            fields["function"] = inner
        if fields:
            call.provider_fields = fields
        return call


def _text(value: object) -> str:
    """Returns an id or a name; some providers number their calls."""
    if value is None:
        return ""
    if not isinstance(value, str | int):
        raise TypeError(f"an id or a name is {value!r:.80}")
    return str(value)


def _arguments_text(arguments: object) -> str:
    """Returns a delta's part of the arguments; some providers send the object instead of its JSON text."""
    if arguments is None:
        return ""
    return arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)


def object_text(text: str) -> str:
    """Returns the text of arguments; `null`, `[]` and nothing mean `{}`, and an object may be quoted in a string."""
    if text.lstrip().startswith("{"):
        return text
    try:
        value = json.loads(text or "null")
        if isinstance(value, str) and isinstance(json.loads(value or "{}"), dict):
            return value or "{}"
    except (ValueError, RecursionError):
        return text
    return text if value else "{}"
