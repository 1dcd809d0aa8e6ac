"""Arguments of a tool as words of a command: `article=rope pieces=3`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from holdfast.agents.arguments import describe_schema, describe_type
from holdfast.errors import UsageError
from holdfast.types import ToolSpec

KINDS: Mapping[str, Any] = {
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
    "null": lambda value: value is None,
}
"""Whether a value is of a type of JSON schema, other than text."""


def parsed_arguments(words: Sequence[str], tool: ToolSpec | None) -> dict[str, Any]:
    """Returns the arguments of a call.

    Args:
        words: `NAME=VALUE`.
        tool: says of which type each value is; `None` means that it is not known, so that values are JSON or text.

    Raises:
        UsageError: a word is not an argument of the tool, or one is missing.
    """
    given = dict(_split(word) for word in words)
    if tool is None:
        return {name: _any(text) for name, text in given.items()}
    schema: Mapping[str, Any] = tool.parameters
    known = schema.get("properties", {})
    if unknown := [name for name in given if name not in known]:
        raise UsageError(f"tool {tool.name!r} has no argument {unknown[0]!r}; {usage(tool)}")
    if missing := [name for name in schema.get("required", []) if name not in given]:
        raise UsageError(f"tool {tool.name!r} needs {', '.join(missing)}; {usage(tool)}")
    return {name: _value(name, text, known[name], schema) for name, text in given.items()}


def usage(tool: ToolSpec) -> str:
    """Returns which arguments a tool takes."""
    if not tool.parameters.get("properties"):
        return "it takes no arguments"
    return f"it takes {described(tool)}, each as NAME=VALUE"


def described(tool: ToolSpec) -> str:
    """Returns the arguments of a tool in short; empty if there are none."""
    return describe_schema(tool.parameters) if tool.parameters.get("properties") else ""


def _split(word: str) -> tuple[str, str]:
    name, sign, text = word.partition("=")
    if not sign or not name:
        raise UsageError(f"{word!r} is not an argument of a tool: write NAME=VALUE, such as article=rope")
    return name, text


def _any(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _value(name: str, text: str, part: Mapping[str, Any], root: Mapping[str, Any]) -> Any:
    kinds = _kinds(part, root)
    if not kinds:
        return _any(text)
    others = kinds - {"string"}
    value = _any(text.lower() if others == {"boolean"} else text)
    if any(KINDS[kind](value) for kind in others & KINDS.keys()):
        return value
    if "string" in kinds:
        return text
    raise UsageError(f"{name} must be {describe_type(part, root)}, not {text!r:.80}")


def _kinds(part: Mapping[str, Any], root: Mapping[str, Any]) -> set[str]:
    """Returns the types of JSON schema that a value may have; empty means any."""
    if "$ref" in part:
        return _kinds(root["$defs"][part["$ref"].rpartition("/")[2]], root)
    if "anyOf" in part:
        return {kind for choice in part["anyOf"] for kind in _kinds(choice, root)}
    if "const" in part or "enum" in part:
        choices = part.get("enum", [part.get("const")])
        return {kind for choice in choices for kind in ("string", *KINDS) if _is_kind(choice, kind)}
    kind = part.get("type", [])
    return {kind} if isinstance(kind, str) else set(kind)


def _is_kind(value: Any, kind: str) -> bool:
    return isinstance(value, str) if kind == "string" else bool(KINDS[kind](value))
