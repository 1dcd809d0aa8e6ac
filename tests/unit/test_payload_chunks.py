"""Content-defined chunking: equal content produces equal chunks at any position, and nothing is lost."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.storage.payloads.chunks import BLOCK, MAX_CHUNK, MIN_CHUNK, chunks

SIZE = 1_000_000


@dataclass(frozen=True)
class Content:
    name: str
    make: Callable[[random.Random], bytes]


def _of(alphabet: str) -> Callable[[random.Random], bytes]:
    return lambda chance: "".join(chance.choices(alphabet, k=SIZE)).encode()


CONTENTS = [
    Content("bytes", lambda chance: chance.randbytes(SIZE)),
    Content("letters", _of("abcdefghijklmnopqrstuvwxyz    ")),
    Content("digits", _of("0123456789")),
    Content("two letters", _of("ab")),
    Content("lines", lambda _: "\n".join(f"{row},{row * 7 % 1000},name" for row in range(60_000)).encode()),
]


@pytest.mark.parametrize("content", CONTENTS, ids=lambda content: content.name)
def test_equal_content_is_cut_alike_in_different_wrappings(content: Content) -> None:
    """Equal content is split into equal chunks in any surroundings."""
    data = content.make(random.Random(1))
    wrappings = [b'{"content":"', b'{"run_id":"r","entries":[{"seq":4,"data":{"message":{"content":"', b'{"tail":[{"']
    distinct = {chunk for wrapping in wrappings for chunk in chunks(wrapping + data + b'"}')}
    assert sum(map(len, distinct)) < 1.3 * len(data)


@pytest.mark.parametrize("content", CONTENTS, ids=lambda content: content.name)
def test_chunks_are_neither_too_small_nor_too_large(content: Content) -> None:
    """Chunks stay within their size limits."""
    sizes = [len(chunk) for chunk in chunks(content.make(random.Random(2)))]
    assert max(sizes) <= MAX_CHUNK
    assert min(sizes[:-1]) >= MIN_CHUNK


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 3 * BLOCK), st.integers(0, 100))
def test_nothing_is_lost(start: bytes, size: int, seed: int) -> None:
    """Joined chunks equal the content, at every size."""
    data = start + random.Random(seed).randbytes(size)
    assert b"".join(chunks(data)) == data


def test_one_letter_a_million_times() -> None:
    """Content without any boundary is split too, and deduplicated."""
    assert len(set(chunks(b"x" * SIZE))) <= 2


def test_a_change_in_the_middle_changes_little() -> None:
    """A change in the middle leaves most chunks the same."""
    data = random.Random(3).randbytes(SIZE)
    changed = data[: SIZE // 2] + b"changed" + data[SIZE // 2 :]
    assert sum(map(len, set(chunks(changed)) - set(chunks(data)))) <= 2 * MAX_CHUNK
