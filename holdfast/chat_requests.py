"""The identity of a request for a chat completion, whichever run it belongs to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

INLINED = ("url", "file_data", "data")
"""Fields of the parts of a message that have the content of an image or a file."""


def normalised(body: Mapping[str, Any], default_model: str | None = None) -> dict[str, Any]:
    """Returns what identifies a request: the model, the messages and the tools, without ids of calls.

    Args:
        body: of a request for a chat completion.
        default_model: a model that is left out.
    """
    model, ids = body.get("model"), dict[str, str]()
    messages = [_message(message, ids) for message in body.get("messages") or ()]
    tools = [_tool(tool) for tool in body.get("tools") or ()]
    named = {} if model is None or model == default_model else {"model": model}
    return {**named, "messages": messages, **({"tools": tools} if tools else {})}


def _message(message: Mapping[str, Any], ids: dict[str, str]) -> dict[str, Any]:
    """Returns a message without what its provider has added; calls are numbered in the order of their appearance."""
    found: dict[str, Any] = {"role": message.get("role"), "content": _digested(message.get("content") or "")}
    for call in message.get("tool_calls") or ():
        ids[call.get("id", "")] = number = f"call {len(ids) + 1}"
        function = call.get("function") or {}
        made = {"id": number, "name": function.get("name"), "arguments": _arguments(function.get("arguments"))}
        found.setdefault("tool_calls", []).append(made)
    if (answered := message.get("tool_call_id")) is not None:
        found["tool_call_id"] = ids.get(answered, "call ?")
    return found


def _digested(content: Any) -> Any:
    """Returns the content of a message, with digests in place of images and files."""
    if isinstance(content, list):
        return [_digested(item) for item in content]
    if isinstance(content, dict):
        return {name: _digest(item) if name in INLINED else _digested(item) for name, item in content.items()}
    return content


def _digest(data: Any) -> Any:
    is_inline = isinstance(data, str) and not data.startswith("https://")
    return f"sha256:{hashlib.sha256(data.encode()).hexdigest()}" if is_inline else data


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    function = tool.get("function") or {}
    return {name: function.get(name) for name in ("name", "description", "parameters")}


def _arguments(text: Any) -> Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return text
