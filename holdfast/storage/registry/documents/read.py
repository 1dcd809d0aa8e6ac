"""Reading of definition files, with errors that name the line, the field and what is accepted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from holdfast.definition import AgentDefinition
from holdfast.errors import AgentDefinitionError
from holdfast.rejection import place_of, reason_of
from holdfast.storage.registry.documents.format import Document, Format, NotReadable
from holdfast.storage.registry.documents.parse_json import parse_json
from holdfast.storage.registry.documents.parse_toml import parse_toml
from holdfast.storage.registry.documents.parse_yaml import parse_yaml

MAX_BYTES = 1024 * 1024  # per file; definitions are far smaller
ASSIGNED_FIELD = "version"
ACCEPTED = ", ".join(name for name in AgentDefinition.model_fields if name != ASSIGNED_FIELD)

_PARSERS: dict[Format, Callable[[str], Document]] = {
    Format.TOML: parse_toml,
    Format.YAML: parse_yaml,
    Format.JSON: parse_json,
}
_REASONS = {"string_type": "must be text, in quotes", "dict_type": "must be a table of names and values"}
"""For the words of files; other reasons are the same everywhere."""


def read_definition(data: bytes, language: Format, source: str) -> AgentDefinition:
    """Returns the definition in a file.

    Args:
        data: the file's content, UTF-8.
        language: the file's format.
        source: the file's name, for messages.

    Raises:
        AgentDefinitionError: the file is not a valid definition; the message names the file, the line if known, the
            field, and what is accepted.
    """
    try:
        definition = _definition(_PARSERS[language](_text(data)))
    except NotReadable as error:
        where = source if error.line is None else f"{source}, line {error.line}"
        raise AgentDefinitionError(f"{where}: {error}") from None
    except RecursionError:
        raise AgentDefinitionError(f"{source}: the definition is nested too deeply") from None
    try:
        definition.check_size()
    except AgentDefinitionError as error:
        raise AgentDefinitionError(f"{source}: {error}") from None
    return definition


def _text(data: bytes) -> str:
    if len(data) > MAX_BYTES:
        raise NotReadable(f"the file has {len(data):,} bytes, at most {MAX_BYTES:,} are accepted")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise NotReadable("the file is not UTF-8 text", line) from None


def _definition(document: Document) -> AgentDefinition:
    content = document.content
    if not isinstance(content, dict):
        found = "nothing" if content is None else f"a {type(content).__name__}"
        raise NotReadable(f"an agent must be a table of fields, but this is {found}; accepted: {ACCEPTED}")
    if ASSIGNED_FIELD in content:
        raise NotReadable("version is assigned by the registry: remove it", document.line((ASSIGNED_FIELD,)))
    try:
        definition = AgentDefinition.model_validate(content)
    except ValidationError as error:
        first = _first(error.errors())
        raise NotReadable(_describe(first), document.line(tuple(first["loc"]))) from None
    return definition


def _first(errors: list[ErrorDetails]) -> ErrorDetails:
    """Returns the most helpful error: an unknown key is often a misspelled required one."""
    return next((error for error in errors if error["type"] == "extra_forbidden"), errors[0])


def _describe(error: ErrorDetails) -> str:
    field = place_of(error)
    if error["type"] == "extra_forbidden":
        return f"{field} is unknown; accepted: {ACCEPTED}"
    if error["type"] == "missing":
        return f"{field} is missing; accepted: {ACCEPTED}"
    if error["type"] == "value_error":
        return f"{field}: {error['ctx']['error']}"
    return f"{_root(error)}={_shown(error['input'])} is not accepted: {_REASONS.get(error['type']) or reason_of(error)}"


def _root(error: ErrorDetails) -> str:
    """Returns the field; below `model_settings`, without the validator's names of alternatives."""
    loc = [str(part) for part in error["loc"]]
    return ".".join(loc[:2] if loc[0] == "model_settings" else loc)


def _shown(value: Any) -> str:
    return f"{str(value).lower() if isinstance(value, bool) else repr(value):.80}"
