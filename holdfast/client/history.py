"""Messages of an earlier conversation, in OpenAI's chat format, with which a run begins."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from holdfast.errors import UsageError
from holdfast.types import Message, ToolCall

SYSTEM = ("system", "developer")
ROLES = ("user", "assistant", "tool")


def history_of(given: Sequence[Mapping[str, Any]], what: str = "history") -> list[Message]:
    """Returns messages as a run records them; their numbers begin with 1, after the system prompt.

    Args:
        given: objects with `role`, `content`, and for tools `tool_calls` and `tool_call_id`.
        what: the argument, for messages.

    Raises:
        UsageError: one is not such a message.
    """
    if isinstance(given, list) and all(isinstance(each, Message) for each in given):
        return given
    if isinstance(given, str | bytes | Mapping) or not isinstance(given, Sequence):
        raise UsageError(f"{what} must be a list of messages, not {given!r:.80}")
    return [_message(place, each, what) for place, each in enumerate(given, 1)]


def conversation_of(given: Sequence[Mapping[str, Any]], what: str) -> tuple[str | None, list[Message], str]:
    """Returns the system prompt, the earlier messages, and the text of the last one, which must be one of a person.

    Raises:
        UsageError: see `history_of`; or there is no last message of role `user`.
    """
    prompts = [each for each in given if isinstance(each, Mapping) and each.get("role") in SYSTEM] if given else []
    if prompts and (len(prompts) > 1 or given[0] is not prompts[0]):
        raise UsageError(f"{what}: only the first message may have the role system")
    messages = history_of(list(given)[len(prompts) :], what)
    if not messages or messages[-1].role != "user" or not messages[-1].content.strip():
        raise UsageError(f"{what} must end with a message of role user that is not empty")
    return (_text(prompts[0], what) if prompts else None), messages[:-1], messages[-1].content


def _message(place: int, given: Any, what: str) -> Message:
    role = given.get("role") if isinstance(given, Mapping) else None
    if role in SYSTEM:
        raise UsageError(f"{what}: a message of role {role} belongs to the agent: pass it as its `system_prompt`")
    if role not in ROLES:
        raise UsageError(f"{what}: {given!r:.80} is not a message; it must have a role of {', '.join(ROLES)}")
    message = Message(seq=place, role=role, content=_text(given, what))
    if role == "assistant" and given.get("tool_calls"):
        message.tool_calls = [_call(each, what) for each in given["tool_calls"]]
    if role == "tool":
        if not isinstance(given.get("tool_call_id"), str):
            raise UsageError(f"{what}: a message of role tool needs a tool_call_id")
        message.tool_call_id = given["tool_call_id"]
    return message


def _text(given: Mapping[str, Any], what: str) -> str:
    content = given.get("content")
    if isinstance(content, list) and all(isinstance(part, Mapping) and part.get("type") == "text" for part in content):
        content = "".join(str(part.get("text", "")) for part in content)
    if content is None:
        return ""
    if not isinstance(content, str):
        raise UsageError(
            f"{what}: the content {content!r:.80} is not text; pass images and files in the input of a run"
        )
    return content


def _call(given: Any, what: str) -> ToolCall:
    function = given.get("function") if isinstance(given, Mapping) else None
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise UsageError(f"{what}: {given!r:.80} is not a tool call in the chat format")
    arguments = function.get("arguments", "{}")
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return ToolCall(id=str(given.get("id", "")), name=function["name"], arguments=text)
