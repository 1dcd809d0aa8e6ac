"""Estimates of tokens from the lengths of texts, for calls whose usage no provider has reported."""

from __future__ import annotations

import json
from collections.abc import Iterable

from holdfast.types import AgentSpec, Message

CHARS_PER_TOKEN = 4  # a common rule of thumb
MESSAGE_CHARS = 16  # of the role and the marks around a message


def tokens(chars: int) -> int:
    """Returns the number of tokens of a text, rounded up."""
    return -(-chars // CHARS_PER_TOKEN)


def message_chars(message: Message) -> int:
    """Returns the characters of a message, with its tool calls."""
    calls = sum(len(call.id) + len(call.name) + len(call.arguments) for call in message.tool_calls)
    return MESSAGE_CHARS + len(message.content) + calls


def tool_chars(spec: AgentSpec) -> int:
    """Returns the characters of the tools' definitions, which are part of each request."""
    return sum(len(tool.name) + len(tool.description) + len(json.dumps(tool.parameters)) for tool in spec.tools)


def request_tokens(spec: AgentSpec, messages: Iterable[Message]) -> int:
    """Returns the number of tokens of a request: the tools and the messages, the system prompt among them."""
    return tokens(tool_chars(spec) + sum(message_chars(message) for message in messages))
