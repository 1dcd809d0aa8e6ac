"""OpenAI's chat format, in which a transcript is sent to every provider. No I/O."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any


def replayable_arguments(text: str) -> str:
    """Returns the arguments of a call as a JSON object, in which strict providers accept them in a transcript.

    An object is returned unchanged; anything else is quoted in one.
    """
    try:
        value = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
        if isinstance(value, dict) and _is_utf8(text, value):
            return text
    except (ValueError, RecursionError):
        pass
    return json.dumps({"malformed": text}, ensure_ascii=False)


def chat_call(call_id: str, name: str, arguments: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a tool call in the chat format, with the fields that its provider added."""
    function = {"name": name, "arguments": replayable_arguments(arguments)}
    added = dict(fields)
    if isinstance(inner := added.pop("function", None), Mapping):
        function = {**inner, **function}
    return {**added, "id": call_id, "type": "function", "function": function}


def chat_message(
    role: str, content: str, calls: list[dict[str, Any]], call_id: str | None, fields: Mapping[str, Any]
) -> bytes:
    """Returns a message in the chat format, as JSON.

    Args:
        role: who wrote it.
        content: its text.
        calls: its tool calls, as `chat_call` returns them.
        call_id: for role `tool`, the call that it answers.
        fields: further fields that the provider sent with it.
    """
    chat: dict[str, Any] = {**fields, "role": role, "content": content}
    if role == "tool":
        chat["tool_call_id"] = call_id
    if calls:
        chat["content"] = content or None  # some providers reject empty text beside calls
        chat["tool_calls"] = calls
    return json.dumps(chat, ensure_ascii=False, separators=(",", ":")).encode()


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    if math.isinf(number := float(text)):
        raise ValueError(f"{text} is too large a number")
    return number


def _is_utf8(text: str, value: Any) -> bool:
    """Whether a value has no lone surrogates, which JSON can only contain as escapes."""
    if "\\u" not in text:
        return True
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True
