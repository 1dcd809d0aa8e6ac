"""Content of conversations as span attributes, in the JSON of the semantic conventions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from holdfast.model_reply import ModelReply
from holdfast.types import Message, ToolCall


def system_json(messages: Sequence[Message]) -> str:
    """Returns the system prompt."""
    return json.dumps([_text(message.content) for message in messages if message.role == "system"])


def input_json(messages: Sequence[Message]) -> str:
    """Returns the messages that a model call sends, without the system prompt."""
    return json.dumps([_message(message) for message in messages if message.role != "system"])


def output_json(reply: ModelReply) -> str:
    """Returns the reply of a model call."""
    parts = ([_text(reply.content)] if reply.content else []) + [_call(call) for call in reply.tool_calls]
    return json.dumps([{"role": "assistant", "parts": parts, "finish_reason": reply.finish_reason}])


def text_json(role: str, text: str) -> str:
    """Returns one message that consists of text."""
    return json.dumps([{"role": role, "parts": [_text(text)]}])


def _message(message: Message) -> dict[str, Any]:
    if message.role == "tool":
        answer = {"type": "tool_call_response", "id": message.tool_call_id, "response": message.shown}
        return {"role": "tool", "parts": [answer]}
    parts = ([_text(message.shown)] if message.shown else []) + [_call(call) for call in message.tool_calls]
    return {"role": message.role, "parts": parts}


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "content": text}


def _call(call: ToolCall) -> dict[str, Any]:
    return {"type": "tool_call", "id": call.id, "name": call.name, "arguments": call.arguments}
