"""Runs in the ShareGPT format, which trainers of open models read: one JSON object per line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from holdfast.ops.transfer.record import RunRecord
from holdfast.training_examples import chat_tools
from holdfast.types import Message, ToolCall

SPEAKERS = {"system": "system", "user": "human", "assistant": "gpt", "tool": "observation"}


def sharegpt_line(run: RunRecord) -> str | None:
    """Returns a run as a conversation; `None` if the model never answered.

    Each tool call is a separate item, and so is the text that accompanies it.
    """
    turns = [turn for message in run.answered for turn in _turns(message)]
    if not turns:
        return None
    conversation: dict[str, Any] = {"id": run.summary.run_id, "conversations": turns}
    if run.spec and run.spec.tools:
        conversation["tools"] = json.dumps(chat_tools(run.spec.tools), ensure_ascii=False)
    return json.dumps(conversation, ensure_ascii=False, separators=(",", ":")) + "\n"


def _turns(message: Message) -> Iterator[dict[str, str]]:
    if message.shown or message.role == "tool" or (message.role == "assistant" and not message.tool_calls):
        yield {"from": SPEAKERS[message.role], "value": message.shown}
    for call in message.tool_calls:
        yield {"from": "function_call", "value": json.dumps(_call(call), ensure_ascii=False)}


def _call(call: ToolCall) -> dict[str, Any]:
    return {"name": call.name, "arguments": json.loads(call.valid_arguments)}
