"""Content-defined chunking: equal content is cut into equal chunks in any surroundings.

A tool's result appears inside different JSON each time. With cuts at fixed offsets, none of its chunks would recur.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

MIN_CHUNK = 8 * 1024
"""Bytes; smaller chunks would cost more in rows than they save."""
MAX_CHUNK = 128 * 1024
"""Bytes; the limit for content without cut points, such as a million equal letters."""

WINDOW = 16  # bytes whose hash decides whether to cut after them
BLOCK = 64 * 1024  # bytes processed at once; they fit the processor's cache
CUT = re.compile(rb"\0[\0\1]")  # two hash bytes in a row: one cut per 32 KB on average


def _shuffled(step: int) -> bytes:
    """Returns a permutation of all bytes that is the same on every machine."""
    return bytes(sorted(range(256), key=lambda byte: hashlib.sha256(bytes([step, byte])).digest()))


_FIRST = _shuffled(0)
_MIX = {width: _shuffled(width) for width in (1, 2, 4, 8)}


def chunks(data: bytes) -> Iterator[bytes]:
    """Yields the chunks of `data` in order; 16 MB take some 0.2 s."""
    start = 0
    for stop in _stops(data):
        yield data[start:stop]
        start = stop


def _stops(data: bytes) -> Iterator[int]:
    start = 0
    for cut in _cuts(data):
        while cut - start > MAX_CHUNK:
            start += MAX_CHUNK
            yield start
        if cut - start >= MIN_CHUNK:
            start = cut
            yield start
    while start < len(data):
        start = min(start + MAX_CHUNK, len(data))
        yield start


def _cuts(data: bytes) -> Iterator[int]:
    for start in range(0, len(data), BLOCK):
        hashes = _hashes(data[start : start + BLOCK + WINDOW])
        for match in CUT.finditer(hashes):
            if match.start() < BLOCK:
                yield start + match.start() + WINDOW


def _hashes(block: bytes) -> bytes:
    """Returns a hash byte for each window of the block.

    All windows are hashed at once: hashes of 1 byte are combined to hashes of 2, these to 4, and so on. Each step is
    one operation on big integers and runs at the speed of C; a loop over bytes would take a hundred times longer.
    """
    hashes = block.translate(_FIRST)
    for width, table in _MIX.items():
        hashes = _xor(hashes[width:], hashes[:-width].translate(table))
    return hashes


def _xor(left: bytes, right: bytes) -> bytes:
    both = int.from_bytes(left, "little") ^ int.from_bytes(right, "little")
    return both.to_bytes(len(left), "little")
