"""A parser of YAML definitions, restricted to the unambiguous part of YAML.

Values that YAML 1.1 interprets in surprising ways (`no` as false, `12:30` as 750, `2026-01-01` as a date, `010` as 8)
are rejected with a hint, and so are duplicate keys, anchors and tags.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from holdfast.storage.registry.documents.format import MAX_DEPTH, Document, NotReadable, Path

_PLAIN = {
    "tag:yaml.org,2002:bool": re.compile(r"true|false", re.IGNORECASE),
    "tag:yaml.org,2002:int": re.compile(r"[-+]?(0|[1-9][0-9]*)"),
    "tag:yaml.org,2002:float": re.compile(r"[-+]?[0-9]+\.[0-9]*([eE][-+]?[0-9]+)?"),
    "tag:yaml.org,2002:null": re.compile(r"~|null|", re.IGNORECASE),
    "tag:yaml.org,2002:str": re.compile(r".*", re.DOTALL),
}
"""Accepted spellings of unquoted values, by the type that YAML assigns."""
MAX_TOKENS = 50_000  # names, values and signs; a definition with a hundred tools has 500; scanning these takes 2 s
_BEGIN = (
    yaml.BlockMappingStartToken,
    yaml.BlockSequenceStartToken,
    yaml.FlowMappingStartToken,
    yaml.FlowSequenceStartToken,
)
_END = (yaml.BlockEndToken, yaml.FlowMappingEndToken, yaml.FlowSequenceEndToken)
_NUMBER = re.compile(r"[-+]?[0-9]+[eE][-+]?[0-9]+")
_KINDS = {"bool": "true or false", "int": "a number", "float": "a number", "timestamp": "a date"}


def parse_yaml(text: str) -> Document:
    """Parses YAML.

    Raises:
        NotReadable: the text is not YAML, or uses a feature that is not accepted.
    """
    try:
        _check_tokens(text)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = "; ".join(part for part in (error.context, error.problem) if part)
        raise NotReadable(what, mark.line + 1 if mark else None) from None
    except yaml.YAMLError as error:
        raise NotReadable(" ".join(str(error).split())) from None
    lines: dict[Path, int] = {}
    return Document(None if root is None else _value(root, (), lines), lines)


def _check_tokens(text: str) -> None:
    """Checks the whole text before it is parsed; the scanner's time grows with the depth and the number of tokens."""
    depth = 0
    for number, token in enumerate(yaml.scan(text, Loader=yaml.SafeLoader)):
        _refuse(token)
        depth += isinstance(token, _BEGIN) - isinstance(token, _END)
        if depth > MAX_DEPTH:
            raise NotReadable(f"the definition is nested in more than {MAX_DEPTH} levels", token.start_mark.line + 1)
        if number > MAX_TOKENS:
            raise NotReadable(f"the file has more than {MAX_TOKENS:,} parts", token.start_mark.line + 1)


def _refuse(token: yaml.Token) -> None:
    line = token.start_mark.line + 1
    if isinstance(token, yaml.AnchorToken | yaml.AliasToken):
        raise NotReadable("anchors (&) and aliases (*) are not accepted: write the value out, or in quotes", line)
    if isinstance(token, yaml.TagToken | yaml.DirectiveToken):
        raise NotReadable("tags (!) and directives (%) are not accepted: write the value plainly, or in quotes", line)


def _value(node: yaml.Node, path: Path, lines: dict[Path, int]) -> Any:
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, lines)
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, (*path, place), lines) for place, item in enumerate(node.value)]
    return _scalar(node)


def _mapping(node: yaml.MappingNode, path: Path, lines: dict[Path, int]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        key = _scalar(key_node) if isinstance(key_node, yaml.ScalarNode) else None
        if not isinstance(key, str):
            raise NotReadable(f"the key {key_node.value!r:.60} is not text: put it in quotes", line)
        if key in values:
            raise NotReadable(f"the key {key!r} appears twice", line)
        lines[(*path, key)] = line
        values[key] = _value(value_node, (*path, key), lines)
    return values


def _scalar(node: yaml.Node) -> Any:
    text: str = node.value
    line = node.start_mark.line + 1
    if getattr(node, "style", None) is not None:
        return text
    if _NUMBER.fullmatch(text):
        return float(text)
    spelling = _PLAIN.get(node.tag)
    if spelling is None or not spelling.fullmatch(text):
        kind = _KINDS.get(node.tag.rpartition(":")[2], "something else")
        raise NotReadable(
            f"YAML reads {text} as {kind}: put it in quotes if it is text, otherwise write it in the plain form", line
        )
    return yaml.SafeLoader("").construct_object(node)
