"""The chat format in which transcripts are sent."""

from __future__ import annotations

import json

import pytest

from holdfast.types import ToolCall


@pytest.mark.parametrize("text", ["{}", '{"a": [1, 2.5, null]}', '{"a": "\\ud83d\\ude00"}', ' {"a": {}}\n'])
def test_objects_are_replayed_unchanged(text: str) -> None:
    """Arguments that are a JSON object are sent back as the model wrote them."""
    assert ToolCall(id="a", name="f", arguments=text).valid_arguments == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "[1]",
        '"text"',
        "7",
        '{"a": ',
        '{"a": NaN}',
        '{"a": 1e999}',
        '{"a": "\\ud83d"}',
        "{'a': 1}",
        "[" * 9999,
    ],
    ids=lambda text: text[:20],
)
def test_only_objects_are_replayed(text: str) -> None:
    """Anything else is quoted in an object: a strict provider answers 400 to it, at every later turn."""
    sent = json.loads(ToolCall(id="a", name="f", arguments=text).valid_arguments)
    assert sent == {"malformed": text}
