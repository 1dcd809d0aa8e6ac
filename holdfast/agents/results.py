"""Results of tools, from what their functions return."""

from __future__ import annotations

import json
from typing import Any

from pydantic_core import to_jsonable_python

from holdfast.types import ToolResult, clean_text

MAX_ERROR_CHARS = 128 * 1024
"""Maximum characters of a tool's error; the worker limits the size of a result."""


def as_result(returned: Any) -> ToolResult:
    """Returns what a tool has returned as a result, whatever it is."""
    if isinstance(returned, ToolResult):
        return returned.model_copy(
            update={
                "content": clean_text(returned.content),
                "error": None if returned.error is None else shortened_error(returned.error),
                "files": [clean_text(file) for file in returned.files],
            }
        )
    if returned is None:
        return ToolResult(content="done")
    if isinstance(returned, str):
        return ToolResult(content=clean_text(returned))
    try:
        text = json.dumps(returned, default=_jsonable, ensure_ascii=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        return ToolResult(
            error=f"The tool ran, but what it returned cannot be shown: a value of type {type(returned).__name__} "
            f"({error}). Tools return text, JSON values, pydantic models, ToolResult or None."
        )
    return ToolResult(content=clean_text(text))


def _jsonable(value: Any) -> Any:
    if isinstance(value, bytes | bytearray | memoryview):
        raise TypeError("bytes are not text; decode them first")
    return to_jsonable_python(value)


def shortened_error(text: str) -> str:
    """Returns the text of an error in a length that a result may have."""
    text = clean_text(text)
    left_out = len(text) - MAX_ERROR_CHARS
    return text if left_out <= 0 else f"{text[:MAX_ERROR_CHARS]}\n(cut here: {left_out} more characters were left out)"
