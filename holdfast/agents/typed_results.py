"""Results of tools, as values of the type that their function returns."""

from __future__ import annotations

import json
import types
from collections.abc import Callable
from typing import Any, Union, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from holdfast.types import ToolResult

UNTYPED = (Any, None, ToolResult, object)


def typed(result: ToolResult, function: Callable[..., Any] | None) -> Any:
    """Returns what a tool has returned.

    Args:
        result: of a call that succeeded.
        function: the tool's function, whose return annotation says what it is; without one, and if the content is
            something else, it is JSON data, or text if it is not JSON. Content that was cut is text.
    """
    if result.left_out:
        return result.content
    kind = None if function is None else _returned_type(function)
    if kind is str:
        return result.content
    if kind is None:
        return _data(result.content)
    if result.content == "done" and kind is not str and _may_be_none(kind):
        return None
    return _validated(result.content, kind)


def _validated(content: str, kind: Any) -> Any:
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(kind)
    except (PydanticUserError, TypeError):
        return _data(content)
    for validate in (adapter.validate_json, adapter.validate_python):
        try:
            return validate(content)
        except ValidationError:
            continue
    return _data(content)


def _returned_type(function: Callable[..., Any]) -> Any | None:
    """Returns the return annotation of a function; `None` if it has none, or one that says nothing."""
    try:
        kind = get_type_hints(function, include_extras=True).get("return", Any)
    except Exception:  # noqa: BLE001 - it may exist for type checkers only
        return None
    return None if kind in UNTYPED else kind


def _may_be_none(kind: Any) -> bool:
    return kind is type(None) or (get_origin(kind) in (Union, types.UnionType) and type(None) in get_args(kind))


def _data(content: str) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return content
