"""Transcripts in OpenAI's format for fine-tuning chat models: one JSON object per line."""

from __future__ import annotations

import json
from typing import Any

from holdfast.transcripts import Transcript
from holdfast.types import Message, ToolCall, ToolSpec


def openai_line(run: Transcript) -> str | None:
    """Returns the transcript of a run as a training example; `None` if the model never answered."""
    messages = [
        json.loads(_plain(message).chat_json) for message in run.answered if message.role != "system" or message.content
    ]
    if not messages:
        return None
    example: dict[str, Any] = {"messages": messages}
    if run.spec and run.spec.tools:
        example["tools"] = chat_tools(run.spec.tools)
    return json.dumps(example, ensure_ascii=False, separators=(",", ":")) + "\n"


def _plain(message: Message) -> Message:
    """Returns a message without what only its provider understands, which OpenAI refuses."""
    calls = [ToolCall(id=call.id, name=call.name, arguments=call.arguments) for call in message.tool_calls]
    fields = message.model_dump(include={"seq", "role", "tool_call_id"})
    return Message(**fields, content=message.shown, tool_calls=calls)


def chat_tools(tools: list[ToolSpec]) -> list[dict[str, Any]]:
    """Returns tools in the chat format."""
    return [
        {
            "type": "function",
            "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters},
        }
        for tool in tools
    ]
