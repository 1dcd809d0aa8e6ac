"""The frame of an export: a header, one JSON object a line, and a trailer that shows whether the file is whole."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from holdfast.errors import BundleDamaged, UsageError

FORMAT = "holdfast-export"
VERSION = 1
"""Grows when a reader of the version before would misunderstand a file."""
HEADER, TRAILER = "header", "trailer"

Item = dict[str, Any]
"""One thing that is kept, as plain JSON values; `kind` says which sort of thing."""


@dataclass(frozen=True, slots=True)
class Line:
    """An item and where it stands."""

    number: int
    """From 1, the header's."""
    item: Item


class BundleWriter:
    """Writes a bundle: `begin`, any number of `add`, `end`.

    Args:
        write: takes the bytes, in order.
    """

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._digest = hashlib.sha256()
        self.counts: Counter[str] = Counter()
        """Items written so far, by kind."""

    def begin(self) -> None:
        """Writes the header."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        self._put({"kind": HEADER, "format": FORMAT, "version": VERSION, "written_at": now})

    def add(self, item: Item) -> None:
        """Writes an item."""
        self.counts[item["kind"]] += 1
        self._put(item)

    def end(self) -> None:
        """Writes the trailer: without it, the file counts as cut short."""
        self._put({"kind": TRAILER, "counts": dict(self.counts), "sha256": self._digest.hexdigest()})

    def _put(self, item: Item) -> None:
        line = exact_line(item)
        self._digest.update(line)
        self._write(line)


def read_bundle(lines: Iterable[bytes]) -> Iterator[Line]:
    """The items of a bundle, header and trailer left out; the file is whole if this comes to its end.

    Raises:
        BundleDamaged: a line is not what was written, or the file is cut short; the message names the line.
        UsageError: it is no bundle, or one that a newer version wrote.
    """
    digest, counts, number = hashlib.sha256(), Counter[str](), 0
    source = iter(lines)
    for number, line in enumerate(source, start=1):
        if number == 1:
            _check_header(line)
        else:
            item = _item(number, line)
            if item["kind"] == TRAILER:
                _check_trailer(number, item, digest.hexdigest(), counts)
                _check_end(number, source)
                return
            counts[item["kind"]] += 1
            yield Line(number, item)
        digest.update(line)
    if number == 0:
        raise BundleDamaged("line 1: the file is empty", 1)
    raise BundleDamaged(f"line {number}: the file ends here, and its trailer is missing: it was cut short", number)


def exact_line(item: Item) -> bytes:
    """An item as a line that gives the same item back: lone surrogates, 2^63 and NUL included."""
    text = json.dumps(item, ensure_ascii=False, separators=(",", ":"))
    try:
        return text.encode() + b"\n"
    except UnicodeEncodeError:  # half of a surrogate pair
        return json.dumps(item, separators=(",", ":")).encode() + b"\n"


def _item(number: int, line: bytes) -> Item:
    try:
        item = json.loads(line)
    except (ValueError, RecursionError) as error:
        what = "is not complete: the file was cut short" if not line.endswith(b"\n") else f"is no JSON: {error}"
        raise BundleDamaged(f"line {number} {what}", number) from None
    if not isinstance(item, dict) or not isinstance(item.get("kind"), str):
        raise BundleDamaged(f"line {number} is no JSON object with a `kind`", number)
    return item


def _check_header(line: bytes) -> None:
    try:
        header = json.loads(line)
    except ValueError:
        header = None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise UsageError("line 1: this is no file of `export --format jsonl`: it does not begin with its header")
    if header.get("version") != VERSION:
        raise UsageError(
            f"line 1: the file has version {header.get('version')!r} of the format, and this version of Holdfast reads "
            f"{VERSION}: use the newer one that wrote it"
        )


def _check_trailer(number: int, trailer: Item, digest: str, counts: Counter[str]) -> None:
    if trailer.get("counts") != dict(counts):
        raise BundleDamaged(
            f"line {number}: the trailer tells of {trailer.get('counts')}, and the file has {dict(counts)}: "
            "lines are missing, or too many",
            number,
        )
    if trailer.get("sha256") != digest:
        raise BundleDamaged(f"line {number}: the digest of the lines before is another: a line was altered", number)


def _check_end(number: int, rest: Iterator[bytes]) -> None:
    if any(line.strip() for line in rest):
        raise BundleDamaged(f"line {number + 1}: something follows the trailer", number + 1)
