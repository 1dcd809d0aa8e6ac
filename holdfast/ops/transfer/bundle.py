"""The file format of an export: a header, one JSON object per line, and a trailer that shows that it is complete."""

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
"""Increased when a reader of the previous version would misread a file."""
HEADER, TRAILER = "header", "trailer"

Item = dict[str, Any]
"""One exported object, as plain JSON values; `kind` names its type."""


@dataclass(frozen=True, slots=True)
class Line:
    """An item and its line number."""

    number: int
    """Starts at 1, which is the header."""
    item: Item


class BundleWriter:
    """Writes a bundle: `begin`, any number of `add`, `end`.

    Args:
        write: called with the bytes, in order.
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
        """Writes the trailer; without it, the file counts as truncated."""
        self._put({"kind": TRAILER, "counts": dict(self.counts), "sha256": self._digest.hexdigest()})

    def _put(self, item: Item) -> None:
        line = exact_line(item)
        self._digest.update(line)
        self._write(line)


def read_bundle(lines: Iterable[bytes]) -> Iterator[Line]:
    """Yields the items of a bundle, without header and trailer; if it ends without an error, the file is complete.

    Raises:
        BundleDamaged: a line was altered, or the file is truncated; the message names the line.
        UsageError: the file is not a bundle, or a newer version wrote it.
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
    raise BundleDamaged(f"line {number}: the file is truncated: it ends here, without a trailer", number)


def exact_line(item: Item) -> bytes:
    """Returns an item as a line that decodes to the same item, including lone surrogates, 2^63 and NUL."""
    text = json.dumps(item, ensure_ascii=False, separators=(",", ":"))
    try:
        return text.encode() + b"\n"
    except UnicodeEncodeError:  # half of a surrogate pair
        return json.dumps(item, separators=(",", ":")).encode() + b"\n"


def _item(number: int, line: bytes) -> Item:
    try:
        item = json.loads(line)
    except (ValueError, RecursionError) as error:
        what = "is incomplete: the file is truncated" if not line.endswith(b"\n") else f"is not JSON: {error}"
        raise BundleDamaged(f"line {number} {what}", number) from None
    if not isinstance(item, dict) or not isinstance(item.get("kind"), str):
        raise BundleDamaged(f"line {number} is not a JSON object with a `kind`", number)
    return item


def _check_header(line: bytes) -> None:
    try:
        header = json.loads(line)
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise UsageError("line 1: the header is missing: this is not a file of `export --format jsonl`")
    if header.get("version") != VERSION:
        raise UsageError(
            f"line 1: the file has version {header.get('version')!r} of the format, but this version of Holdfast reads "
            f"{VERSION}: use the Holdfast version that wrote it"
        )


def _check_trailer(number: int, trailer: Item, digest: str, counts: Counter[str]) -> None:
    if trailer.get("counts") != dict(counts):
        raise BundleDamaged(
            f"line {number}: the trailer counts {trailer.get('counts')}, but the file has {dict(counts)}: "
            "lines are missing or were added",
            number,
        )
    if trailer.get("sha256") != digest:
        raise BundleDamaged(f"line {number}: the digest of the preceding lines differs: a line was altered", number)


def _check_end(number: int, rest: Iterator[bytes]) -> None:
    if any(line.strip() for line in rest):
        raise BundleDamaged(f"line {number + 1}: there are lines after the trailer", number + 1)
