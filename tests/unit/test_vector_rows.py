"""Numbers as rows hold them: exact, and as short as that allows."""

from __future__ import annotations

import random
import struct
from array import array

import pytest

from holdfast.storage.vectors.rows import exact_bytes, floats_from, numbers_from

NARROW_NUMBERS = [1.0, -0.0, 0.0, -3.0, 2.0**-149, 2.0**127, 16_777_216.0]
WIDE_NUMBERS = [0.1, 16_777_217.0, 2.0**128, 1e300, 5e-324, 2.0**-150]


def bits(numbers: array[float]) -> bytes:
    """The numbers bit by bit: -0.0 is not 0.0."""
    return struct.pack(f"<{len(numbers)}d", *numbers)


@pytest.mark.parametrize("added", [None, *WIDE_NUMBERS])
def test_numbers_come_back_bit_by_bit(added: float | None) -> None:
    """Numbers come back exactly, whichever width they are stored with."""
    numbers = array("d", NARROW_NUMBERS if added is None else [*NARROW_NUMBERS, added])
    back = numbers_from(exact_bytes(numbers))
    assert bits(back) == bits(numbers)
    assert floats_from(exact_bytes(numbers)).tolist() == numbers.tolist()


def test_random_numbers_come_back_bit_by_bit() -> None:
    """Vectors of any finite 64-bit floats come back exactly."""
    chance = random.Random(1)
    for _ in range(200):
        numbers = array("d", [chance.uniform(-1, 1) * 10.0 ** chance.randint(-320, 300) for _ in range(8)])
        assert bits(numbers_from(exact_bytes(numbers))) == bits(numbers)


def test_numbers_take_four_bytes_where_that_is_exact() -> None:
    """Numbers of 32 bits take 4 bytes each; one number that needs more makes it 8 bytes for each."""
    assert len(exact_bytes(array("d", NARROW_NUMBERS))) == 1 + 4 * len(NARROW_NUMBERS)
    for added in WIDE_NUMBERS:
        numbers = array("d", [*NARROW_NUMBERS, added])
        assert len(exact_bytes(numbers)) == 1 + 8 * len(numbers)
