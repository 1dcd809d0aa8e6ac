"""Agent definitions as files; reading one back yields an equal definition."""

from __future__ import annotations

import json
import re
from typing import Any

import tomli_w
import yaml

from holdfast.definition import AgentDefinition
from holdfast.errors import UsageError
from holdfast.storage.registry.documents.format import Format

_NEEDS_QUOTES = re.compile(r"^[-+]?[0-9]+[eE][-+]?[0-9]+\Z|[\r\x85\u2028\u2029\ufeff]")
"""Text that reads as a number to us, and line ends of YAML that PyYAML does not write as they are."""
_LINE_WIDTH = 110  # characters; PyYAML folds longer lines


def write_definition(definition: AgentDefinition, language: Format) -> str:
    """Returns the text of a definition file in this format, without fields that have their default.

    Raises:
        UsageError: the format cannot represent a value of the definition.
    """
    fields = definition.content()
    defaults = AgentDefinition(name=definition.name).content()
    shown = {name: value for name, value in fields.items() if name == "name" or value != defaults[name]}
    return _WRITERS[language](shown)


def _json(fields: dict[str, Any]) -> str:
    return json.dumps(fields, indent=2, ensure_ascii=False) + "\n"


class _Dumper(yaml.SafeDumper):
    """Writes text with several lines as a block."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        """Disables aliases, which the parser rejects."""
        return True


def _yaml_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = '"' if _NEEDS_QUOTES.search(text) else "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _yaml_text)


def _yaml(fields: dict[str, Any]) -> str:
    return str(yaml.dump(fields, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=_LINE_WIDTH))


def _toml(fields: dict[str, Any]) -> str:
    # A line end of Windows keeps its exact characters only as an escape; tomli-w would write it as a plain line end.
    multiline = "\\r\\n" not in json.dumps(fields)
    try:
        return str(tomli_w.dumps(fields, multiline_strings=multiline))
    except TypeError:
        raise UsageError("TOML has no null, and model_settings contains one; write the agent as json or yaml") from None


_WRITERS = {Format.TOML: _toml, Format.YAML: _yaml, Format.JSON: _json}
