"""Results of tools, from what their functions return."""

from __future__ import annotations

import enum
import json
from datetime import date, time, timedelta
from decimal import Decimal
from pathlib import Path
from types import NoneType
from typing import Any
from uuid import UUID

from pydantic_core import to_jsonable_python

from holdfast.agents.files import NotInWorkspace, returned_files, written_files
from holdfast.types import ToolResult, clean_text

KEYS = (
    str,
    int,
    float,
    NoneType,
    enum.Enum,
    date,
    time,
    timedelta,
    UUID,
    Decimal,
    Path,
)  # of mappings; each has a text in JSON
MAX_ERROR_CHARS = 128 * 1024
"""Maximum characters of a tool's error; the worker limits the size of a result."""


def as_result(returned: Any, workspace: Path | None = None) -> ToolResult:
    """Returns what a tool has returned as a result, whatever it is.

    Text stays as it is, and so do values that JSON knows as text only, as times and enums; everything else is JSON.

    Args:
        returned: what the function has returned.
        workspace: of the run, whose files it may have returned; `None` means that it is not known.
    """
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
    try:
        files = returned_files(returned, workspace)
        content = json_text(returned if files is None else _as_returned(returned, files))
    except NotInWorkspace as error:
        return ToolResult(error=f"The tool ran, but what it returned cannot be used: {error}.")
    except (TypeError, ValueError, RecursionError) as error:
        return ToolResult(
            error=f"The tool ran, but what it returned cannot be shown: a value of type {type(returned).__name__} "
            f"({error}). Tools return text, JSON values, pydantic models, dataclasses, files, ToolResult or None."
        )
    result = ToolResult(content=clean_text(content))
    if files is not None:
        result.files = [clean_text(file) for file in written_files(returned, files)]
    return result


def _as_returned(returned: Any, files: list[str]) -> Any:
    """Returns the paths of files in the form in which a tool has returned them: one, or a list."""
    return files if isinstance(returned, list | tuple) else files[0]


def json_text(value: Any) -> str:
    """Returns a value as JSON text; text and what JSON knows as text only, as times and enums, stays as it is.

    Raises:
        TypeError: JSON has no form for it; `bytes` and files are among what it has none for.
        ValueError: likewise.
        RecursionError: it contains itself.
    """
    if isinstance(value, enum.Enum):
        value = value.value
    if isinstance(value, str):
        return str(value)
    try:
        text = _json(value)
    except TypeError as error:
        if "keys must be" not in str(error):
            raise
        text = _json(_with_text_keys(value))
    return str(json.loads(text)) if text.startswith('"') else text


def _json(value: Any) -> str:
    return json.dumps(value, default=_jsonable, ensure_ascii=False, separators=(",", ":"))


def _with_text_keys(value: Any) -> Any:
    """Returns a value whose mappings have text as keys, in place of times, enums and the like."""
    if isinstance(value, dict):
        return {_text_key(key): _with_text_keys(part) for key, part in value.items()}
    return [_with_text_keys(part) for part in value] if isinstance(value, list | tuple) else value


def _text_key(key: Any) -> str:
    if not isinstance(key, KEYS):
        raise TypeError(f"keys must be text, numbers, enums or times, not {type(key).__name__}")
    [text] = to_jsonable_python({key: None})
    return str(text)


def _jsonable(value: Any) -> Any:
    if isinstance(value, bytes | bytearray | memoryview):
        raise TypeError("bytes are not text; decode them first, or write a file and return File(path)")
    return to_jsonable_python(value)


def shortened_error(text: str) -> str:
    """Returns the text of an error in a length that a result may have."""
    text = clean_text(text)
    left_out = len(text) - MAX_ERROR_CHARS
    return text if left_out <= 0 else f"{text[:MAX_ERROR_CHARS]}\n(cut here: {left_out} more characters were left out)"
