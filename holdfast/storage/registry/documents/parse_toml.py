"""A parser of TOML definitions."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any

from holdfast.storage.registry.documents.format import MAX_DEPTH, Document, NotReadable, Path

SEARCHED = 4_000_000
"""Lines times characters of the largest file whose keys get line numbers: tomllib reports none, and finding them parses
each prefix of the file. A prompt of 300 lines has 3 million, and takes 0.1 s."""

_TOKEN = re.compile(
    r""""{3}(?:\\.|[^\\])*?"{3}|'{3}.*?'{3}|"(?:\\.|[^"\\\n])*"|'[^'\n]*'|\#[^\n]*|[][{}.,=\n]""", re.DOTALL
)
"""Texts and comments, which may contain anything, and the signs outside of them that nest."""
_SIGNS = {"[": 1, "{": 1, "]": -1, "}": -1, "=": 0, ",": 0, "\n": 0}
"""Change of the depth, by sign; each ends a dotted key."""
_PLACE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


def parse_toml(text: str) -> Document:
    """Parses TOML.

    Raises:
        NotReadable: the text is not TOML.
    """
    _check_nesting(text)
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = _PLACE.search(str(error))
        line = int(place[1]) if place and place[1] else text.rstrip().count("\n") + 1
        raise NotReadable(_PLACE.sub("", str(error)), line) from None
    return Document(content, _lines(text))


def _check_nesting(text: str) -> None:
    """Checks the depth before the text is parsed: a key of 16,000 parts takes tomllib 16 s."""
    depth = parts = 0
    for token in _TOKEN.finditer(text):
        sign = token[0]
        if sign == ".":
            parts += 1
        elif sign in _SIGNS:
            parts, depth = 0, max(depth + _SIGNS[sign], 0)
        if max(depth, parts) > MAX_DEPTH:
            line = text.count("\n", 0, token.start()) + 1
            raise NotReadable(f"the definition is nested in more than {MAX_DEPTH} levels", line)


def _lines(text: str) -> dict[Path, int]:
    """Returns the first line of each key: the line after the longest prefix of the file that lacks the key."""
    lines = text.split("\n")
    found: dict[Path, int] = {}
    if len(lines) * len(text) > SEARCHED:
        return found
    begins = 1
    for number in range(1, len(lines) + 1):
        try:
            content = tomllib.loads("\n".join(lines[:number]))
        except tomllib.TOMLDecodeError:
            continue  # the prefix ends inside a value
        for path in _paths(content):
            found.setdefault(path, begins)
        begins = number + 1
    return found


def _paths(value: Any, path: Path = ()) -> Iterator[Path]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield (*path, key)
        yield from _paths(item, (*path, key))
