"""Estimates of what model calls use: before a call, and where no provider has reported it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from holdfast.pricing import MTOK, ModelPrice
from holdfast.types import AgentSpec, Attachment, Message

BYTES_PER_TOKEN = 4  # a common rule of thumb; characters of other scripts are several bytes, and some a token each
MESSAGE_BYTES = 16  # of the role and the marks around a message

DEFAULT_OUTPUT = 16_384
"""Tokens that are reserved for a reply if the model settings do not limit it: what most models write at most."""
LEAST_OUTPUT = 1_024
"""Tokens that a reply must have room for, so that a call is worth its input."""
MOST_OUTPUT = 131_072
"""Tokens that no model writes more than in one reply; with more left, the request names no limit."""

OUTPUT_SETTINGS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
"""Model settings that limit a reply."""


def tokens(size: int) -> int:
    """Returns the number of tokens of a text of this many bytes, rounded up."""
    return -(-size // BYTES_PER_TOKEN)


def text_size(text: str) -> int:
    """Returns the bytes of a text in UTF-8."""
    return len(text) if text.isascii() else len(text.encode())


def message_size(message: Message) -> int:
    """Returns the bytes of a message, with its tool calls; an attachment counts as text of as many tokens."""
    calls = sum(len(call.id) + len(call.name) + text_size(call.arguments) for call in message.tool_calls)
    return MESSAGE_BYTES + text_size(message.content) + calls + attached_size(message.attachments)


def attached_size(attachments: Iterable[Attachment]) -> int:
    """Returns the bytes of a text that has as many tokens as these attachments."""
    return sum(attachment.tokens for attachment in attachments) * BYTES_PER_TOKEN


def tools_size(spec: AgentSpec) -> int:
    """Returns the bytes of the tools' definitions, which are part of each request."""
    return sum(len(tool.name) + len(tool.description) + len(json.dumps(tool.parameters)) for tool in spec.tools)


def request_tokens(spec: AgentSpec, messages: Iterable[Message]) -> int:
    """Returns the number of tokens of a request: the tools and the messages, the system prompt among them."""
    return tokens(tools_size(spec) + sum(message_size(message) for message in messages))


def output_setting(settings: Mapping[str, Any]) -> str | None:
    """Returns which of the model settings limits a reply; `None` if none does."""
    return next((name for name in OUTPUT_SETTINGS if _is_count(settings.get(name))), None)


def output_limit(settings: Mapping[str, Any]) -> int | None:
    """Returns the most tokens of a reply that the model settings allow; `None` if they say nothing."""
    name = output_setting(settings)
    return None if name is None else int(settings[name])


def output_room(tokens_left: float, dollars_left: float, input_tokens: int, price: ModelPrice | None) -> float:
    """Returns the tokens of a reply that a budget has room for, after the input of the call."""
    room = tokens_left - input_tokens
    if price and price.output:
        room = min(room, (dollars_left - input_tokens * price.input / MTOK) * MTOK / price.output)
    return room


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
