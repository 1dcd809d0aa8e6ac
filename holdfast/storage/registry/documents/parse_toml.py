"""Reads TOML."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any

from holdfast.storage.registry.documents.format import Document, NotReadable, Path

SEARCHED_LINES = 400
"""Of a file, for the lines of its keys: tomllib tells none, and finding them reads each beginning of the file."""

_PLACE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


def parse_toml(text: str) -> Document:
    """What a text in TOML says.

    Raises:
        NotReadable: it is not TOML.
    """
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = _PLACE.search(str(error))
        line = int(place[1]) if place and place[1] else text.rstrip().count("\n") + 1
        raise NotReadable(_PLACE.sub("", str(error)), line) from None
    return Document(content, _lines(text))


def _lines(text: str) -> dict[Path, int]:
    """The line on which each key begins: the first one after the longest beginning of the file that lacks it."""
    lines = text.split("\n")
    found: dict[Path, int] = {}
    if len(lines) > SEARCHED_LINES:
        return found
    begins = 1
    for number in range(1, len(lines) + 1):
        try:
            content = tomllib.loads("\n".join(lines[:number]))
        except tomllib.TOMLDecodeError:
            continue  # in the middle of a value
        for path in _paths(content):
            found.setdefault(path, begins)
        begins = number + 1
    return found


def _paths(value: Any, path: Path = ()) -> Iterator[Path]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield (*path, key)
        yield from _paths(item, (*path, key))
