"""Writes a definition so that reading it gives the same one."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

from holdfast.definition import AgentDefinition
from holdfast.errors import UsageError
from holdfast.storage.registry.documents.format import Format

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPED = re.compile(r'["\\\x00-\x1f\x7f]')
_NEEDS_QUOTES = re.compile(r"^[-+]?[0-9]+[eE][-+]?[0-9]+\Z|[\r\x85\u2028\u2029\ufeff]")
"""Text that reads as a number to us, and line ends of YAML that PyYAML does not write as they are."""
_LINE_WIDTH = 110  # characters; PyYAML folds longer lines


def write_definition(definition: AgentDefinition, language: Format) -> str:
    """The definition as a file of this language; what has its default is left out.

    Raises:
        UsageError: the language cannot say something that the definition holds.
    """
    fields = definition.content()
    defaults = AgentDefinition(name=definition.name).content()
    shown = {name: value for name, value in fields.items() if name == "name" or value != defaults[name]}
    try:
        text = _WRITERS[language](shown)
        text.encode()
    except UnicodeEncodeError:
        raise UsageError(
            f"{language} cannot hold half a surrogate pair, as {definition.name!r} does; json can"
        ) from None
    return text


def _json(fields: dict[str, Any]) -> str:
    text = json.dumps(fields, indent=2, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        text = json.dumps(fields, indent=2)
    return text + "\n"


class _Dumper(yaml.SafeDumper):
    """Writes text of several lines as a block."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        """Writes what is there twice twice: aliases are not read."""
        return True


def _yaml_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = '"' if _NEEDS_QUOTES.search(text) else "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _yaml_text)


def _yaml(fields: dict[str, Any]) -> str:
    return str(yaml.dump(fields, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=_LINE_WIDTH))


def _toml(fields: dict[str, Any]) -> str:
    plain = [f"{name} = {_toml_value(value)}" for name, value in fields.items() if name != "model_settings"]
    settings = fields.get("model_settings")
    if settings:
        plain += ["", "[model_settings]", *(f"{_toml_key(key)} = {_toml_value(settings[key])}" for key in settings)]
    return "\n".join(plain) + "\n"


def _toml_value(value: Any) -> str:
    match value:
        case None:
            raise UsageError("toml has no word for null, which model_settings contains; json and yaml have")
        case bool():
            return str(value).lower()
        case int() | float():
            return repr(value)
        case str():
            return _toml_text(value)
        case dict():
            return "{" + ", ".join(f"{_toml_key(key)} = {_toml_value(item)}" for key, item in value.items()) + "}"
        case _:
            return "[" + ", ".join(_toml_value(item) for item in value) + "]"


def _toml_key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else f'"{_escaped(key)}"'


def _toml_text(text: str) -> str:
    if "\n" not in text:
        return f'"{_escaped(text)}"'
    lines = "\n".join(_escaped(line, quotes=False) for line in text.split("\n"))
    return '"""\n' + lines.replace('"""', '""\\"') + '"""'


def _escaped(text: str, *, quotes: bool = True) -> str:
    def escape(match: re.Match[str]) -> str:
        sign = match[0]
        if sign == '"':
            return '\\"' if quotes else sign
        return "\\\\" if sign == "\\" else f"\\u{ord(sign):04x}"

    return _ESCAPED.sub(escape, text)


_WRITERS = {Format.TOML: _toml, Format.YAML: _yaml, Format.JSON: _json}
