"""A parser of TOML definitions."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any

from holdfast.storage.registry.documents.format import Document, NotReadable, Path

SEARCHED_LINES = 400
"""Longest file whose keys get line numbers: tomllib reports none, and finding them parses each prefix of the file."""

_PLACE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


def parse_toml(text: str) -> Document:
    """Parses TOML.

    Raises:
        NotReadable: the text is not TOML.
    """
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = _PLACE.search(str(error))
        line = int(place[1]) if place and place[1] else text.rstrip().count("\n") + 1
        raise NotReadable(_PLACE.sub("", str(error)), line) from None
    return Document(content, _lines(text))


def _lines(text: str) -> dict[Path, int]:
    """Returns the first line of each key: the line after the longest prefix of the file that lacks the key."""
    lines = text.split("\n")
    found: dict[Path, int] = {}
    if len(lines) > SEARCHED_LINES:
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
